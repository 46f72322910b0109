// hooks.c: placeholder.
int tm_placeholder;

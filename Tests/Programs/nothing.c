// nothing.c: a C program that allocates nothing. The profiler's own library must add 0 blocks to its figures.
int main(void) { return 0; }

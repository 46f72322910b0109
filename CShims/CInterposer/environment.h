// environment.h: the environment variables that tell the library what to do.
#ifndef TM_ENVIRONMENT_H
#define TM_ENVIRONMENT_H

// The program's environment, also before libc has set `environ`; NULL when it cannot be found.
char **tm_environment(void);

// The value of a variable; NULL if it is not set.
const char *tm_variable(const char *name);

// Replaces the whole entry of a variable, if there is one, by "NAME=value" text that must stay valid: for children.
void tm_replace_variable(const char *name, char *entry);

#endif

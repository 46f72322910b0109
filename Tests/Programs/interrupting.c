// interrupting.c: a preload library whose malloc of 4,242 bytes raises a signal in the middle of the call: what a timer does by chance.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (!next) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    if (size == 4242) raise(SIGUSR1);
    return next(size);
}

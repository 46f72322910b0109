// real_allocator.c: finds the next definitions in the loader's search order.
#define _GNU_SOURCE
#include "real_allocator.h"

#include <dlfcn.h>

struct tm_real_allocator tm_real;
bool tm_real_is_known;

// glibc's own entry points, for programs in which there is no next definition (a copy linked statically).
extern void *__libc_malloc(size_t) __attribute__((weak));
extern void *__libc_calloc(size_t, size_t) __attribute__((weak));
extern void *__libc_realloc(void *, size_t) __attribute__((weak));
extern void __libc_free(void *) __attribute__((weak));
extern void *__libc_memalign(size_t, size_t) __attribute__((weak));

void tm_real_find(void) {
    struct tm_real_allocator found;
#define TM_FIND(name, result, parameters) found.name = (result(*) parameters)dlsym(RTLD_NEXT, #name);
    TM_HOOKS(TM_FIND)
#undef TM_FIND
    if (!found.malloc) found.malloc = __libc_malloc;
    if (!found.calloc) found.calloc = __libc_calloc;
    if (!found.realloc) found.realloc = __libc_realloc;
    if (!found.free) found.free = __libc_free;
    if (!found.memalign) found.memalign = __libc_memalign;
    tm_real = found;
    __atomic_store_n(&tm_real_is_known, true, __ATOMIC_RELEASE);
}

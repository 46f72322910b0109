// real_allocator.c: finds the next definitions in the loader's search order.
#define _GNU_SOURCE
#include "real_allocator.h"

#include <dlfcn.h>
#include <stdint.h>

#include "CRecording.h"
#include "loaded_module.h"

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

uint32_t tm_real_bypasses(void) {
    uint32_t bypasses = 0;
    struct tm_module first, allocator;
    void *created = dlsym(RTLD_DEFAULT, "_Znwm");  // operator new(size_t)
    if (!created) (void)dlerror();  // the program has not asked
    // The program itself has no name in the loader's list.
    if (tm_module_find(&first, (uintptr_t)dlsym(RTLD_DEFAULT, "malloc")) && tm_module_find(&allocator, (uintptr_t)tm_real_find)
        && first.start != allocator.start && !first.path[0])
        bypasses |= TM_BYPASS_EXECUTABLE;
    // The C library has none, and libstdc++'s calls malloc.
    if (created && tm_module_find(&first, (uintptr_t)created) && tm_module_find(&allocator, (uintptr_t)tm_real.malloc)
        && first.start == allocator.start)
        bypasses |= TM_BYPASS_NEW;
    return bypasses;
}

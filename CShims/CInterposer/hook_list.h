// hook_list.h: the functions that we replace, written once: X(name, result, parameters).
#ifndef TM_HOOK_LIST_H
#define TM_HOOK_LIST_H

#include <stddef.h>

#define TM_HOOKS(X)                                                     \
    X(malloc, void *, (size_t size))                                    \
    X(calloc, void *, (size_t count, size_t size))                      \
    X(realloc, void *, (void *block, size_t size))                      \
    X(reallocarray, void *, (void *block, size_t count, size_t size))   \
    X(free, void, (void *block))                                        \
    X(cfree, void, (void *block))                                       \
    X(posix_memalign, int, (void **block, size_t alignment, size_t size)) \
    X(aligned_alloc, void *, (size_t alignment, size_t size))           \
    X(memalign, void *, (size_t alignment, size_t size))                \
    X(valloc, void *, (size_t size))                                    \
    X(pvalloc, void *, (size_t size))                                   \
    X(malloc_usable_size, size_t, (void *block))                        \
    X(free_sized, void, (void *block, size_t size))                     \
    X(free_aligned_sized, void, (void *block, size_t alignment, size_t size)) \
    X(dlclose, int, (void *handle))                                     \
    X(exit, void, (int code))                                           \
    X(_exit, void, (int code))                                          \
    X(_Exit, void, (int code))

#endif

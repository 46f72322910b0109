// real_allocator.h: the functions that would have been called without us: libc's, or jemalloc's, tcmalloc's, mimalloc's.
#ifndef TM_REAL_ALLOCATOR_H
#define TM_REAL_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "hook_list.h"

struct tm_real_allocator {
#define TM_MEMBER(name, result, parameters) result(*name) parameters;
    TM_HOOKS(TM_MEMBER)
#undef TM_MEMBER
};

// All members are set once tm_real_is_known; a function that the C library lacks is then NULL.
extern struct tm_real_allocator tm_real __attribute__((visibility("hidden")));
extern bool tm_real_is_known;

// Finds them. Calls dlsym, which may allocate: the caller has marked this thread as internal (see recorder.h).
void tm_real_find(void);

// What the program allocates in ways that never reach us, TM_BYPASS_…: its own malloc, or an operator new that jemalloc,
// tcmalloc and mimalloc bring with them. Calls dlsym, too; modules can be found by then.
uint32_t tm_real_bypasses(void);

#endif

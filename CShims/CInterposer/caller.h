// caller.h: where a hook was called from. The only knowledge about frames that the hooks need.
#ifndef TM_CALLER_H
#define TM_CALLER_H

#include "unwinder.h"

#if defined(__x86_64__)
// In a function with a frame pointer: [rbp] is the caller's rbp, [rbp + 8] the return address, rbp + 16 the caller's rsp.
#define TM_CALLER                                                                     \
    ((struct tm_caller){                                                              \
        .pc = (uintptr_t)__builtin_return_address(0),                                 \
        .sp = (uintptr_t)__builtin_frame_address(0) + 16,                             \
        .fp = *(const uintptr_t *)__builtin_frame_address(0),                         \
    })
#else
#error "the unwinder knows x86-64 so far"
#endif

#endif

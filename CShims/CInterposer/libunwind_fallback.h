// libunwind_fallback.h: the reference unwinder, for frames that have no rule and for comparing.
//
// It is loaded at run time and never linked: linked, it would stand before libgcc and take over the program's C++
// exceptions. It is slow (microseconds a frame). It is the variant for other processes, applied to this one: that one
// asks for every word that it wants to read, takes neither the loader's lock nor a descriptor to do so, and cannot fault.
#ifndef TM_LIBUNWIND_FALLBACK_H
#define TM_LIBUNWIND_FALLBACK_H

#include "stack_bounds.h"

#include <stddef.h>
#include <stdint.h>

struct tm_foreign_frame {
    uint64_t pc, fp;
    uint16_t flags;  // TM_NODE_SIGNAL, or TM_NODE_ENDED_EARLY on the last one
};

void tm_libunwind_load(void);  // not on the hot path; may be called again
int tm_libunwind_loaded(void);
size_t tm_libunwind_scratch_size(void);

// The frames from (pc, sp) outward, which must be a frame of the calling thread's stack, innermost first. Stops after
// `max` frames. 0: that frame was not met. `known` is the current stack, empty if it is not a known one. `scratch` is
// memory of the calling thread, aligned to 16. Keeps errno.
size_t tm_libunwind_walk(
    uintptr_t pc, uintptr_t sp, struct tm_foreign_frame *frames, size_t max, struct tm_stack_range known,
    struct tm_stack_bounds *bounds, void *scratch);

#endif

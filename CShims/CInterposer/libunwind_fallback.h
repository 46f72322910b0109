// libunwind_fallback.h: the reference unwinder, for frames that have no rule and for comparing.
//
// It is loaded at run time and never linked: linked, it would stand before libgcc and take over the program's C++
// exceptions. It is slow (microseconds a frame), takes the loader's lock, and keeps two descriptors of its own.
#ifndef TM_LIBUNWIND_FALLBACK_H
#define TM_LIBUNWIND_FALLBACK_H

#include <stddef.h>
#include <stdint.h>

struct tm_foreign_frame {
    uint64_t pc;
    uint16_t flags;  // TM_NODE_SIGNAL, or TM_NODE_ENDED_EARLY on the last one
};

__attribute__((visibility("hidden"))) void tm_libunwind_load(int cached);  // not on the hot path; may be called again
__attribute__((visibility("hidden"))) int tm_libunwind_loaded(void);
__attribute__((visibility("hidden"))) void tm_libunwind_forget(void);      // code was unloaded
__attribute__((visibility("hidden"))) size_t tm_libunwind_scratch_size(void);

// The frames from (pc, sp) outward, which must be a frame of the calling thread's stack, innermost first. Stops after
// `max` frames. 0: that frame was not met. `scratch` is memory of the calling thread, aligned to 16. Keeps errno.
__attribute__((visibility("hidden"))) size_t tm_libunwind_walk(uintptr_t pc, uintptr_t sp, struct tm_foreign_frame *frames, size_t max, void *scratch);

#endif

// unwinder.h: the stack of the calling thread as one number, exactly, at a few nanoseconds a call.
//
// You give the frame of a hook, you get the node of its stack. Between two allocations most of a stack stays
// as it was, so each thread remembers its last one: frames are stepped out of by rules only until one is met that is
// remembered, and then every word of the stack that the rest of the remembered walk has read is compared. A caller's
// frame is a function of the callee's frame and of those words alone, hence equal words mean equal frames.
//
// The stack of an async Swift function goes on into its async parents, those that await it: their nodes, with TM_NODE_ASYNC
// and the address where they resume, are outside of the function's own frame, and take the place of the frames that run its
// task (swift_job_run, libdispatch, the thread's start), which say nothing about it and differ from run to run. The parents
// are those in the same task: a child task (async let, a task group's) begins with its own closure. Async functions are
// recognized by their code, so neither symbols nor the runtime's version matter; those without a frame pointer (swiftc -O
// by hand; SwiftPM keeps it) are not, and keep the frames that run the task.
//
// Order: tm_unwinder_initialize once, tm_unwinder_thread_start once per thread, then tm_unwinder_stack. Nothing here
// allocates, takes a foreign lock or changes errno; libunwind, for the few stacks that need it, may block signals for a
// moment. The first tm_unwinder_initialize loads libunwind and so may allocate.
#ifndef TM_UNWINDER_H
#define TM_UNWINDER_H

#include <stddef.h>
#include <stdint.h>

struct tm_unwinder;  // one per thread; the caller gives zeroed memory, aligned to 64

struct tm_unwind_counters {
    uint64_t walks;        // verify: stacks compared with libunwind's
    uint64_t differences;  // verify: stacks that differ
    uint64_t fallbacks;    // stacks walked by libunwind
};

// What `call` and `push rbp` leave in the frame of a hook: its caller's frame pointer and its return address. The caller's stack pointer
// after the return, the hook's CFA, is right above.
struct tm_frame_record {
    uintptr_t fp, pc;
};

size_t tm_unwinder_size(uint32_t frame_limit);

// Once per recording, not on the hot path. In a forked child it only sets the values.
void tm_unwinder_initialize(uint32_t frame_limit, int verify, struct tm_unwind_counters *counters);

// Once per process, before main and when the loader is idle: libunwind is a library with allocations and constructors of its
// own. Finds the Swift runtime, too.
void tm_unwinder_load_libraries(void);
int tm_unwinder_has_libunwind(void);

// After dlclose: rules and remembered stacks may speak of code that is no longer there.
void tm_unwinder_code_unloaded(void);

// On the thread itself, once, and again when its remembered nodes became invalid (fork, another recording).
void tm_unwinder_thread_start(struct tm_unwinder *unwinder);

// The node of the stack that begins with the caller of `hook`; 0: none.
uint32_t tm_unwinder_stack(struct tm_unwinder *unwinder, const struct tm_frame_record *hook);

#endif

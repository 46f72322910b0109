// stack_bounds.h: which addresses of the current stack may be read.
//
// Two kinds of stack are known without asking the kernel: the main thread's, and one that glibc made for a thread
// (the thread's control block is on top of it and knows its extent). They are readable from the stack pointer up as
// long as they are in use. Of any other (fibers, signal stacks) each page is tried once before it is read.
#ifndef TM_STACK_BOUNDS_H
#define TM_STACK_BOUNDS_H

#include <stdint.h>

#define TM_TRIED_STACKS 8u

struct tm_stack_range {
    uintptr_t low, high;  // [low, high)
};

struct tm_stack_bounds {
    struct tm_stack_range own;                    // the thread's own stack; empty: not one that glibc made
    struct tm_stack_range tried[TM_TRIED_STACKS]; // pages of other stacks that were readable when they were tried
    uint32_t next_tried;
};

__attribute__((visibility("hidden"))) void tm_stack_bounds_initialize(void);  // once, not on the hot path
__attribute__((visibility("hidden"))) void tm_stack_bounds_thread_start(struct tm_stack_bounds *bounds);

// The known stack that a live stack pointer is in, readable from there up. Empty: none.
__attribute__((visibility("hidden"))) struct tm_stack_range tm_stack_known(const struct tm_stack_bounds *bounds, uintptr_t sp);

// May [address, address + size) be read? For stacks that are not known; asks the kernel where it has not yet.
// Keeps errno. Where the kernel refuses to answer (seccomp) the answer is no.
__attribute__((visibility("hidden"))) int tm_stack_try(struct tm_stack_bounds *bounds, uintptr_t address, uintptr_t size);

#endif

// async_chain.h: who awaits an async Swift function: the chain of its async contexts.
//
//   context   word 0: the context of the function that awaits this one; 0: none, a task's outermost function
//             word 1: where that function resumes
//
// The chain lies on the heap. It is alive as long as the function runs, except in the runtime's own functions that suspend
// or complete a task: another thread may be running or freeing it before they return. These clear the thread's current
// task first, so chains are followed only while there is one; each page is tried once (a system call) before it is read.
// Where the runtime cannot be asked (async_runtime.h) pages are tried each time. What is
// no module's code is no place to resume at. Nothing here allocates, takes a lock or changes errno.
#ifndef TM_ASYNC_CHAIN_H
#define TM_ASYNC_CHAIN_H

#include <stdint.h>

#define TM_ASYNC_PARENTS_MAX 64u  // the innermost are kept
#define TM_ASYNC_PAGES 64u
#define TM_ASYNC_CODES 256u


struct tm_async_link {
    uintptr_t context;
    uintptr_t parent, resume;  // its words
};

// The chain that was followed last. One per thread; zeroed memory.
struct tm_async_chain {
    uint32_t count;
    uint32_t node;      // of the innermost parent
    uint32_t is_whole;  // followed to its end, or to the limit
    struct tm_async_link links[TM_ASYNC_PARENTS_MAX];
    uintptr_t pages[TM_ASYNC_PAGES];  // seen to be readable
    uintptr_t codes[TM_ASYNC_CODES];  // seen to be code
};

// Code was unloaded.
void tm_async_forget(struct tm_async_chain *chain);

// The node of the innermost parent of the function that runs with this context; 0: it has none.
uint32_t tm_async_follow(struct tm_async_chain *chain, uintptr_t context);

// Is the chain still as it was followed? The function's context must be the one that it was followed from: it is alive,
// and as long as the words are equal each further one is.
int tm_async_holds(const struct tm_async_chain *chain);

#endif

// async_chain.h: who awaits an async Swift function: the chain of its async contexts.
//
//   context   word 0: the context of the function that awaits this one; 0: none, a task's outermost function
//             word 1: where that function resumes
//
// The chain lies on the heap, and is alive as long as the function runs. It is not trusted all the same: before a context
// is read for the first time the kernel is asked whether its page can be read, and where it resumes must be a module's
// code. Nothing here allocates, takes a lock or changes errno.
#ifndef TM_ASYNC_CHAIN_H
#define TM_ASYNC_CHAIN_H

#include <stdint.h>

#define TM_ASYNC_PARENTS_MAX 64u  // the innermost are kept
#define TM_ASYNC_PAGES 64u
#define TM_ASYNC_CODES 256u

struct tm_stack_cache;

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
uint32_t tm_async_follow(struct tm_async_chain *chain, struct tm_stack_cache *cache, uintptr_t context);

// Is the chain still as it was followed? The first context must have been compared: it and, as long as the words are equal,
// each further one is the context of a function that is waiting.
static inline int tm_async_holds(const struct tm_async_chain *chain) {
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct tm_async_link *link = &chain->links[i];
        uintptr_t words[2];
        __builtin_memcpy(words, (const void *)link->context, sizeof words);
        if (((words[0] ^ link->parent) | (words[1] ^ link->resume)) != 0) return 0;
    }
    return 1;
}

#endif

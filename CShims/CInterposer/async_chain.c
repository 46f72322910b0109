// async_chain.c: follows async contexts and gives them nodes.
#define _GNU_SOURCE
#include "async_chain.h"

#include "CRecording.h"
#include "cfi.h"
#include "stack_table.h"
#include "system_calls.h"

#include <errno.h>
#include <string.h>

#define PAGE ((uintptr_t)4096)
#define CONTEXT_ALIGNMENT ((uintptr_t)16)  // the task allocator's; hence a context's two words are on one page

void tm_async_forget(struct tm_async_chain *chain) {
    chain->count = 0;
    memset(chain->codes, 0, sizeof chain->codes);
}

// The kernel reads the signal set before it finds that -1 is nothing to do with it, so this changes nothing. Every
// program that starts threads makes this call: where system calls are filtered it is the one most likely to be allowed.
static int can_read(struct tm_async_chain *chain, uintptr_t address) {
    uintptr_t page = address & -PAGE, *seen = &chain->pages[address / PAGE % TM_ASYNC_PAGES];
    if (*seen == page) return 1;
    if (TM_CALL(rt_sigprocmask, -1, page, 0, 8, 0, 0) != -EINVAL) return 0;
    *seen = page;
    return 1;
}

static int is_code(struct tm_async_chain *chain, uintptr_t address) {
    uintptr_t *seen = &chain->codes[address * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    if (*seen == address) return 1;
    struct tm_module module;
    if (address == 0 || address >> 47 || tm_module_find(&module, address) != TM_MODULE_FOUND) return 0;
    for (size_t i = 0; i < module.segment_count; i++) {
        const Elf64_Phdr *segment = &module.segments[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        if (address - module.bias - segment->p_vaddr >= segment->p_memsz) continue;
        *seen = address;
        return 1;
    }
    return 0;
}
_Static_assert(TM_ASYNC_CODES == 1 << (64 - 56), "the hash's top bits select the entry");

static int is_known(const struct tm_async_chain *chain, uintptr_t context) {
    for (uint32_t i = 0; i < chain->count; i++)
        if (chain->links[i].context == context) return 1;
    return 0;
}

uint32_t tm_async_follow(struct tm_async_chain *chain, struct tm_stack_cache *cache, uintptr_t context) {
    chain->count = 0;
    while (context != 0 && chain->count < TM_ASYNC_PARENTS_MAX) {
        if (context % CONTEXT_ALIGNMENT != 0 || context >> 47 || is_known(chain, context) || !can_read(chain, context)) break;
        uintptr_t words[2];
        __builtin_memcpy(words, (const void *)context, sizeof words);
        if (!is_code(chain, words[1])) break;
        chain->links[chain->count++] = (struct tm_async_link){context, words[0], words[1]};
        context = words[0];
    }
    chain->is_whole = context == 0 || chain->count == TM_ASYNC_PARENTS_MAX;
    uint32_t node = chain->is_whole && context != 0 ? TM_NODE_CUT : TM_NODE_NONE;
    uint16_t flags = chain->is_whole ? TM_NODE_ASYNC : TM_NODE_ASYNC | TM_NODE_ENDED_EARLY;
    for (uint32_t i = chain->count; i-- > 0; flags = TM_NODE_ASYNC) node = tm_stack_child(cache, node, chain->links[i].resume, flags);
    chain->node = node;
    return chain->count ? node : TM_NODE_NONE;
}

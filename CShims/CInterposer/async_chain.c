// async_chain.c: follows async contexts and gives them nodes.
#define _GNU_SOURCE
#include "async_chain.h"

#include "CRecording.h"
#include "async_runtime.h"
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

static int can_ask(void) { return tm_current_task != NULL; }
static int has_task(void) { return !can_ask() || tm_current_task() != NULL; }

// The kernel reads the signal set before it finds that -1 is nothing to do with it, so this changes nothing. Every
// program that starts threads makes this call: where system calls are filtered it is the one most likely to be allowed.
static int try_page(uintptr_t page) { return TM_CALL(rt_sigprocmask, -1, page, 0, 8, 0, 0) == -EINVAL; }

// `last`: the page that was tried last in this call.
static int can_read(struct tm_async_chain *chain, uintptr_t context, uintptr_t *last) {
    uintptr_t page = context & -PAGE, *seen = &chain->pages[context / PAGE % TM_ASYNC_PAGES];
    if (page == *last || (can_ask() && *seen == page)) return 1;
    if (!try_page(page)) return 0;
    *last = *seen = page;
    return 1;
}

int tm_async_holds(const struct tm_async_chain *chain) {
    if (!has_task()) return 0;
    uintptr_t last = 0;
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct tm_async_link *link = &chain->links[i];
        uintptr_t words[2], page = link->context & -PAGE;
        if (__builtin_expect(!can_ask(), 0) && page != last && !try_page(page)) return 0;
        last = page;
        memcpy(words, (const void *)link->context, sizeof words);
        if (((words[0] ^ link->parent) | (words[1] ^ link->resume)) != 0) return 0;
    }
    return 1;
}

static int is_code(struct tm_async_chain *chain, uintptr_t address) {
    uintptr_t *seen = &chain->codes[address * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    if (*seen == address) return 1;
    struct tm_module module;
    if (address == 0 || address >> 47 || tm_module_find(&module, address) != TM_MODULE_FOUND) return 0;
    if (!tm_module_is_code(&module, address)) return 0;
    *seen = address;
    return 1;
}
_Static_assert(TM_ASYNC_CODES == 1 << (64 - 56), "the hash's top bits select the entry");

static int is_known(const struct tm_async_chain *chain, uintptr_t context) {
    for (uint32_t i = 0; i < chain->count; i++)
        if (chain->links[i].context == context) return 1;
    return 0;
}

uint32_t tm_async_follow(struct tm_async_chain *chain, uintptr_t context) {
    uintptr_t last = 0;
    chain->count = 0;
    chain->is_whole = 0;
    if (!has_task()) return TM_NODE_NONE;
    while (context != 0 && chain->count < TM_ASYNC_PARENTS_MAX) {
        if (context % CONTEXT_ALIGNMENT != 0 || context < PAGE || context >> 47 || is_known(chain, context)) break;
        if (!can_read(chain, context, &last)) break;
        uintptr_t words[2];
        __builtin_memcpy(words, (const void *)context, sizeof words);
        if (!is_code(chain, words[1])) break;
        chain->links[chain->count++] = (struct tm_async_link){context, words[0], words[1]};
        context = words[0];
    }
    chain->is_whole = context == 0 || chain->count == TM_ASYNC_PARENTS_MAX;
    uint32_t node = chain->is_whole && context != 0 ? TM_NODE_CUT : TM_NODE_NONE;
    uint16_t flags = chain->is_whole ? TM_NODE_ASYNC : TM_NODE_ASYNC | TM_NODE_ENDED_EARLY;
    const struct tm_stack_link *callees = tm_stack_callees();
    for (uint32_t i = chain->count; i-- > 0; flags = TM_NODE_ASYNC) node = tm_stack_child(callees, node, chain->links[i].resume, flags);
    chain->node = node;
    return chain->count ? node : TM_NODE_NONE;
}

// libunwind_fallback.c: the only file that knows <libunwind.h>.
#define UNW_LOCAL_ONLY
#include "libunwind_fallback.h"

#include "CRecording.h"

#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

static struct {
    __typeof__(&unw_init_local) init_local;
    __typeof__(&unw_step) step;
    __typeof__(&unw_get_reg) get_reg;
    __typeof__(&unw_is_signal_frame) is_signal_frame;
    __typeof__(&unw_set_caching_policy) set_caching_policy;
    __typeof__(&unw_flush_cache) flush_cache;
    int (*get_context)(unw_context_t *);
    unw_addr_space_t *address_space;
} api;
static int loaded;

struct scratch {
    unw_context_t context;
    unw_cursor_t cursor;
};

size_t tm_libunwind_scratch_size(void) { return sizeof(struct scratch); }
int tm_libunwind_loaded(void) { return __atomic_load_n(&loaded, __ATOMIC_ACQUIRE); }

static int find(void *library, const char *name, void *function) {
    *(void **)function = dlsym(library, name);
    return *(void **)function != NULL;
}

// The header names functions by macros that carry the CPU; their text is the symbol's name. The cache makes stepping
// several times faster, but is protected by a lock that a forked child could find held: only for comparing.
void tm_libunwind_load(int cached) {
    if (!tm_libunwind_loaded()) {
        void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
        if (!library) return;
        if (!find(library, TEXT(unw_init_local), &api.init_local) || !find(library, TEXT(unw_step), &api.step) ||
            !find(library, TEXT(unw_get_reg), &api.get_reg) || !find(library, TEXT(unw_is_signal_frame), &api.is_signal_frame) ||
            !find(library, TEXT(unw_set_caching_policy), &api.set_caching_policy) ||
            !find(library, TEXT(unw_flush_cache), &api.flush_cache) || !find(library, TEXT(unw_local_addr_space), &api.address_space) ||
            !find(library, TEXT(UNW_ARCH_OBJ(getcontext)), &api.get_context))
            return;
        __atomic_store_n(&loaded, 1, __ATOMIC_RELEASE);
    }
    api.set_caching_policy(*api.address_space, cached ? UNW_CACHE_GLOBAL : UNW_CACHE_NONE);
}

void tm_libunwind_forget(void) {
    if (tm_libunwind_loaded()) api.flush_cache(*api.address_space, 0, 0);
}

// Steps through the frames of this library first: only they know where the caller's registers were saved.
__attribute__((noinline)) size_t tm_libunwind_walk(uintptr_t pc, uintptr_t sp, struct tm_foreign_frame *frames, size_t max, void *memory) {
    struct scratch *scratch = memory;
    int saved = errno, stepped = 1;
    size_t count = 0;
    uint16_t flags = 0;
    api.get_context(&scratch->context);
    if (api.init_local(&scratch->cursor, &scratch->context) < 0) stepped = 0;
    while (stepped > 0 && count < max) {
        unw_word_t here, at;
        if (api.get_reg(&scratch->cursor, UNW_REG_IP, &here) < 0 || api.get_reg(&scratch->cursor, UNW_REG_SP, &at) < 0) break;
        if (here == 0) break;
        if (count != 0 || (here == pc && at == sp)) frames[count++] = (struct tm_foreign_frame){here, flags};
        else if (at > sp) break;
        flags = api.is_signal_frame(&scratch->cursor) > 0 ? TM_NODE_SIGNAL : 0;
        stepped = api.step(&scratch->cursor);
    }
    if (stepped < 0 && count != 0) frames[count - 1].flags |= TM_NODE_ENDED_EARLY;
    errno = saved;
    return count;
}

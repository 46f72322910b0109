// own_frees.c: frees in moments of the tracer's own, in a program that links it.
//
// What such a moment allocates is not recorded, but what it frees may be the program's: the Swift runtime grows its tables on
// whatever thread happens to need them. So each free is said (TM_EVENT_OWN_FREE), and means nothing where the block is not known.
// It must not wait: the thread may hold what the collector needs, or be the collector's. A block whose free cannot be said now is
// kept, and freed when it can.
#include "own_frees.h"

#include <errno.h>
#include <string.h>

#include "interposer.h"
#include "real_allocator.h"
#include "sampled_blocks.h"

// A kept block's first word leads to the next one.
struct kept {
    struct kept *next;
};

static struct kept *kept;      // anyone adds, whoever frees takes all
static struct kept *backlog;   // taken already; belongs to the holder of the lock
static uint32_t lock;

static bool say(struct tm_thread *thread, const void *block, bool may_wait) {
    uint64_t now = __atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE);
    if (now < TM_FIRST_EPOCH || !tm_sampled_blocks_may_have(block)) return true;
    uint64_t outside = thread->ignored ? thread->epoch_outside : thread->epoch;
    if (!may_wait) {
        // A thread without a ring of its own would have to wait for one.
        if (outside != now) return tm_try_shared_ring(TM_EVENT_OWN_FREE, block);
        if (thread->head - thread->tail > thread->mask && !tm_find_room(thread)) return false;
    }
    struct tm_word word;
    bool entered = tm_word_begin(thread, &word);
    if (entered) tm_put_event(thread, TM_EVENT_OWN_FREE, (uintptr_t)block, 0, 0);
    tm_word_end(thread, &word, entered);
    return true;
}

// What small blocks held is cleared: the allocator keeps them as they are, and a search for leaks cannot tell all of them from
// blocks in use.
#define LARGEST_CLEARED 1040u

static void give_back(void *block) {
    size_t size = tm_real.malloc_usable_size(block);
    if (size <= LARGEST_CLEARED) memset(block, 0, size);
    if (__builtin_expect(tm_sampled_blocks.interval != 0, 0)) tm_sampled_blocks_remove(block);
    tm_real.free(block);
}

static void keep(struct kept *block) {
    block->next = __atomic_load_n(&kept, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&kept, &block->next, block, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
}

static void free_kept(struct tm_thread *thread, bool may_wait) {
    if (!tm_swap32(&lock, 0, 1)) return;
    for (;;) {
        if (!backlog) backlog = __atomic_exchange_n(&kept, NULL, __ATOMIC_ACQUIRE);
        if (!backlog || !say(thread, backlog, may_wait)) break;
        struct kept *block = backlog;
        backlog = block->next;
        give_back(block);
    }
    tm_store32(&lock, 0);
}

static bool anything_is_kept(void) {
    return __atomic_load_n(&kept, __ATOMIC_RELAXED) || __atomic_load_n(&backlog, __ATOMIC_RELAXED);
}

void tm_own_free(struct tm_thread *thread, void *block) {
    int saved_errno = errno;
    if (say(thread, block, false)) {
        give_back(block);
        if (anything_is_kept()) free_kept(thread, false);
    } else {
        keep(block);
    }
    errno = saved_errno;
}

bool tm_own_frees_settled(void) {
    if (anything_is_kept()) free_kept(&tm_thread, false);
    return !anything_is_kept();
}

void tm_own_frees_end(struct tm_thread *thread) {
    if (__builtin_expect(!anything_is_kept(), 1)) return;
    int saved_errno = errno;
    free_kept(thread, true);
    errno = saved_errno;
}

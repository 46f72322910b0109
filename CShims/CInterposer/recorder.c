// recorder.c: the unusual moments of a thread's recording: joining, a full ring, the shared ring, reentrance.
#define _GNU_SOURCE
#include "recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "interposer.h"
#include "lifecycle.h"
#include "real_allocator.h"
#include "sample_draw.h"
#include "system_calls.h"

_Alignas(TM_PAGE) union tm_process_page tm_page;
_Thread_local struct tm_thread tm_thread __attribute__((tls_model("initial-exec")));

// Private memory of the thread that owns ring i: its unwinder. It outlives the thread with the ring.
static unsigned char *places;
static size_t place_size;

// Places that became too small. In one process that is started again with other limits, threads may still be inside a hook: their old
// places stay, and so do the addresses of stacks in them. Each time the size doubles, so there are never more.
static struct {
    uint64_t start, end;
} outgrown[64];
static unsigned outgrown_count;

bool tm_recorder_prepare(uint32_t frame_limit) {
    size_t size = (tm_unwinder_size(frame_limit) + TM_PAGE - 1) & ~(size_t)(TM_PAGE - 1);
    if (places && tm_recording.is_private) {
        if (size <= place_size) return true;
        if (size < 2 * place_size) size = 2 * place_size;
    }
    unsigned char *wider = tm_map(size * TM_RINGS_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (!wider) return false;
    // A program with one thread touches a few pages of this, not a huge one.
    TM_CALL(madvise, wider, size * TM_RINGS_MAX, MADV_NOHUGEPAGE, 0, 0, 0);
    if (places && tm_recording.is_private) {
        tm_recorder_memory(&outgrown[outgrown_count].start, &outgrown[outgrown_count].end);
        tm_store32(&outgrown_count, outgrown_count + 1);
    } else if (places) {
        // In a fork child these are copies of the parent's.
        TM_CALL(munmap, places, place_size * TM_RINGS_MAX, 0, 0, 0, 0);
    }
    places = wider;
    place_size = size;
    return true;
}

void tm_recorder_memory(uint64_t *start, uint64_t *end) {
    *start = (uintptr_t)places;
    *end = *start + place_size * TM_RINGS_MAX;
}

bool tm_outgrown_memory(unsigned index, uint64_t *start, uint64_t *end) {
    if (index >= tm_load32(&outgrown_count)) return false;
    *start = outgrown[index].start;
    *end = outgrown[index].end;
    return true;
}

// The thread is the ring's producer from now on. The collector may look at the ring already: it is counted.
static void open_ring(struct tm_thread *thread, struct tm_ring *ring) {
    if (ring->capacity == 0) {
        ring->at = ring->place;
        tm_store32(&ring->capacity, tm_load32(&ring->reserved_capacity));
    }
    thread->ring = ring;
    thread->events = tm_recording.events + ring->at;
    thread->mask = ring->capacity - 1;
    thread->head = tm_load64(&ring->head);
    thread->tail = tm_ring_tail(ring);
    thread->quick_end = 0;
    thread->holder = &tm_recording.header->turn.holder;
}

static void use_ring(struct tm_thread *thread, uint64_t index) {
    open_ring(thread, &tm_recording.rings[index]);
    thread->unwinder = (struct tm_unwinder *)(places + index * place_size);
    thread->shares_ring = index == 0;
    tm_turn_begin(&thread->turn, index ? index + TM_TURN_FIRST : 0);
    tm_unwinder_thread_start(thread->unwinder);
}

static void begin_sampling(struct tm_thread *thread) {
    uint64_t interval = tm_sampled_blocks.interval;
    thread->last_sampled = NULL;
    if (!interval) {
        thread->until_sample = 0;
    } else if (!thread->random || !thread->until_sample) {
        uint64_t seed = (tm_nanoseconds(CLOCK_MONOTONIC) ^ (uintptr_t)thread) + (uint64_t)tm_thread_id() * UINT64_C(0x9e3779b97f4a7c15);
        thread->random = (seed ^ seed >> 31) * UINT64_C(0xd6e8feb86659fd93) | 1;
        thread->until_sample = tm_sample_draw(&thread->random, interval);
    }
}

// A block that exists; one that is sampled is known as such from now on.
static bool is_sampled(struct tm_thread *thread, const void *block, uint64_t size) {
    thread->last_sampled = NULL;
    if (size < thread->until_sample) {
        thread->until_sample -= size;
        return false;
    }
    thread->until_sample = tm_sample_draw(&thread->random, tm_sampled_blocks.interval);
    if (!tm_sampled_blocks_add(block)) {
        tm_add64(&tm_recording.header->lost_events, 1);
        return false;
    }
    thread->last_sampled = block;
    return true;
}

bool tm_allocated_in_sample(
    struct tm_thread *thread, uint32_t kind, const void *block, uint64_t size, const struct tm_frame_record *hook) {
    if (!is_sampled(thread, block, size)) return false;
    tm_put_event(thread, kind, (uintptr_t)block, size, tm_unwinder_stack(thread->unwinder, hook));
    return true;
}

// A ring that nobody uses, else a new one. 0: there is none, the thread shares ring 0.
static uint64_t take_ring(uint32_t thread_id) {
    struct tm_area *area = &tm_recording.header->rings;
    for (;;) {
        uint64_t used = tm_load64(&area->used);
        for (uint64_t i = 1; i < used; i++) {
            struct tm_ring *ring = &tm_recording.rings[i];
            // The kernel gave this thread the number of one that is gone.
            if (tm_load32(&ring->state) == TM_RING_LIVE && tm_load32(&ring->tid) == thread_id)
                tm_swap32(&ring->state, TM_RING_LIVE, TM_RING_DEAD);
            if (tm_load32(&ring->state) == TM_RING_FREE && tm_swap32(&ring->state, TM_RING_FREE, TM_RING_LIVE)) {
                tm_store32(&ring->tid, thread_id);
                return i;
            }
        }
        if (used < tm_load64(&area->reserved)) {
            struct tm_ring *ring = &tm_recording.rings[used];
            // Live before it is counted: whoever counts it first owns it, and nobody scans it before that.
            if (!__atomic_compare_exchange_n(&area->used, &used, used + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
            if (!tm_swap32(&ring->state, TM_RING_FREE, TM_RING_LIVE)) continue;
            tm_store32(&ring->tid, thread_id);
            return used;
        }
        if (used >= area->capacity || tm_load32(&area->refused)) return 0;
        if (tm_area_wait(area, used + 1) != TM_WAIT_AGAIN) return 0;
    }
}

static void lock_shared_ring(void) {
    uint32_t *lock = &tm_recording.rings[0].lock;
    if (tm_swap32(lock, 0, 1)) return;
    while (tm_exchange32(lock, 2) != 0) tm_futex_wait(lock, 2, 50);
}

void tm_shared_ring_unlock(void) {
    uint32_t *lock = &tm_recording.rings[0].lock;
    if (tm_exchange32(lock, 0) == 2) tm_futex_wake(lock, 1);
}

bool tm_try_shared_ring(uint32_t kind, const void *block) {
    struct tm_ring *ring = &tm_recording.rings[0];
    if (!tm_swap32(&ring->lock, 0, 1)) return false;
    struct tm_thread nobody = {0};
    open_ring(&nobody, ring);
    bool has_room = nobody.head - nobody.tail <= nobody.mask;
    if (has_room) tm_put_event(&nobody, kind, (uintptr_t)block, 0, 0);
    tm_shared_ring_unlock();
    return has_room;
}

#define QUICK_SIZES (UINT64_C(1) << 32)  // those that need 32 bits

// Takes part in the recording `epoch`. On return the thread is ready; ring 0 is left locked if the thread shares it.
static void join(struct tm_thread *thread) {
    uint64_t ring = take_ring((uint32_t)tm_thread_id());
    if (ring == 0) lock_shared_ring();
    use_ring(thread, ring);
    begin_sampling(thread);
}

bool tm_enter_slow(struct tm_thread *thread) {
    int saved_errno = errno;
    bool recorded = false;
    uint64_t now = __atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE);
    if (thread->internal || thread->ignored) {
        // The tracer itself. What it allocates at start-up comes from the arena (hooks.c).
        if (!__atomic_load_n(&tm_real_is_known, __ATOMIC_ACQUIRE) && !thread->internal) {
            thread->internal = true;
            tm_real_find();
            thread->internal = false;
        }
    } else if (thread->epoch == TM_INSIDE) {
        // A signal handler that interrupted a hook on this thread. In a fork child that was made by such a handler the
        // recording is not mapped.
        if (now >= TM_FIRST_EPOCH) tm_add64(&tm_recording.header->reentrant_events, 1);
    } else {
        thread->internal = true;
        if (!__atomic_load_n(&tm_real_is_known, __ATOMIC_ACQUIRE)) tm_real_find();
        if (now == TM_UNDECIDED) now = tm_lifecycle_decide();
        if (now >= TM_FIRST_EPOCH) {
            join(thread);
            thread->epoch = thread->joined = now;
            thread->quick_sizes = thread->shares_ring || tm_sampled_blocks.interval ? 0 : QUICK_SIZES;
            recorded = true;
        }
        thread->internal = false;
    }
    errno = saved_errno;
    return recorded;
}

// ---- Memory of a ring: see struct tm_ring
// The collector knows where the events are that it has consumed; it may not know yet of a move after them.
static bool may_move(const struct tm_ring *ring) { return ring->moved == 0 || tm_load64(&ring->tail) > ring->moved; }

// The next event is written there.
static void move(struct tm_thread *thread, uint64_t at, uint32_t capacity) {
    struct tm_ring *ring = thread->ring;
    ring->at = at;
    tm_store64(&ring->moved, thread->head);
    tm_store32(&ring->capacity, capacity);
    thread->events = tm_recording.events + at;
    thread->mask = capacity - 1;
    thread->tail = thread->head;
}

static void move_to_other(struct tm_thread *thread) {
    struct tm_ring *ring = thread->ring;
    uint32_t at = ring->other_at, capacity = ring->other_capacity;
    ring->other_at = (uint32_t)ring->at;
    ring->other_capacity = ring->capacity;
    move(thread, at, capacity);
}

static void move_to_granted(struct tm_thread *thread, uint32_t capacity) {
    struct tm_ring *ring = thread->ring;
    uint32_t home = tm_recording.header->ring_capacity_home;
    if (ring->capacity <= home) {
        ring->other_at = (uint32_t)ring->at;
        ring->other_capacity = capacity > home ? ring->capacity : 0;
    }
    move(thread, tm_load64(&ring->place), capacity);
}

// Back to where the caches are not spoilt, when the collector has caught up.
static void move_home(struct tm_thread *thread) {
    struct tm_ring *ring = thread->ring;
    if (ring->other_capacity == 0 || ring->other_capacity > ring->capacity) return;
    if (thread->head - tm_load64(&ring->tail) <= ring->other_capacity / 2 && may_move(ring)) move_to_other(thread);
}

bool tm_find_room(struct tm_thread *thread) {
    struct tm_ring *ring = thread->ring;
    thread->tail = tm_ring_tail(ring);
    if (thread->head - thread->tail <= thread->mask) return true;
    if (!may_move(ring)) return false;
    uint32_t granted = tm_load32(&ring->reserved_capacity);
    bool is_new = granted > ring->capacity && granted > ring->other_capacity;
    if (is_new && granted <= tm_recording.header->ring_capacity_max) move_to_granted(thread, granted);
    else if (ring->other_capacity > ring->capacity) move_to_other(thread);
    else return false;
    return true;
}

// The ring is full: the program waits for the collector, so that nothing is lost. Returns false when the collector died:
// tracing is over and the program goes on.
static bool wait_for_room(struct tm_thread *thread) {
    struct tm_ring *ring = thread->ring;
    for (int spin = 0; spin < 200; spin++) {
        if (tm_find_room(thread)) return true;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    ring->waits++;
    // The last wait was in vain: do not stand still for each event that does not fit.
    if (thread->gave_up && thread->head - thread->tail > thread->mask) {
        tm_add64(&tm_recording.header->lost_events, 1);
        return false;
    }
    thread->gave_up = false;
    for (struct tm_patience patience = {0};;) {
        uint32_t seen = tm_load32(&ring->wake);
        tm_exchange32(&ring->waiting, 1);
        if (tm_find_room(thread)) break;
        tm_doorbell();
        tm_wait_for_collector(&ring->wake, seen, &patience);
        if (!tm_collector_lives(&patience)) {
            tm_store32(&ring->waiting, 0);
            if (tm_recording.is_private) {
                tm_add64(&tm_recording.header->lost_events, 1);
                thread->gave_up = true;
            } else {
                tm_lifecycle_abandon();
            }
            return false;
        }
    }
    tm_store32(&ring->waiting, 0);
    return true;
}

bool tm_new_time(struct tm_thread *thread) {
    struct tm_ring *ring = thread->ring;
    uint64_t head = thread->head;
    if (head - thread->tail > thread->mask) {
        // Nothing is claimed while the thread waits: the collector would wait for it in turn.
        __atomic_store_n(&ring->claim, head, __ATOMIC_RELAXED);
        if (!wait_for_room(thread)) return false;
        __atomic_store_n(&ring->claim, head + 1, __ATOMIC_RELAXED);
    }
    move_home(thread);
    int is_fenced = tm_recording.fence == TM_FENCE_PRODUCER;
    if (is_fenced) tm_fence();
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread->time_kind = tm_turn_read_clock(&thread->turn, head) << TM_KIND_BITS;
    uint64_t until = thread->turn.until, full = thread->tail + thread->mask + 1;
    // Whether the thread has the turn is asked for each event; if it has got it now, for so many. One without a number never has it:
    // what says so is what says that nobody has it.
    if (is_fenced || !thread->turn.number) thread->quick_end = 0;
    else thread->quick_end = until > head && until < full ? until : full;
    return true;
}

// Most of a place is never touched: the kernel knows what is. All of it when it does not say.
static uint64_t touched_memory(uint64_t start, uint64_t end) {
    uint64_t touched = 0;
    unsigned char is_touched[1024];
    for (uint64_t at = start; at < end; at += sizeof is_touched * TM_PAGE) {
        uint64_t count = (end - at) / TM_PAGE < sizeof is_touched ? (end - at) / TM_PAGE : sizeof is_touched;
        if (TM_CALL(mincore, at, count * TM_PAGE, is_touched, 0, 0, 0) != 0) return end - start;
        for (uint64_t page = 0; page < count; page++) touched += is_touched[page] & 1;
    }
    return touched * TM_PAGE;
}

uint64_t tm_private_memory(void) {
    uint64_t rings = tm_recording.header ? tm_load64(&tm_recording.header->rings.used) : 0;
    uint64_t memory = touched_memory((uintptr_t)places, (uintptr_t)places + place_size * rings) + sizeof(struct tm_ring) * rings;
    uint64_t start, end;
    for (unsigned index = 0; tm_outgrown_memory(index, &start, &end); index++) memory += touched_memory(start, end);
    return memory;
}

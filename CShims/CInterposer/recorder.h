// recorder.h: what a hook says about the call it stands for. The verbs: enter, allocated, freeing, leave.
//
// A hook is: tm_enter, the real call, one verb, tm_leave. Where tm_enter says no, the call is passed on unrecorded.
#ifndef TM_RECORDER_H
#define TM_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"
#include "images.h"
#include "recording.h"
#include "sampled_blocks.h"
#include "stack_table.h"
#include "turn.h"
#include "unwinder.h"

// The state of this process image. The page is zeroed in every child that has its own memory (MADV_WIPEONFORK), however
// the child was made: it finds itself undecided and begins a recording of its own, without any bookkeeping at fork.
struct tm_process {
    uint64_t epoch;  // TM_UNDECIDED, TM_OFF, or the number of the recording that threads take part in
};

#define TM_UNDECIDED UINT64_C(0)
#define TM_OFF UINT64_C(1)
#define TM_INSIDE UINT64_C(2)  // only in tm_thread.epoch: this thread is inside a hook
#define TM_FIRST_EPOCH UINT64_C(3)

union tm_process_page {
    struct tm_process process;
    unsigned char bytes[TM_PAGE];
};

extern union tm_process_page tm_page __attribute__((visibility("hidden")));

// One per thread. After fork the child's copy holds an epoch of the parent's, which is not its own. First what each event needs.
struct tm_thread {
    uint64_t epoch;
    uint64_t quick_sizes;    // a call for fewer bytes needs tm_is_quick's way only; 0: none does, and no free
    uint64_t until_sample;   // bytes before the next sampled one; always 0 where every block is recorded
    uint64_t joined;         // the recording that it has a ring of
    uint64_t head;
    uint64_t quick_end;  // the first event that needs more than the turn: room, or the clock; 0: each does
    uint64_t time_kind;  // the time of the last event, in its place for the next
    uint64_t mask;       // of positions: the ring's capacity - 1
    struct tm_ring *ring;
    struct tm_event *events;
    const uint64_t *holder;  // of the turn
    struct tm_turn_of_thread turn;
    struct tm_unwinder *unwinder;
    uint64_t tail;       // of the last look: more may have been consumed
    uint64_t epoch_outside;  // the epoch to go back to when `ignored` is over
    bool internal;       // the tracer's start-up runs on this thread: it allocates from the arena
    uint32_t ignored;    // a moment of the tracer's own in a program that links it: how deeply nested. Nothing is recorded
    uint64_t random;     // state of the draws
    const void *last_sampled;  // the sampled block after which nothing was allocated; NULL: none
    bool gave_up;        // the last wait for room in the ring was in vain
    bool shares_ring;    // ring 0, under its lock
};

extern _Thread_local struct tm_thread tm_thread __attribute__((tls_model("initial-exec")));

// Its address, in one register: what the compiler knows to be thread-local it addresses by two.
static inline __attribute__((always_inline)) struct tm_thread *tm_this_thread(void) {
    struct tm_thread *thread = &tm_thread;
    __asm__("" : "+r"(thread));
    return thread;
}

// Makes the private memory of threads for a new recording. False when there is none to be had.
bool tm_recorder_prepare(uint32_t frame_limit);
// Where that memory lies.
void tm_recorder_memory(uint64_t *start, uint64_t *end);

bool tm_enter_slow(struct tm_thread *thread);

// Up to where a producer's present memory is free again.
static inline uint64_t tm_ring_tail(const struct tm_ring *ring) {
    uint64_t tail = tm_load64(&ring->tail);
    return tail < ring->moved ? ring->moved : tail;
}

// Whether this call is to be recorded. If so the thread is inside a hook until tm_leave, and `*epoch` is for tm_leave.
static inline bool tm_enter(struct tm_thread *thread, uint64_t *epoch) {
    uint64_t now = __atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE);
    if (__builtin_expect(thread->epoch != now || now == TM_UNDECIDED, 0)) {
        if (now == TM_OFF || !tm_enter_slow(thread)) return false;
        now = thread->epoch;
    }
    *epoch = now;
    thread->epoch = TM_INSIDE;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return true;
}

// A thread that shares ring 0 takes its lock in tm_enter_slow, for each call anew.
void tm_shared_ring_unlock(void);

static inline void tm_leave(struct tm_thread *thread, uint64_t epoch) {
    if (__builtin_expect(thread->shares_ring, 0)) {
        tm_shared_ring_unlock();
        epoch = TM_UNDECIDED;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread->epoch = epoch;
}

// Whether there is room for one more event, in other memory of the ring if not in the present one. Never waits.
bool tm_find_room(struct tm_thread *thread);

// The place of an event was read by the collector, most often on another processor, and to get it back takes as long as the rest of a
// free (8 to 10 ns). So many events ahead, a KB, that is over in time even where a program does nothing but allocate.
enum { TM_EVENTS_AHEAD = 40 };

// What is called seldom from where many registers are in use.
#define TM_KEEPS_REGISTERS __attribute__((preserve_most, noinline))

// The time of the next event, when it is not that of the one before: waits for room, and reads the clock. False: the event is lost.
TM_KEEPS_REGISTERS bool tm_new_time(struct tm_thread *thread);

// One more event, in the words of struct tm_event. The claim tells the collector that an event may appear whose time is already taken;
// see "horizon" in CRecording.h.
static inline __attribute__((always_inline)) void tm_put_words(
    struct tm_thread *thread, uint32_t kind, uint64_t address_size, uint64_t stack_size) {
    uint64_t head = thread->head;
    __atomic_store_n(&thread->ring->claim, head + 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(head >= thread->quick_end || tm_load64(thread->holder) != thread->turn.number, 0))
        if (!tm_new_time(thread)) return;
    struct tm_event *event = &thread->events[head & thread->mask];
    tm_cpu_fetch_to_write(event + TM_EVENTS_AHEAD);
    event->time_kind = thread->time_kind | kind;
    event->address_size = address_size;
    event->stack_size = stack_size;
    thread->head = head + 1;
    tm_store64(&thread->ring->head, head + 1);
}

static inline __attribute__((always_inline)) void tm_put_event(
    struct tm_thread *thread, uint32_t kind, uint64_t address, uint64_t size, uint32_t stack) {
    uint64_t address_size = (address & ((UINT64_C(1) << TM_ADDRESS_BITS) - 1)) | size >> 32 << TM_ADDRESS_BITS;
    tm_put_words(thread, kind, address_size, stack | size << 32);
}

// Whether a call of `size` bytes has nothing to say, because no byte of it is sampled: then the real call is all that is left
// to do. Outside of a hook; `epoch` is the process's.
static inline __attribute__((always_inline)) bool tm_is_passed_over(struct tm_thread *thread, uint64_t size, uint64_t epoch) {
    if (__builtin_expect(size >= thread->until_sample, 1)) return false;
    if (thread->epoch != epoch) return false;
    thread->until_sample -= size;
    thread->last_sampled = NULL;
    return true;
}

// After a failed realloc the block lives on. False: its place was taken, and it is as if it had been freed.
static inline bool tm_is_sampled_again(const void *block) {
    return tm_sampled_blocks.interval == 0 || tm_sampled_blocks_add(block);
}

// What a moment of the tracer's own has to be given back.
struct tm_word {
    uint64_t epoch;
    uint32_t ignored;
};

// Whether something may be said, also from such a moment. tm_word_end follows in any case.
bool tm_word_begin(struct tm_thread *thread, struct tm_word *word);
void tm_word_end(struct tm_thread *thread, const struct tm_word *word, bool entered);

// Says something about a block on ring 0, without ever waiting. False: there is no room, or somebody else is at it.
bool tm_try_shared_ring(uint32_t kind, const void *block);

// The same as below, where blocks are sampled.
bool tm_allocated_in_sample(
    struct tm_thread *thread, uint32_t kind, const void *block, uint64_t size, const struct tm_frame_record *hook);

// A block exists now: say it after the real call. False: it is not one of the sampled ones.
static inline __attribute__((always_inline)) bool tm_allocated(
    struct tm_thread *thread, uint32_t kind, const void *block, uint64_t size, const struct tm_frame_record *hook) {
    if (__builtin_expect(tm_sampled_blocks.interval != 0, 0)) return tm_allocated_in_sample(thread, kind, block, size, hook);
    tm_put_event(thread, kind, (uintptr_t)block, size, tm_unwinder_stack(thread->unwinder, hook));
    return true;
}

// A block is about to go (TM_EVENT_FREE, TM_EVENT_REALLOC_RELEASE): say it before the real call, after which another
// thread may be given the address. False: it was not one of the sampled ones.
static inline bool tm_freeing(struct tm_thread *thread, uint32_t kind, const void *block) {
    uint64_t has_allocated = 0;
    if (__builtin_expect(tm_sampled_blocks.interval != 0, 0)) {
        if (!tm_sampled_blocks_remove(block)) return false;
        has_allocated = kind == TM_EVENT_FREE && thread->last_sampled != block;
    }
    tm_put_event(thread, kind, (uintptr_t)block, has_allocated, 0);
    return true;
}

// ---- The quick way: nearly each call of a program of which every block is recorded
// The thread takes part and has a ring of its own, each block is recorded, and the size needs 32 bits: what follows asks no more.
// `epoch`: the process's.
static inline __attribute__((always_inline)) bool tm_is_quick(const struct tm_thread *thread, uint64_t epoch, uint64_t size) {
    return __builtin_expect(thread->epoch == epoch, 1) && __builtin_expect(size < thread->quick_sizes, 1);
}

static inline void tm_enter_quickly(struct tm_thread *thread) {
    thread->epoch = TM_INSIDE;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void tm_leave_quickly(struct tm_thread *thread) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread->epoch = thread->joined;
}

static inline __attribute__((always_inline)) void tm_allocated_quickly(
    struct tm_thread *thread, uint32_t kind, const void *block, uint64_t size, const struct tm_frame_record *hook) {
    uint64_t stack = tm_unwinder_stack(thread->unwinder, hook);
    tm_put_words(thread, kind, (uintptr_t)block, stack | size << 32);
}

static inline __attribute__((always_inline)) void tm_freeing_quickly(struct tm_thread *thread, uint32_t kind, const void *block) {
    tm_put_words(thread, kind, (uintptr_t)block, 0);
}

#endif

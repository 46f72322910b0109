// words.c: events that the program asks for, also from moments of the tracer's own, which are not recorded otherwise.
#include "words.h"

#include <string.h>

#include "frame_record.h"
#include "interposer.h"
#include "own_frees.h"
#include "recorder.h"

bool tm_word_begin(struct tm_thread *thread, struct tm_word *word) {
    word->ignored = thread->ignored;
    if (word->ignored) {
        thread->epoch = thread->epoch_outside;
        thread->ignored = 0;
    }
    return tm_enter(thread, &word->epoch);
}

void tm_word_end(struct tm_thread *thread, const struct tm_word *word, bool entered) {
    if (entered) tm_leave(thread, word->epoch);
    if (!word->ignored) return;
    thread->epoch_outside = thread->epoch;
    thread->ignored = word->ignored;
    thread->epoch = TM_INSIDE;
}

bool tm_say(enum tm_control control, const char *text) {
    struct tm_thread *thread = &tm_thread;
    struct tm_word word;
    bool entered = tm_word_begin(thread, &word);
    if (entered) {
        uint64_t argument = text && *text ? tm_text_add(text, strlen(text)) : 0;
        tm_put_event(thread, TM_EVENT_CONTROL, control, argument, 0);
    }
    tm_word_end(thread, &word, entered);
    return entered;
}

bool tm_mark(const char *name) { return tm_say(TM_CONTROL_MARK, name); }
bool tm_reset_peak(void) { return tm_say(TM_CONTROL_RESET_PEAK, NULL); }
bool tm_clear(void) { return tm_say(TM_CONTROL_CLEAR, NULL); }

// ---- Ranges that the program tracks by itself
// Both events under one entry: on a ring that several threads share nothing comes between them.
static bool say_of_range(uint32_t kind, uint32_t domain, const void *address, uint64_t size, uint32_t stack) {
    struct tm_thread *thread = &tm_thread;
    struct tm_word word;
    bool entered = tm_word_begin(thread, &word);
    if (entered) {
        tm_put_event(thread, TM_EVENT_DOMAIN, domain, 0, 0);
        tm_put_event(thread, kind, (uintptr_t)address, size, stack);
    }
    tm_word_end(thread, &word, entered);
    return entered;
}

bool tm_track(uint32_t domain, const void *address, uint64_t size, uint32_t stack) {
    return say_of_range(TM_EVENT_TRACK, domain, address, size, stack);
}

bool tm_untrack(uint32_t domain, const void *address) { return say_of_range(TM_EVENT_UNTRACK, domain, address, 0, 0); }

__attribute__((noinline)) uint32_t tm_stack_here(unsigned own_frames) {
    struct tm_thread *thread = &tm_thread;
    struct tm_word word;
    bool entered = tm_word_begin(thread, &word);
    uint32_t stack = entered ? tm_unwinder_stack(thread->unwinder, TM_FRAME_RECORD) : 0;
    for (; own_frames && stack >= TM_NODE_FIRST && stack < TM_NODES_MAX; own_frames--) {
        // The outermost frame stays: a stack has one at least.
        uint32_t parent = tm_recording.nodes[stack].parent;
        if (parent < TM_NODE_FIRST) break;
        stack = parent;
    }
    tm_word_end(thread, &word, entered);
    return stack;
}

// ---- Moments of the tracer's own
void tm_ignore_begin(void) {
    struct tm_thread *thread = &tm_thread;
    if (thread->ignored++) return;
    thread->epoch_outside = thread->epoch;
    thread->epoch = TM_INSIDE;
    // What it allocates is not recorded, and may belong to the Swift runtime: not all blocks are known any more.
    if (__atomic_load_n(&tm_page.process.epoch, __ATOMIC_ACQUIRE) >= TM_FIRST_EPOCH) tm_store64(&tm_recording.header->own_moments, 1);
}

void tm_collect_begin(void) {
    tm_ignore_begin();
    tm_collected_by_this_thread();
}

void tm_ignore_end(void) {
    struct tm_thread *thread = &tm_thread;
    if (--thread->ignored) return;
    thread->epoch = thread->epoch_outside;
    tm_own_frees_end(thread);
}

uint64_t tm_recording_now(void) {
    if (tm_recording.clock == TM_CLOCK_SHARED) return tm_load64(&tm_recording.header->shared_clock);
    return tm_clock_after();
}

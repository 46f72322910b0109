// turn.c: taking the turn, and when it is worth it.
#include "turn.h"

#include <stdbool.h>

enum {
    REPEATED = 64,           // events at most that take the time of one before
    COARSE = 1 << 13,        // ticks (2 to 4 µs) that such a time may be out of date, about: lifetimes are known so well
    SOON = 1 << 15,          // ticks after which the turn may as well be taken from another thread
    QUICK_MAX = 2,           // how often in a row it may be taken sooner
    TRIES_MAX = 3,           // how often the turn may be lost while the clock is read
    PATIENCE_MIN = 1 << 10,
    PATIENCE_MAX = 1 << 16,
    LONG = 1 << 20,          // ticks of one holder that make the others' patience small again
};

void tm_turn_begin(struct tm_turn_of_thread *thread, uint64_t number) {
    *thread = (struct tm_turn_of_thread){.number = number};
}

static uint64_t read_clock(void) {
#if defined(__x86_64__) || defined(__aarch64__)
    if (__builtin_expect(tm_recording.clock != TM_CLOCK_SHARED, 1)) return tm_clock_before();
#endif
    return __atomic_add_fetch(&tm_recording.header->shared_clock, 1, __ATOMIC_SEQ_CST);
}

// After so many events it may be that the other threads have gone quiet.
static bool tries_again(struct tm_turn_of_thread *thread, struct tm_turn *turn) {
    uint32_t patience = tm_load32(&turn->patience);
    if (!thread->number || ++thread->under_all < (patience < PATIENCE_MIN ? PATIENCE_MIN : patience)) return false;
    thread->under_all = 0;
    tm_store32(&turn->patience, patience < PATIENCE_MIN ? PATIENCE_MIN : patience < PATIENCE_MAX ? patience * 2 : PATIENCE_MAX);
    tm_store32(&turn->quick, 0);
    return true;
}

static void note_holder(struct tm_turn *turn, const struct tm_turn_of_thread *thread, uint64_t seen, uint64_t time) {
    uint64_t held = time - tm_load64(&turn->since);
    if (seen == thread->number) {
        if (held > LONG && tm_load32(&turn->patience) > PATIENCE_MIN) tm_store32(&turn->patience, PATIENCE_MIN);
    } else if (seen != TM_TURN_NOBODY) {
        tm_store32(&turn->quick, held < SOON ? tm_load32(&turn->quick) + 1 : 0);
        tm_store64(&turn->since, time);
    }
}

// How many of the next events may take this time, if they come as fast as the last ones.
static uint64_t repeats(const struct tm_turn_of_thread *thread, uint64_t event, uint64_t time) {
    uint64_t events = event - thread->read_at;
    uint64_t ticks = events ? (time - thread->time) / events : COARSE + 1;
    return ticks <= COARSE / REPEATED ? REPEATED : COARSE / ticks;
}

__attribute__((noinline)) uint64_t tm_turn_read_clock(struct tm_turn_of_thread *thread, uint64_t event) {
    struct tm_turn *turn = &tm_recording.header->turn;
    for (unsigned tries = 0;; tries++) {
        uint64_t seen = tm_load64(&turn->holder), wanted = seen;
        // A thread that cannot have the turn takes it from others all the same: 0 is TM_TURN_NOBODY.
        if (seen == TM_TURN_ALL ? !tries && tries_again(thread, turn) : !thread->number || seen != thread->number)
            wanted = tries > TRIES_MAX || tm_load32(&turn->quick) > QUICK_MAX ? TM_TURN_ALL : thread->number;
        if (wanted != seen) {
            tm_add64(&turn->takes, 1);
            __atomic_store_n(&turn->holder, wanted, __ATOMIC_SEQ_CST);
        }
        uint64_t time = read_clock();
        // The upper bit of a clock is 0: the place depends on the time only so that the look comes after it.
        if (tm_load64(&turn->holder + (time >> 63)) != wanted) continue;
        if (wanted > TM_TURN_ALL) {
            note_holder(turn, thread, seen, time);
            thread->until = event + 1 + repeats(thread, event, time);
        }
        thread->time = time;
        thread->read_at = event;
        return time;
    }
}

// turn.h: the time of an event, most often without reading the clock.
//
// Times put the events of different threads in order; they are the dearest part of an event (20 to 30 ns of 40). The thread
// that wrote the last event keeps the *turn*: as long as it has it, its next event takes the time of its last one, and in a
// ring events stay in the order they were written. Another thread takes the turn away with a word, no answer is waited for:
//
//     holder A:  … event, has the turn? yes: the old time │                  has the turn? no: takes it, reads the clock
//     other B:                                            │ takes the turn, reads the clock, still has it? its events follow
//
// Why the order is right, although A may write an event after B took the turn. A looks at the turn after its real allocation
// or before its real free, as it would read the clock. So an event with an old time belongs to a moment, that of the look,
// at which B's word was not there yet: before B read the clock. And whoever reads the clock looks again afterwards: a time
// counts only if the turn, or what says that no single thread has it (TM_TURN_ALL; TM_TURN_NOBODY for a thread without a
// ring of its own), was there before and after it was read, so it is later than every time that was read under an earlier
// turn. If one event happens before another, so do their looks, and times follow the looks.
//
// Where threads take the turn from each other all the time it belongs to all of them (TM_TURN_ALL), and each event reads
// the clock. The collector takes the turn back now and then: what it finds published is older than what is not. In between
// it only looks whether the turn has changed hands (TurnWatch.swift): to ask all threads interrupts each of them.
// The holder reads the clock now and then all the same, and each time when its events come slowly: lifetimes need it.
#ifndef TM_TURN_H
#define TM_TURN_H

#include <stdint.h>

#include "recording.h"

// What a thread knows about the turn.
struct tm_turn_of_thread {
    uint64_t number;    // what says that this thread has the turn; 0: it shares a ring and never has it
    uint64_t time;      // of its last event
    uint64_t until;     // first event that has to read the clock
    uint64_t read_at;   // event that read it last
    uint64_t under_all; // events written under TM_TURN_ALL since it last tried to have the turn
};

// A thread begins to write to a ring.
void tm_turn_begin(struct tm_turn_of_thread *thread, uint64_t number);

// The time of event number `event` of the thread's ring: after the real allocation or before the real free, and after the
// claim that tells the collector of it. Events before `until` need not ask as long as the turn's holder is the thread's number:
// they take `time`.
uint64_t tm_turn_read_clock(struct tm_turn_of_thread *thread, uint64_t event);

#endif

// interposer.h: the control verbs: what the parts outside may call of the interposer. Everything else is private to it.
//
// Results are 0 or -errno where nothing else is said. All verbs may be called from any thread; start and stop by one
// thread at a time.
#ifndef TM_INTERPOSER_H
#define TM_INTERPOSER_H

#include <stdbool.h>
#include <stdint.h>

// ---- Life
enum tm_tracing {
    TM_TRACING_OFF = 0,
    TM_TRACING_PRIVATE = 1,  // for a collector in this process
    TM_TRACING_SESSION = 2,  // for a collector in another process
};
enum tm_tracing tm_tracing(void);

// Begins recording for a collector in this process. The first time *file is a descriptor of the recording, which belongs
// to the caller; after a stop the recording goes on in the same memory and *file is -1. frame_limit: 1...65535.
// -EALREADY: it is being recorded.
int tm_start_private(uint32_t frame_limit, bool verify, int *file);
void tm_stop_private(void);

// ---- Words in the stream of events; false when nothing is being recorded
bool tm_mark(const char *name);
bool tm_reset_peak(void);
bool tm_clear(void);
// A range that the program uses as a block of its own, in a domain from 1 on; one that was tracked at the address is replaced.
bool tm_track(uint32_t domain, const void *address, uint64_t size, uint32_t stack);
bool tm_untrack(uint32_t domain, const void *address);

// The number of the calling thread's stack without the caller's `own_frames` innermost ones; 0 when nothing is being recorded.
uint32_t tm_stack_here(unsigned own_frames);

// ---- Moments of the tracer's own
// Between the two calls nothing that this thread does is recorded, but for the words above. They nest.
void tm_ignore_begin(void);
void tm_ignore_end(void);

// Begins a moment that lasts as long as the calling thread, which collects what the others record.
void tm_collect_begin(void);

// Frees in such moments must not wait for the collector, and some are kept back. For the collector's thread: makes up for them as
// far as there is room. False: some are left.
bool tm_own_frees_settled(void);

// The recording's clock: every event that happened before this call has an earlier time.
uint64_t tm_recording_now(void);
// Private memory that threads had before a start with a larger limit, which the recording's header does not name. False: there is no
// such with this index.
bool tm_outgrown_memory(unsigned index, uint64_t *start, uint64_t *end);
// Bytes of private memory that tracing costs this process, outside of the recording.
uint64_t tm_private_memory(void);

#endif

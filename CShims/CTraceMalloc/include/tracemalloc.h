// tracemalloc.h: traces the allocations of a C or C++ program that links the product TraceMalloc: start, look, stop.
//
//   tracemalloc_start(0);
//   load();
//   size_t current, peak;
//   tracemalloc_traced_memory(&current, &peak);
//   if (tracemalloc_write_snapshot("after.tmalloc") != TRACEMALLOC_OK) puts(tracemalloc_message());
//   tracemalloc_stop();
//
// The same verbs as AllocationTracer's in Swift, with the same meaning. All may be called from any thread. Sizes are bytes.
// Functions that can fail return TRACEMALLOC_OK, or a code and leave a sentence in tracemalloc_message().
#ifndef TRACEMALLOC_H
#define TRACEMALLOC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tracemalloc_result {
    TRACEMALLOC_OK = 0,
    TRACEMALLOC_NOT_TRACING = 1,         // tracing is off
    TRACEMALLOC_BAD_ARGUMENT = 2,        // a number of frames, a domain or a range that makes no sense
    TRACEMALLOC_RECORDED_ELSEWHERE = 3,  // the program runs under `tracemalloc run`, which has the figures
    TRACEMALLOC_CANNOT_START = 4,        // no memory for the recording
    TRACEMALLOC_OVERLAP = 5,             // part of the range is tracked already
    TRACEMALLOC_FILE = 6,                // the file cannot be written
};

// Begins to trace; `frames`: how many innermost frames of each stack to keep, 1...65535, or 0 for 256. Blocks that exist
// already are not traced. When tracing is on already this changes nothing.
// NOT_TRACING never; BAD_ARGUMENT, CANNOT_START.
int tracemalloc_start(int frames);
// Stops tracing and forgets all traces.
void tracemalloc_stop(void);
// Whether allocations are being traced, by this program or by `tracemalloc run`.
bool tracemalloc_is_tracing(void);

// Bytes that are alive, and the most that were: of malloc's blocks and tracked ranges together. Exact at the call, on all
// threads. Zero when tracing is off. Either pointer may be NULL.
void tracemalloc_traced_memory(size_t *current, size_t *peak);
// Bytes of memory that the tracer itself uses.
size_t tracemalloc_overhead(void);
// Forgets all blocks and goes on tracing.
void tracemalloc_clear(void);
// Makes what is alive now the peak.
void tracemalloc_reset_peak(void);
// Begins a generation; the name may be NULL.
void tracemalloc_mark(const char *name);

// Says that a range of memory is in use as a block of its own, for pools and arenas that hand out parts of what they got
// from malloc or mmap. The domain, 1...UINT_MAX, keeps ranges of one kind apart from malloc's blocks, which are domain 0, and
// from other kinds. A range that was tracked at the same address is replaced; other ranges of a domain must not overlap. A
// range of 0 bytes takes its address.
// NOT_TRACING, BAD_ARGUMENT, OVERLAP.
int tracemalloc_track(unsigned domain, const void *address, size_t size);
// Says that the range at an address is not in use any more. One that is not tracked is no error.
// NOT_TRACING, BAD_ARGUMENT.
int tracemalloc_untrack(unsigned domain, const void *address);

// Writes what is alive, with names and lines, into a file that the command `tracemalloc` reads; one that exists is replaced.
// NOT_TRACING, RECORDED_ELSEWHERE, FILE.
int tracemalloc_write_snapshot(const char *path);

// A sentence about the calling thread's last call that failed; "" if none did. Valid until the next one fails.
const char *tracemalloc_message(void);

#ifdef __cplusplus
}
#endif

#endif

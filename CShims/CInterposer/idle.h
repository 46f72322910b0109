// idle.h: a library that is loaded and does not record (TRACEMALLOC_START=0), until `tracemalloc start` orders it to.
//
// The page that the hooks look at is then shared memory, which the command finds and writes to. There is nothing else: no
// thread, signal, descriptor or file waits for the order, and it vanishes with the last process that has it mapped.
#ifndef TM_IDLE_H
#define TM_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "CRecording.h"

struct tm_order {
    uint32_t target;  // the process that is to begin
    uint32_t frame_limit;
    char session[TM_ORDER_PATH];
};

// Makes the page shared. When that is not possible the library stays idle for good, as long as the API does not start it.
void tm_idle_begin(void);

// Whether the page is shared, by this process or one that it was forked from.
bool tm_is_idle(void);

// Makes the page this process's own again, with `epoch` in it; returns what was ordered until then.
struct tm_order tm_idle_end(uint64_t epoch);

#endif

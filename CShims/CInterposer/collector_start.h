// collector_start.h: by hand (LD_PRELOAD and TRACEMALLOC=FILE) the library makes a session and starts its collector.
#ifndef TM_COLLECTOR_START_H
#define TM_COLLECTOR_START_H

#include <stdbool.h>
#include <stddef.h>

// Makes a session directory, starts `tracemalloc collect` for it, and names the session in the environment for children
// of this program. `directory` receives the path. False after a message when that is not possible.
bool tm_collector_start(const char *output, char *directory, size_t capacity);


// The collector that was started last; 0: none.
int tm_collector_process(void);

#endif

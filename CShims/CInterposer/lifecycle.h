// lifecycle.h: whether this process image is traced, and the start and the end of its recording.
#ifndef TM_LIFECYCLE_H
#define TM_LIFECYCLE_H

#include <stdint.h>

// Called by the first hook of a process image (also of a fork child): reads the environment, starts a recording or not.
// Returns the process's epoch; TM_UNDECIDED while it is too early to tell.
uint64_t tm_lifecycle_decide(void);

// The collector is gone: no more recording, the program goes on.
void tm_lifecycle_abandon(void);

#endif

// own_frees.h: frees in moments of the tracer's own, in a program that links it.
#ifndef TM_OWN_FREES_H
#define TM_OWN_FREES_H

#include "recorder.h"

// Frees a block in such a moment. Never waits.
void tm_own_free(struct tm_thread *thread, void *block);

// The thread's moment is over: frees what had to be kept back until now, by any thread.
void tm_own_frees_end(struct tm_thread *thread);

#endif

// async_runtime.h: asks the Swift runtime of this process whether the calling thread is running a task.
#ifndef TM_ASYNC_RUNTIME_H
#define TM_ASYNC_RUNTIME_H

#include <stddef.h>

// The runtime's swift_task_getCurrent: a load of a thread-local variable. NULL where it is not to be had: there is no
// runtime, it came with dlopen, or it is inside an executable without a symbol table.
extern void *(*tm_current_task)(void) __attribute__((visibility("hidden")));

// Once per process, before main. Reads the executable's file, but only if that is large enough to have the runtime inside.
// Not later: the program may have given up the right to open files by then.
void tm_async_find_runtime(void);

#endif

// tracemalloc.h: what the parts outside may call of the interposer.
#ifndef TRACEMALLOC_H
#define TRACEMALLOC_H

// Called once the library is initialized: prepares what must not be prepared inside an allocation.
void tm_lifecycle_loaded(void);

#endif

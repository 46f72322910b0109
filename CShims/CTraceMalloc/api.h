// api.h: what C calls of the Swift half (Sources/TraceMalloc/CInterface.swift). Failures leave a sentence in `message`.
#ifndef TM_API_H
#define TM_API_H

#include <stddef.h>
#include <stdint.h>

// Room for a sentence that names a file.
#define TM_MESSAGE_CAPACITY 4608

int tm_api_start(int frames, char *message, size_t capacity);
void tm_api_stop(void);
void tm_api_traced_memory(size_t *current, size_t *peak);
size_t tm_api_overhead(void);
void tm_api_clear(void);
int tm_api_track(unsigned domain, const void *address, size_t size, uint32_t stack, char *message, size_t capacity);
int tm_api_untrack(unsigned domain, const void *address, char *message, size_t capacity);
int tm_api_write_snapshot(const char *path, char *message, size_t capacity);

#endif

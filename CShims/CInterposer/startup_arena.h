// startup_arena.h: memory for what our own start-up asks libc for: dlsym and dlopen allocate through the very functions
// that we replace. Blocks from here are not the program's: they are not recorded, and free ignores them.
#ifndef TM_STARTUP_ARENA_H
#define TM_STARTUP_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TM_ARENA_SIZE (512u << 10)

extern unsigned char tm_arena[TM_ARENA_SIZE] __attribute__((visibility("hidden")));

static inline bool tm_arena_owns(const void *block) { return (uintptr_t)block - (uintptr_t)tm_arena < TM_ARENA_SIZE; }

// NULL when the arena is used up.
void *tm_arena_allocate(size_t size, size_t alignment);
size_t tm_arena_size(const void *block);

#endif

// startup_arena.c: a bump allocator over static memory; each block has its size in front.
#include "startup_arena.h"

_Alignas(4096) unsigned char tm_arena[TM_ARENA_SIZE];
static size_t used;

void *tm_arena_allocate(size_t size, size_t alignment) {
    if (alignment < 16) alignment = 16;
    if (size > TM_ARENA_SIZE || alignment > TM_ARENA_SIZE) return NULL;
    size_t before = __atomic_load_n(&used, __ATOMIC_RELAXED), start, end;
    do {
        start = (before + sizeof(size_t) + alignment - 1) & ~(alignment - 1);
        end = start + size;
        if (end > TM_ARENA_SIZE) return NULL;
    } while (!__atomic_compare_exchange_n(&used, &before, end, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    ((size_t *)(tm_arena + start))[-1] = size;
    return tm_arena + start;
}

size_t tm_arena_size(const void *block) { return ((const size_t *)block)[-1]; }

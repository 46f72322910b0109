// sampled_blocks.c: the table of sampled blocks: a counting filter in front of two-way buckets.
#define _GNU_SOURCE
#include "sampled_blocks.h"

#include <stddef.h>
#include <sys/mman.h>

#include "system_calls.h"

enum { WAYS = 8, BUCKET_BITS = 15, MOST = 255 };

static const size_t FILTER_SIZE = (size_t)1 << TM_SAMPLED_FILTER_BITS;
static const size_t BUCKETS_SIZE = sizeof(uint64_t) * WAYS << BUCKET_BITS;

struct tm_sampled_blocks tm_sampled_blocks;

bool tm_sampled_blocks_prepare(uint64_t interval) {
    // A fork child has a copy of its parent's, whose blocks are not of the new recording.
    uint8_t *old = tm_sampled_blocks.filter;
    tm_sampled_blocks = (struct tm_sampled_blocks){0};
    if (old) TM_CALL(munmap, old, FILTER_SIZE + BUCKETS_SIZE, 0, 0, 0, 0);
    if (interval == 0) return true;
    uint8_t *memory = tm_map(FILTER_SIZE + BUCKETS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (!memory) return false;
    TM_CALL(madvise, memory, FILTER_SIZE + BUCKETS_SIZE, MADV_NOHUGEPAGE, 0, 0, 0);
    tm_sampled_blocks.interval = interval;
    tm_sampled_blocks.buckets = (uint64_t *)(void *)(memory + FILTER_SIZE);
    tm_sampled_blocks.filter = memory;
    return true;
}

// A count that has reached the most stays there: it no longer says how many there are.
static void count(const void *block, int change) {
    uint8_t *place = tm_sampled_count(tm_sampled_blocks.filter, block);
    uint8_t seen = __atomic_load_n(place, __ATOMIC_RELAXED);
    do {
        if (seen == MOST) return;
    } while (!__atomic_compare_exchange_n(place, &seen, (uint8_t)(seen + change), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static uint64_t *bucket(const void *block, int choice) {
    uint64_t hash = ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    if (choice) hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return tm_sampled_blocks.buckets + WAYS * (hash >> (64 - BUCKET_BITS));
}

// The first place of the block's buckets that holds `from`, which becomes `to`.
static bool replace(const void *block, uint64_t from, uint64_t to) {
    for (int choice = 0; choice < 2; choice++) {
        uint64_t *slots = bucket(block, choice);
        for (int way = 0; way < WAYS; way++) {
            uint64_t seen = from;
            if (__atomic_load_n(&slots[way], __ATOMIC_RELAXED) == from &&
                __atomic_compare_exchange_n(&slots[way], &seen, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return true;
        }
    }
    return false;
}

bool tm_sampled_blocks_add(const void *block) {
    if (!replace(block, 0, (uintptr_t)block)) return false;
    count(block, 1);
    return true;
}

bool tm_sampled_blocks_remove(const void *block) {
    if (!replace(block, (uintptr_t)block, 0)) return false;
    count(block, -1);
    return true;
}

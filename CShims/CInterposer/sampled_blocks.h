// sampled_blocks.h: the addresses of live sampled blocks, so that a free of any other block costs next to nothing.
//
//   filter   how many sampled blocks are in a page of 4 KiB, or in others that share the count, 256 MiB apart: 0 means none.
//            64 KiB; the counts of 256 KiB of memory are one cache line: blocks that are freed one after the other are often neighbors
//   buckets  the addresses themselves, eight to a cache line, in one of two buckets each
//
// An address belongs to whoever was given the block: nobody frees it while it is entered, and nobody else enters it until it
// is removed, before the real free. Different addresses meet by compare-and-swap only. A block that finds no place is not
// sampled and counted as lost: a sampled block is always found.
#ifndef TM_SAMPLED_BLOCKS_H
#define TM_SAMPLED_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#define TM_SAMPLED_FILTER_BITS 16
#define TM_SAMPLED_PLACE_BITS 12

struct tm_sampled_blocks {
    uint64_t interval;  // mean bytes from sample to sample; 0: every block is recorded
    uint8_t *filter;    // NULL: every block is recorded
    uint64_t *buckets;
};
extern struct tm_sampled_blocks tm_sampled_blocks __attribute__((visibility("hidden")));

// For a new recording. False: there is no memory for it.
bool tm_sampled_blocks_prepare(uint64_t interval);

bool tm_sampled_blocks_add(const void *block);
// Whether it was there.
bool tm_sampled_blocks_remove(const void *block);

static inline uint8_t *tm_sampled_count(uint8_t *filter, const void *block) {
    return &filter[(uintptr_t)block >> TM_SAMPLED_PLACE_BITS & ((1u << TM_SAMPLED_FILTER_BITS) - 1)];
}

// False: this is no sampled block. True: look closer, or everything is recorded.
static inline bool tm_sampled_blocks_may_have(const void *block) {
    uint8_t *filter = tm_sampled_blocks.filter;
    if (__builtin_expect(!filter, 1)) return true;
    return __atomic_load_n(tm_sampled_count(filter, block), __ATOMIC_RELAXED) != 0;
}

#endif

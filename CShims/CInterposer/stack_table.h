// stack_table.h: each distinct stack once: a node is a return address under its caller's node.
//
// The nodes lie in the recording, dense and in the order of their birth, where the collector reads them. The index that
// finds a node by (parent, address) is private memory of this process. In front of it every thread has a small cache.
#ifndef TM_STACK_TABLE_H
#define TM_STACK_TABLE_H

#include <stdint.h>

#include "CRecording.h"

enum { TM_STACK_CACHE_ENTRIES = 2048 };

// An address and the TM_NODE_* flags it was found with; flags stand above the 48 bits of an address.
struct tm_stack_entry {
    uint64_t key;
    uint32_t parent;
    uint32_t node;
};

struct tm_stack_cache {
    struct tm_stack_entry entries[TM_STACK_CACHE_ENTRIES];
    uint32_t unloaded;   // tm_images_unloaded when the entries were valid
    uint16_t last_image;
    uint16_t is_filled;  // 0: all entries are empty, and their pages perhaps never touched
};

// Forgets everything: a new recording has begun.
void tm_stack_table_reset(void);
void tm_stack_cache_reset(struct tm_stack_cache *cache);

uint32_t tm_stack_child_slow(struct tm_stack_cache *cache, struct tm_stack_entry *entry, uint32_t parent, uint64_t pc, uint16_t flags);

// The node of `pc` called from `parent` (0: outermost). When the table is full: the parent itself, or TM_NODE_LOST.
static inline uint32_t tm_stack_child(struct tm_stack_cache *cache, uint32_t parent, uint64_t pc, uint16_t flags) {
    uint64_t key = pc | (uint64_t)flags << 56;
    uint64_t hash = (key + (uint64_t)parent * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    struct tm_stack_entry *entry = &cache->entries[hash >> 53];
    if (__builtin_expect(entry->key == key && entry->parent == parent, 1)) return entry->node;
    return tm_stack_child_slow(cache, entry, parent, pc, flags);
}

_Static_assert(TM_STACK_CACHE_ENTRIES == 1 << (64 - 53), "the hash's top bits select the entry");

#endif

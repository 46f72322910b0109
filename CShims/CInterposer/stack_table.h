// stack_table.h: each distinct stack once: a node is a return address under its caller's node.
//
// The nodes lie in the recording, dense and in the order of their birth, where the collector reads them. Two private
// indices find them: an array of the first callee of each node, and a hash table of all further ones. Most nodes are first
// callees, and frames that were met together lie together, so that many frames of a stack touch few cache lines.
//
// A node's hash is made of its return address and of its caller's hash: the places of all nodes of a path in the hash table are known
// before the first one is found, and are fetched together.
#ifndef TM_STACK_TABLE_H
#define TM_STACK_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "CRecording.h"
#include "images.h"
#include "recording.h"

// By node. NULL: no memory for it.
struct tm_stack_link {
    uint32_t first;  // its first callee's node; 0: none yet
    uint32_t hash;
};
extern struct tm_stack_link *tm_stack_links __attribute__((visibility("hidden")));

// Return address, and the TM_NODE_* flags it was found with, which stand above the 48 bits of an address.
struct tm_stack_entry {
    uint64_t key;
    uint32_t parent;
    uint32_t node;
};

struct tm_stack_table {
    struct tm_stack_entry *entries;
    uint64_t mask;
    uint64_t count;
};
// NULL: no memory for it.
extern struct tm_stack_table *tm_stack_table __attribute__((visibility("hidden")));

// Forgets everything: a new recording has begun.
void tm_stack_table_reset(void);

uint32_t tm_stack_child_slow(uint32_t parent, uint64_t pc, uint16_t flags);

// Node 0 has no address: it is never a callee.
static inline int tm_stack_is(uint32_t node, uint32_t parent, uint64_t pc, uint16_t flags) {
    const struct tm_node *candidate = &tm_recording.nodes[node];
    return tm_load64(&candidate->pc) == pc && candidate->parent == parent && candidate->flags == flags;
}

// Where most callees are found: for one walk. NULL: nowhere, because there is no memory, or a library was unloaded: a node of it
// is another place than the same address now, and the slow way looks closer.
static inline const struct tm_stack_link *tm_stack_callees(void) {
    return __builtin_expect(__atomic_load_n(&tm_images_unloaded, __ATOMIC_RELAXED) == 0, 1) ? tm_stack_links : NULL;
}

static inline uint32_t tm_stack_hash(uint32_t parent_hash, uint64_t key) {
    uint32_t hash = (uint32_t)((key ^ (uint64_t)parent_hash << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    return hash ^ hash >> 15;
}

// A callee with this hash will be looked for.
static inline void tm_stack_fetch(const struct tm_stack_table *table, uint32_t hash) {
    __builtin_prefetch(&table->entries[hash & table->mask]);
}

// The node of `pc` called from `parent` (0: outermost). When the table is full: the parent itself, or TM_NODE_LOST.
static inline uint32_t tm_stack_child(const struct tm_stack_link *callees, uint32_t parent, uint64_t pc, uint16_t flags) {
    if (__builtin_expect(callees != NULL, 1)) {
        uint32_t node = tm_load32(&callees[parent].first);
        if (__builtin_expect(tm_stack_is(node, parent, pc, flags), 1)) return node;
    }
    return tm_stack_child_slow(parent, pc, flags);
}

#endif

// stack_table.c: the lock-free indices of stack nodes.
//
// The hash table is one of open addressing with 16-byte entries that are written once, with a 16-byte compare-and-swap. When
// it is 60 % full one thread builds a table four times as large from the dense nodes while the others go on with the old
// one. Tables are never unmapped: another thread may still be reading. Two threads that insert the same stack at the same
// moment agree on one node, because both need the same free slot; the loser's node stays unused.
#define _GNU_SOURCE
#include "stack_table.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "system_calls.h"

enum { FIRST_TABLE_BITS = 11 };

static struct tm_stack_table tables[16];
struct tm_stack_table *tm_stack_table;
static uint32_t growing;
static uint16_t last_image;  // most new nodes are in the module of the one before

struct tm_stack_link *tm_stack_links;

static uint32_t hash_of(uint64_t key, uint32_t parent) {
    return tm_stack_hash(tm_stack_links ? tm_load32(&tm_stack_links[parent].hash) : parent, key);
}

// Both halves become visible at once. x86-64: cmpxchg16b; arm64: ldaxp/stlxp or casp.
static bool claim(struct tm_stack_entry *entry, struct tm_stack_entry value) {
    __int128 new_value;
    memcpy(&new_value, &value, sizeof new_value);
    return __sync_bool_compare_and_swap((__int128 *)(void *)entry, (__int128)0, new_value);
}

static struct tm_stack_table *map_table(struct tm_stack_table *table, unsigned bits) {
    size_t size = sizeof(struct tm_stack_entry) << bits;
    table->entries = tm_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    table->mask = ((uint64_t)1 << bits) - 1;
    table->count = 0;
    if (!table->entries) return NULL;
    if (size >= 4 << 20) TM_CALL(madvise, table->entries, size, MADV_HUGEPAGE, 0, 0, 0);
    return table;
}

void tm_stack_table_reset(void) {
    // After fork: the parent's tables are this process's own copies now.
    for (struct tm_stack_table *table = tables; table < tables + 16 && table->entries; table++) {
        TM_CALL(munmap, table->entries, (table->mask + 1) * sizeof(struct tm_stack_entry), 0, 0, 0, 0);
        table->entries = NULL;
    }
    growing = 0;
    last_image = TM_IMAGE_NONE;
    size_t size = sizeof *tm_stack_links * TM_NODES_MAX;
    if (tm_stack_links) {
        TM_CALL(madvise, tm_stack_links, size, MADV_DONTNEED, 0, 0, 0);  // all zero again
    } else {
        tm_stack_links = tm_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        if (tm_stack_links) TM_CALL(madvise, tm_stack_links, size, MADV_NOHUGEPAGE, 0, 0, 0);
    }
    tm_stack_table = map_table(&tables[0], FIRST_TABLE_BITS);
}

// A node of a library that has been unloaded is another place than the same address now.
static bool is_stale(uint32_t node) {
    if (__atomic_load_n(&tm_images_unloaded, __ATOMIC_ACQUIRE) == 0) return false;
    return !tm_image_is_loaded(tm_recording.nodes[node].image);
}

// Finds (key, parent), or with value.node != 0 inserts it. Returns the node, 0 if there is none or no slot.
static uint32_t find_or_insert(struct tm_stack_table *table, struct tm_stack_entry value) {
    uint64_t slot = hash_of(value.key, value.parent) & table->mask;
    for (uint64_t probes = 0; probes <= table->mask; probes++, slot = (slot + 1) & table->mask) {
        struct tm_stack_entry *entry = &table->entries[slot];
        // The node half is read first: it is not 0 once the entry is written, and then the key half is valid.
        uint64_t second = __atomic_load_n((uint64_t *)(void *)&entry->parent, __ATOMIC_ACQUIRE);
        if (second == 0) {
            if (value.node == 0) return 0;
            if (claim(entry, value)) {
                __atomic_fetch_add(&table->count, 1, __ATOMIC_RELAXED);
                return value.node;
            }
            second = __atomic_load_n((uint64_t *)(void *)&entry->parent, __ATOMIC_ACQUIRE);
        }
        uint32_t node = (uint32_t)(second >> 32);
        uint64_t key = __atomic_load_n(&entry->key, __ATOMIC_RELAXED);
        if (key == value.key && (uint32_t)second == value.parent && (node == value.node || !is_stale(node))) return node;
    }
    return 0;
}

static void copy_nodes(struct tm_stack_table *table, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++) {
        const struct tm_node *node = &tm_recording.nodes[i];
        uint64_t pc = tm_load64(&node->pc);
        if (pc == 0) continue;  // its writer inserts it itself, into the new table too
        if (tm_stack_links && tm_load32(&tm_stack_links[node->parent].first) == i) continue;
        find_or_insert(table, (struct tm_stack_entry){pc | (uint64_t)node->flags << 56, node->parent, (uint32_t)i});
    }
}

static void grow(struct tm_stack_table *table) {
    if (table + 1 == tables + 16 || !tm_swap32(&growing, 0, 1)) return;
    unsigned bits = 64 - (unsigned)__builtin_clzll(table->mask) + 2;
    if (table == tm_stack_table && map_table(table + 1, bits)) {
        uint64_t *used = &tm_recording.header->nodes.used, reached = tm_load64(used);
        copy_nodes(table + 1, TM_NODE_FIRST, reached);
        __atomic_store_n(&tm_stack_table, table + 1, __ATOMIC_SEQ_CST);
        // Nodes born meanwhile: either this pass sees them, or their writer sees the new table (insert).
        copy_nodes(table + 1, reached, tm_load64(used));
    }
    tm_store32(&growing, 0);
}

static uint32_t insert(struct tm_stack_entry value) {
    for (;;) {
        struct tm_stack_table *table = __atomic_load_n(&tm_stack_table, __ATOMIC_SEQ_CST);
        if (!table) return 0;
        uint32_t node = find_or_insert(table, value);
        if (node == 0) return 0;
        if (__atomic_load_n(&table->count, __ATOMIC_RELAXED) > table->mask / 10 * 6) grow(table);
        if (table == __atomic_load_n(&tm_stack_table, __ATOMIC_SEQ_CST)) return node;
        value.node = node;
    }
}

static uint32_t add_node(uint32_t parent, uint64_t pc, uint16_t flags) {
    struct tm_area *area = &tm_recording.header->nodes;
    uint64_t index = tm_load64(&area->used);
    do {
        while (index >= tm_load64(&area->reserved)) {
            if (index >= area->capacity || tm_area_wait(area, index + 1) != TM_WAIT_AGAIN) return 0;
        }
    } while (!__atomic_compare_exchange_n(&area->used, &index, index + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    struct tm_node *node = &tm_recording.nodes[index];
    node->parent = parent;
    node->flags = flags;
    if (tm_stack_links) tm_store32(&tm_stack_links[index].hash, hash_of(pc | (uint64_t)flags << 56, parent));
    // The code of a return address ends with the call, one byte before it.
    uint16_t image = __atomic_load_n(&last_image, __ATOMIC_RELAXED);
    node->image = tm_image_of(flags & (TM_NODE_SIGNAL | TM_NODE_ASYNC) ? pc : pc - 1, image);
    if (node->image != image) __atomic_store_n(&last_image, node->image, __ATOMIC_RELAXED);
    tm_store64(&node->pc, pc);
    return (uint32_t)index;
}

uint32_t tm_stack_child_slow(uint32_t parent, uint64_t pc, uint16_t flags) {
    uint32_t *first = tm_stack_links ? &tm_stack_links[parent].first : NULL;
    uint32_t seen = first ? tm_load32(first) : TM_NODE_LOST;
    bool is_stale_first = first && seen && is_stale(seen);
    if (seen && !is_stale_first && tm_stack_is(seen, parent, pc, flags)) return seen;
    struct tm_stack_entry value = {pc | (uint64_t)flags << 56, parent, 0};
    struct tm_stack_table *table = __atomic_load_n(&tm_stack_table, __ATOMIC_ACQUIRE);
    uint32_t node = seen && table ? find_or_insert(table, value) : 0;
    if (node) return node;
    node = add_node(parent, pc, flags);
    if (node == 0) {
        tm_add64(&tm_recording.header->lost_stacks, 1);
        return parent ? parent : TM_NODE_LOST;
    }
    if (seen == 0 || is_stale_first) {
        if (tm_swap32(first, seen, node)) return node;
        // Another thread was faster, perhaps with the same callee.
        seen = tm_load32(first);
        if (tm_stack_is(seen, parent, pc, flags) && !is_stale(seen)) return seen;
    }
    value.node = node;
    node = insert(value);
    // No memory for the index: the node is right, only others will not find it.
    return node ? node : value.node;
}

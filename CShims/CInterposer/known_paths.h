// known_paths.h: the innermost frames of stacks that come again and again, as words of the stack to compare.
//
//   frames[0 ... base]   remembered, and still standing (remembered_stack.h)
//   path                 the frames between base and the hook's caller: where their return addresses lie, seen from the stack
//                        pointer, and what they are
//
// Programs allocate through the same few functions all the time. To leave them frame by frame takes a rule and a node for each. But
// rules are functions of return addresses: if the hook's caller and its distance from the base are those of a path, and all words
// of it are, then the frames are, and so is the node. Where rules use fp, the saved ones are words of the path as well, as
// distances from the stack pointer.
//
// A path is kept when one with its ends is walked for the second time: several may have the same. What a path has found is not
// remembered as frames: the next stack, too, begins at the base, or has a path of its own.
#ifndef TM_KNOWN_PATHS_H
#define TM_KNOWN_PATHS_H

#include <stdint.h>

#include "remembered_stack.h"

struct tm_path_key {
    struct tm_path_set *set;
    uint32_t tag;  // its low 16 bits
};

static inline __attribute__((always_inline)) struct tm_path_key tm_path_key(
    const struct tm_known_paths *known, const struct tm_frame *base, uintptr_t pc, uintptr_t sp) {
    uint64_t hash = (pc ^ (base->sp - sp) << 20 ^ (uint64_t)base->node << 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (struct tm_path_key){known->sets + (hash >> (64 - TM_PATH_SETS_LOG2)), (uint32_t)(hash >> 32) | 1};
}

// The ways of a set that have the tag, as bits.
static inline __attribute__((always_inline)) uint32_t tm_path_ways(struct tm_path_key key) {
    return tm_cpu_tags_equal(key.set->tags, key.tag);
}
_Static_assert(TM_PATH_WAYS == 4, "compared with one instruction");

static inline struct tm_path *tm_path_at(const struct tm_known_paths *known, uint32_t line) {
    return (struct tm_path *)(void *)(known->lines + (size_t)line * TM_PATH_LINE);
}

static inline __attribute__((always_inline)) unsigned tm_path_first_way(uint32_t ways) {
    return (unsigned)__builtin_ctz(ways) / TM_CPU_TAG_BITS;
}

static inline __attribute__((always_inline)) struct tm_path *tm_path_of(
    const struct tm_known_paths *known, const struct tm_path_set *set, unsigned way) {
    return tm_path_at(known, set->at[way] & (TM_PATH_LINES - 1));
}

static inline __attribute__((always_inline)) void tm_path_is_used(struct tm_path_set *set, unsigned way) {
    set->bytes[2 * way + 1] |= TM_PATH_USED;
}

// That the base is the right code is told by the last return address.
static inline __attribute__((always_inline)) int tm_path_is_from(
    const struct tm_path *path, const struct tm_frame *base, uintptr_t pc, uintptr_t sp) {
    return path->pc == pc && path->distance == base->sp - sp && path->base_node == base->node;
}

// Not 0: one of the return addresses from the given one on is not there. Nearly always all are: no branch for each.
static inline __attribute__((always_inline)) uint64_t tm_path_returns_differ(
    const struct tm_path *path, unsigned first, unsigned end, uintptr_t sp) {
    uint64_t difference = 0;
#pragma clang loop unroll(disable)
    for (const uint64_t *word = path->words + first, *last = path->words + end; word != last; word++)
        difference |= tm_word_at(sp + (*word & 0xffff) * sizeof sp) ^ *word >> 16;
    return difference;
}

// Whether all words of it are there. In a function of its own, which has the registers for it.
int tm_path_leads_to(const struct tm_path *path, const struct tm_frame *base, uintptr_t sp, uintptr_t fp);

// Frame `base` must stand. 0: none of these ways of the set leads from it to (pc, sp, fp).
static inline __attribute__((always_inline)) uint32_t tm_path_find(
    const struct tm_known_paths *known, struct tm_path_set *set, uint32_t ways, const struct tm_frame *base, uintptr_t pc, uintptr_t sp,
    uintptr_t fp) {
    for (; ways; ways &= ways - 1) {
        unsigned way = tm_path_first_way(ways);
        const struct tm_path *path = tm_path_of(known, set, way);
        if (!tm_path_is_from(path, base, pc, sp)) continue;
        int is_short = path->only_returns && (base->flags & TM_FP_UNUSED);
        if (is_short ? tm_path_returns_differ(path, 0, path->only_returns, sp) != 0 : !tm_path_leads_to(path, base, sp, fp)) continue;
        tm_path_is_used(set, way);
        return path->node;
    }
    return 0;
}

// Nothing is known any more: nodes or code have changed.
void tm_paths_forget(struct tm_known_paths *known);

// A walk left fresh[0 ... count) and met `base`; the innermost of them has `node`.
void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node);

#endif

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

struct tm_path_set {
    uint16_t *tags;  // TM_PATH_WAYS each
    struct tm_path *paths;
    uint16_t tag;
};

static inline __attribute__((always_inline)) struct tm_path_set tm_path_set(
    const struct tm_known_paths *known, uint32_t base_node, uint64_t pc, uint64_t distance) {
    uint64_t hash = (pc ^ distance << 20 ^ (uint64_t)base_node << 32) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t set = hash >> (64 - TM_PATH_SETS_LOG2);
    return (struct tm_path_set){known->tags[set].ways, known->paths + set * TM_PATH_WAYS, (uint16_t)(hash >> 32 | 1)};
}

static inline __attribute__((always_inline)) int tm_path_is_from(
    const struct tm_path *path, const struct tm_frame *base, uintptr_t pc, uint64_t distance, uint32_t version) {
    return path->pc == pc && path->distance == distance && path->base_node == base->node && path->version == version &&
           path->base_pc == base->pc;
}

// Not 0: some return address, from the given one on, is not there. Nearly always all are: no branch for each.
static inline __attribute__((always_inline)) uint64_t tm_path_returns_differ(const struct tm_path *path, unsigned first, uintptr_t sp) {
    uint64_t difference = 0;
#pragma clang loop unroll(disable)
    for (const uint64_t *word = path->words + first, *end = path->words + path->returns; word != end; word++)
        difference |= tm_word_at(sp + (*word & 0xffff) * sizeof sp) ^ *word >> 16;
    return difference;
}

// Whether all words of it are there. In a function of its own, which has the registers for it.
int tm_path_leads_to(const struct tm_path *path, const struct tm_frame *base, uintptr_t sp, uintptr_t fp);

// Frame `base` must stand. 0: no path leads from it to (pc, sp, fp), or none is known, from the given way of its set on.
static inline __attribute__((always_inline)) uint32_t tm_path_find(
    const struct tm_known_paths *known, unsigned way, const struct tm_frame *base, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    struct tm_path_set set = tm_path_set(known, base->node, pc, base->sp - sp);
    for (; way < TM_PATH_WAYS; way++) {
        struct tm_path *path = &set.paths[way];
        if (set.tags[way] != set.tag || !path->node || !tm_path_is_from(path, base, pc, base->sp - sp, known->version)) continue;
        if (!tm_path_leads_to(path, base, sp, fp)) continue;
        path->is_used = 1;
        return path->node;
    }
    return 0;
}

// A walk left fresh[0 ... count) and met `base`; the innermost of them has `node`.
void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node);

#endif

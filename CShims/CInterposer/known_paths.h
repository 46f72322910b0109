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
// A path is kept when it is walked for the second time from the same base. What a path has found is not remembered as frames:
// the next stack, too, begins at the base, or has a path of its own.
#ifndef TM_KNOWN_PATHS_H
#define TM_KNOWN_PATHS_H

#include <stdint.h>

#include "remembered_stack.h"

// Frame `base` must stand. 0: no path leads from it to (pc, sp, fp), or none is known.
static inline __attribute__((always_inline)) uint32_t tm_path_find(
    struct tm_known_paths *paths, const struct tm_frame *base, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    uint64_t distance = base->sp - sp;
    struct tm_path *path = tm_path_slot(paths, base->node, pc, distance);
    if (path->pc != pc || path->base_node != base->node || path->distance != distance || path->version != paths->version) return 0;
    if (path->node == 0 || path->base_pc != base->pc) return 0;
    if (path->uses_fp && fp - sp != path->fp) return 0;
    if (!(base->flags & TM_FP_UNUSED) && (!path->knows_base_fp || base->fp - sp != path->base_fp)) return 0;
    for (const struct tm_path_word *word = path->words, *end = word + path->count; word != end; word++)
        if (tm_word_at(sp + word->at) != word->value + (sp & (uint64_t)(int64_t)word->is_distance)) return 0;
    if (__builtin_expect(!path->is_used, 0)) path->is_used = 1;
    return path->node;
}

// A walk left fresh[0 ... count) and met `base`; the innermost of them has `node`.
void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node);

#endif

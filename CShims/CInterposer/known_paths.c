// known_paths.c: which paths are kept, and what of them is compared.
#include "known_paths.h"

#include "recording.h"

// The word that holds an outer frame's fp, until it is known whether a rule uses it.
struct saved_fp {
    int is_initial;  // fp is still that of the hook's caller
    int is_kept;
    uintptr_t at, value;
};

static int keep_word(struct tm_path *path, uint64_t at, uint64_t value, int32_t is_distance) {
    if (path->count == TM_PATH_WORDS || at > UINT32_MAX) return 0;
    path->words[path->count++] = (struct tm_path_word){(uint32_t)at, is_distance, value};
    return 1;
}

static int use_fp(struct tm_path *path, const struct tm_fresh_frame *frame, uintptr_t sp, struct saved_fp *saved) {
    if (saved->is_kept) return 1;
    saved->is_kept = 1;
    if (!saved->is_initial) return keep_word(path, saved->at - sp, saved->value - sp, -1);
    path->uses_fp = 1;
    path->fp = frame->fp - sp;
    return 1;
}

static int fill(struct tm_path *path, const struct tm_fresh_frame *fresh, uint32_t count, const struct tm_frame *base) {
    struct saved_fp saved = {.is_initial = 1};
    uintptr_t sp = fresh->sp;
    path->count = path->uses_fp = path->knows_base_fp = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tm_rule rule = fresh[i].rule;
        if (!rule.is_plain) return 0;
        if (rule.base != TM_BASE_SP && !use_fp(path, &fresh[i], sp, &saved)) return 0;
        uintptr_t cfa = fresh[i + 1].sp;
        if (!keep_word(path, cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA - sp, fresh[i + 1].pc, 0)) return 0;
        if (rule.saved != TM_SAVED_NOT)
            saved = (struct saved_fp){.at = cfa + (uintptr_t)(intptr_t)rule.fp_offset, .value = fresh[i + 1].fp};
    }
    if (base->flags & TM_FP_UNUSED) return 1;
    path->knows_base_fp = 1;
    path->base_fp = base->fp - sp;
    return use_fp(path, &fresh[count], sp, &saved);
}

void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node) {
    struct tm_known_paths *paths = &unwinder->paths;
    const struct tm_fresh_frame *fresh = unwinder->fresh;
    uint64_t distance = base->sp - fresh->sp;
    struct tm_path *path = tm_path_slot(paths, base->node, fresh->pc, distance);
    int is_mine = path->pc == fresh->pc && path->base_node == base->node && path->distance == distance && path->version == paths->version;
    if (!is_mine) {
        // One that is of use has a second chance.
        if (path->version == paths->version && path->is_used) path->is_used = 0;
        else
            *path = (struct tm_path){
                .pc = fresh->pc, .base_node = base->node, .distance = distance, .version = paths->version, .base_pc = base->pc};
        return;
    }
    path->node = 0;
    path->base_pc = base->pc;
    // Where the table of nodes is full, a node stands for others as well.
    int is_exact = tm_load64(&tm_recording.nodes[node].pc) == fresh->pc;
    if (is_exact && fill(path, fresh, count, base)) path->node = node;
}

// known_paths.c: which paths are kept, and what of them is compared.
#include "known_paths.h"

#include "recording.h"

#include <string.h>

int tm_path_leads_to(const struct tm_path *path, const struct tm_frame *base, uintptr_t sp, uintptr_t fp) {
    if (path->fps & TM_PATH_USES_FP && fp - sp != path->fp * sizeof fp) return 0;
    if (!(base->flags & TM_FP_UNUSED) && (!(path->fps & TM_PATH_KNOWS_BASE_FP) || base->fp - sp != path->base_fp)) return 0;
    const uint64_t *words = path->words;
    const uint32_t *halves = path->halves + 2 * path->returns;
    uint64_t difference = 0;
    size_t i = 0, pairs = path->pairs;
    for (; i < pairs; i++) {
        uintptr_t at = sp + (words[i] & 0xffff) * sizeof sp;
        difference |= (tm_word_at(at) ^ words[i] >> 16) | ((tm_word_at(at - sizeof sp) - sp) ^ halves[i]);
    }
    if (difference) return 0;
    for (; i < pairs + path->saved; i++)
        difference |= (tm_word_at(sp + (halves[i] & 0xffff) * sizeof sp) - sp) ^ (halves[i] >> 16) * sizeof sp;
    return !(difference | tm_path_returns_differ(path, (unsigned)pairs, path->returns, sp));
}

// The words of a path while it is looked at: saved frame pointers only when it turns out that a rule uses them.
struct draft {
    uint64_t returns[TM_PATH_WORDS];
    uint32_t saved[TM_PATH_WORDS];
    unsigned return_count, saved_count;
    uintptr_t sp;
    uintptr_t fp_at;  // where the fp of the frame that is looked at was saved; 0: it is still that of the hook's caller
    int is_kept;      // it is a word already
    unsigned fps;
    uint64_t fp, base_fp;
};

// Each false: more or farther words than fit.
static int place_of(const struct draft *draft, uintptr_t at, unsigned halves, uint64_t *place) {
    *place = (at - draft->sp) / sizeof at;
    return 2 * draft->return_count + draft->saved_count + halves <= 2 * TM_PATH_WORDS && *place <= 0xffff && at % sizeof at == 0;
}

static int add_return(struct draft *draft, uintptr_t at, uint64_t pc) {
    uint64_t place;
    if (!place_of(draft, at, 2, &place) || pc >> 48) return 0;
    draft->returns[draft->return_count++] = pc << 16 | place;
    return 1;
}

static int add_saved(struct draft *draft, uintptr_t at, uint64_t distance) {
    uint64_t place, words = distance / sizeof at;
    if (draft->saved_count == TM_PATH_WORDS || !place_of(draft, at, 1, &place) || distance % sizeof at || words > 0xffff) return 0;
    draft->saved[draft->saved_count++] = (uint32_t)(words << 16 | place);
    return 1;
}

static int use_fp(struct draft *draft, uintptr_t fp) {
    uint64_t distance = fp - draft->sp;
    if (draft->is_kept) return 1;
    draft->is_kept = 1;
    if (draft->fp_at) return add_saved(draft, draft->fp_at, distance);
    draft->fps |= TM_PATH_USES_FP;
    draft->fp = distance / sizeof fp;
    return distance % sizeof fp == 0 && draft->fp <= UINT16_MAX;
}

// Return addresses with a saved frame pointer below them come first, in the order of their halves.
static unsigned pair_up(struct draft *draft) {
    unsigned pairs = 0;
    for (unsigned i = 0; i < draft->saved_count; i++) {
        for (unsigned j = pairs; j < draft->return_count; j++) {
            if ((draft->returns[j] & 0xffff) != (draft->saved[i] & 0xffff) + 1) continue;
            uint64_t word = draft->returns[j];
            draft->returns[j] = draft->returns[pairs];
            draft->returns[pairs] = word;
            uint32_t half = draft->saved[i];
            draft->saved[i] = draft->saved[pairs];
            draft->saved[pairs++] = half;
            break;
        }
    }
    for (unsigned i = 0; i < pairs; i++) draft->saved[i] = (draft->saved[i] >> 16) * sizeof(uint64_t);
    return pairs;
}

// 0: there is something about the frames that words do not say.
static int sketch(struct draft *draft, const struct tm_fresh_frame *fresh, uint32_t count, const struct tm_frame *base) {
    draft->sp = fresh->sp;
    if (base->sp - draft->sp > UINT32_MAX) return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tm_rule rule = fresh[i].rule;
        int is_guessed = rule.kind == TM_RULE_GUESSED && !rule.is_async;
        if (!rule.is_lasting || (!rule.is_plain && !is_guessed && rule.kind != TM_RULE_PLT)) return 0;
        if ((is_guessed || rule.base != TM_BASE_SP) && !use_fp(draft, fresh[i].fp)) return 0;
        uintptr_t cfa = fresh[i + 1].sp, at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
        if (!add_return(draft, at, fresh[i + 1].pc)) return 0;
        if (!is_guessed && rule.saved == TM_SAVED_NOT) continue;
        draft->fp_at = is_guessed ? fresh[i].fp + TM_CPU_GUESS_FP : cfa + (uintptr_t)(intptr_t)rule.fp_offset;
        draft->is_kept = 0;
    }
    if (!(base->flags & TM_FP_UNUSED)) {
        draft->base_fp = base->fp - draft->sp;
        if (draft->base_fp > UINT32_MAX || !use_fp(draft, base->fp)) return 0;
        draft->fps |= TM_PATH_KNOWS_BASE_FP;
    }
    return 1;
}

static void fill(struct tm_path *path, struct draft *draft) {
    path->fp = (uint16_t)draft->fp;
    path->base_fp = (uint32_t)draft->base_fp;
    path->fps = (uint8_t)draft->fps;
    path->pairs = (uint8_t)pair_up(draft);
    path->returns = (uint8_t)draft->return_count;
    path->saved = (uint8_t)(draft->saved_count - path->pairs);
    path->only_returns = draft->fps & TM_PATH_USES_FP || draft->saved_count ? 0 : path->returns;
    memcpy(path->words, draft->returns, draft->return_count * sizeof *path->words);
    memcpy(path->halves + 2 * draft->return_count, draft->saved, draft->saved_count * sizeof *path->halves);
}

// ---- The table
void tm_paths_forget(struct tm_known_paths *known) {
    if (known->used) memset(known->sets, 0, sizeof *known->sets << TM_PATH_SETS_LOG2);
    known->used = 0;
}

// Lines for a path of this way: those of the one before it, if they are enough. NULL: all are in use, and everything is forgotten.
static struct tm_path *take_lines(struct tm_known_paths *known, struct tm_path_set *set, unsigned way, const struct draft *draft) {
    size_t size = offsetof(struct tm_path, words) + 8 * draft->return_count + 4 * draft->saved_count;
    uint32_t lines = (uint32_t)((size + TM_PATH_LINE - 1) / TM_PATH_LINE);
    struct tm_path *path = tm_path_of(known, set, way);
    if (set->at[way] && path->lines >= lines) return path;
    if (known->used + lines > TM_PATH_LINES) {
        tm_paths_forget(known);
        return NULL;
    }
    set->at[way] = (uint16_t)known->used;
    path = tm_path_at(known, known->used);
    path->lines = (uint8_t)lines;
    known->used += lines;
    return path;
}

// A way of the set that can be had: an empty one, else one whose path has found nothing of late, in turns: a path that was walked once
// needs time to come again. TM_PATH_WAYS: none, this time.
static unsigned dispensable(struct tm_known_paths *known, struct tm_path_set *set) {
    for (unsigned way = 0; way < TM_PATH_WAYS; way++)
        if (set->tags[way] == 0) return way;
    for (unsigned i = 0; i < TM_PATH_WAYS; i++) {
        unsigned way = known->turn++ % TM_PATH_WAYS;
        if (!(set->bytes[2 * way + 1] & TM_PATH_USED)) return way;
    }
    for (unsigned way = 0; way < TM_PATH_WAYS; way++) set->bytes[2 * way + 1] &= (uint8_t)~TM_PATH_USED;
    return TM_PATH_WAYS;
}

void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node) {
    struct tm_known_paths *known = &unwinder->paths;
    const struct tm_fresh_frame *fresh = unwinder->fresh;
    struct tm_path_key key = tm_path_key(known, base, fresh->pc, fresh->sp);
    for (unsigned way = 0; way < TM_PATH_WAYS; way++) {
        struct tm_path *path = tm_path_of(known, key.set, way);
        if (key.set->tags[way] != (uint16_t)key.tag || path->pc) continue;
        struct draft draft = {0};
        // Where the table of nodes is full, a node stands for others as well.
        int is_exact = tm_load64(&tm_recording.nodes[node].pc) == fresh->pc;
        if (!is_exact || !sketch(&draft, fresh, count, base)) return;
        path = take_lines(known, key.set, way, &draft);
        if (!path) return;
        fill(path, &draft);
        path->pc = fresh->pc;
        path->distance = (uint32_t)(base->sp - fresh->sp);
        path->base_node = base->node;
        path->node = node;
        tm_path_is_used(key.set, way);
        return;
    }
    unsigned way = dispensable(known, key.set);
    if (way == TM_PATH_WAYS) return;
    if (known->used == 0) known->used = 1;
    key.set->tags[way] = (uint16_t)key.tag;
    if (key.set->at[way]) tm_path_of(known, key.set, way)->pc = 0;
}

// known_paths.c: which paths are kept, and what of them is compared.
#include "known_paths.h"

#include "recording.h"

#include <string.h>

int tm_path_leads_to(const struct tm_path *path, const struct tm_frame *base, uintptr_t sp, uintptr_t fp) {
    if (path->uses_fp && fp - sp != path->fp) return 0;
    if (!(base->flags & TM_FP_UNUSED) && (!path->knows_base_fp || base->fp - sp != path->base_fp)) return 0;
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
    return !(difference | tm_path_returns_differ(path, (unsigned)pairs, sp));
}

// The words of a path while it is looked at: saved frame pointers only when it turns out that a rule uses them.
struct draft {
    uint64_t returns[TM_PATH_WORDS];
    uint32_t saved[TM_PATH_WORDS];
    unsigned return_count, saved_count;
    uintptr_t sp;
    uintptr_t fp_at;  // where the fp of the frame that is looked at was saved; 0: it is still that of the hook's caller
    int is_kept;      // it is a word already
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

static int use_fp(struct draft *draft, struct tm_path *path, uintptr_t fp) {
    uint64_t distance = fp - draft->sp;
    if (draft->is_kept) return 1;
    draft->is_kept = 1;
    if (draft->fp_at) return add_saved(draft, draft->fp_at, distance);
    path->uses_fp = 1;
    path->fp = (uint32_t)distance;
    return distance <= UINT32_MAX;
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

static int fill(struct tm_path *path, const struct tm_fresh_frame *fresh, uint32_t count, const struct tm_frame *base) {
    struct draft draft = {.sp = fresh->sp};
    path->uses_fp = path->knows_base_fp = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct tm_rule rule = fresh[i].rule;
        int is_guessed = rule.kind == TM_RULE_GUESSED && !rule.is_async;
        if (!rule.is_lasting || (!rule.is_plain && !is_guessed && rule.kind != TM_RULE_PLT)) return 0;
        if ((is_guessed || rule.base != TM_BASE_SP) && !use_fp(&draft, path, fresh[i].fp)) return 0;
        uintptr_t cfa = fresh[i + 1].sp, at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
        if (!add_return(&draft, at, fresh[i + 1].pc)) return 0;
        if (!is_guessed && rule.saved == TM_SAVED_NOT) continue;
        draft.fp_at = is_guessed ? fresh[i].fp + TM_CPU_GUESS_FP : cfa + (uintptr_t)(intptr_t)rule.fp_offset;
        draft.is_kept = 0;
    }
    if (!(base->flags & TM_FP_UNUSED)) {
        uint64_t distance = base->fp - draft.sp;
        if (distance > UINT32_MAX || !use_fp(&draft, path, base->fp)) return 0;
        path->knows_base_fp = 1;
        path->base_fp = (uint32_t)distance;
    }
    path->pairs = (uint8_t)pair_up(&draft);
    path->returns = (uint8_t)draft.return_count;
    path->saved = (uint8_t)(draft.saved_count - path->pairs);
    path->is_returns_only = !path->uses_fp && !draft.saved_count;
    memcpy(path->words, draft.returns, draft.return_count * sizeof *path->words);
    memcpy(path->halves + 2 * draft.return_count, draft.saved, draft.saved_count * sizeof *path->halves);
    return 1;
}

// A path of the set that can go: one that is out of date, else one that has found nothing of late. TM_PATH_WAYS: none, this time.
static unsigned dispensable(const struct tm_path_set *set, uint32_t version) {
    for (unsigned way = 0; way < TM_PATH_WAYS; way++)
        if (set->tags[way] == 0 || set->paths[way].version != version || !set->paths[way].is_used) return way;
    for (unsigned way = 0; way < TM_PATH_WAYS; way++) set->paths[way].is_used = 0;
    return TM_PATH_WAYS;
}

void tm_path_note(struct tm_unwinder *unwinder, const struct tm_frame *base, uint32_t count, uint32_t node) {
    const struct tm_known_paths *known = &unwinder->paths;
    const struct tm_fresh_frame *fresh = unwinder->fresh;
    uint64_t distance = base->sp - fresh->sp;
    struct tm_path_set set = tm_path_set(known, base->node, fresh->pc, distance);
    for (unsigned way = 0; way < TM_PATH_WAYS; way++) {
        struct tm_path *path = &set.paths[way];
        if (set.tags[way] != set.tag || path->node || !tm_path_is_from(path, base, fresh->pc, distance, known->version)) continue;
        // Where the table of nodes is full, a node stands for others as well.
        int is_exact = tm_load64(&tm_recording.nodes[node].pc) == fresh->pc;
        path->is_used = 1;
        if (is_exact && fill(path, fresh, count, base)) path->node = node;
        return;
    }
    unsigned way = dispensable(&set, known->version);
    if (way == TM_PATH_WAYS) return;
    struct tm_path *path = &set.paths[way];
    set.tags[way] = set.tag;
    path->pc = fresh->pc;
    path->base_pc = base->pc;
    path->distance = distance;
    path->base_node = base->node;
    path->version = known->version;
    path->node = 0;
    path->is_used = 0;
}

// remembered_stack.c: where it lies, and how it grows and shrinks.
#include "remembered_stack.h"

#include "stack_table.h"

#include <string.h>

static size_t take(size_t *offset, size_t size) {
    size_t at = *offset;
    *offset = (at + size + 63) & ~(size_t)63;
    return at;
}

// The arrays lie behind the unwinder. Only what is touched costs memory.
size_t tm_unwinder_lay_out(struct tm_unwinder *unwinder, uint32_t limit) {
    size_t offset = 0, capacity = 2 * (size_t)limit;
    take(&offset, sizeof *unwinder);
    size_t frames = take(&offset, (capacity + 1) * sizeof(struct tm_frame));
    size_t pairs_at = take(&offset, capacity * sizeof *unwinder->pairs_at);
    size_t pairs = take(&offset, capacity * sizeof *unwinder->pairs);
    size_t words_at = take(&offset, 3 * capacity * sizeof *unwinder->words_at);
    size_t words = take(&offset, 3 * capacity * sizeof *unwinder->words);
    size_t fresh = take(&offset, (capacity + 1) * sizeof(struct tm_fresh_frame));
    size_t foreign = take(&offset, (capacity + 1) * sizeof(struct tm_foreign_frame));
    size_t scratch = take(&offset, tm_libunwind_scratch_size());
    size_t chain = take(&offset, sizeof(struct tm_async_chain));
    size_t path_sets = take(&offset, sizeof(struct tm_path_set) << TM_PATH_SETS_LOG2);
    size_t path_lines = take(&offset, (size_t)TM_PATH_LINES * TM_PATH_LINE);
    if (unwinder) {
        char *base = (char *)unwinder;
        unwinder->frames = (struct tm_frame *)(base + frames) + 1;
        unwinder->frames[-1] = (struct tm_frame){.sp = UINTPTR_MAX};
        unwinder->pairs_at = (uint32_t *)(base + pairs_at);
        unwinder->pairs = (struct tm_cpu_pair *)(base + pairs);
        unwinder->words_at = (uint32_t *)(base + words_at);
        unwinder->words = (uint64_t *)(base + words);
        unwinder->fresh = (struct tm_fresh_frame *)(base + fresh);
        unwinder->foreign = (struct tm_foreign_frame *)(base + foreign);
        unwinder->scratch = base + scratch;
        unwinder->chain = (struct tm_async_chain *)(base + chain);
        unwinder->paths.sets = (struct tm_path_set *)(base + path_sets);
        unwinder->paths.lines = base + path_lines;
    }
    return offset;
}

// ---- Comparing
static int frame_holds(const struct tm_unwinder *unwinder, const struct tm_frame *frame) {
    uint32_t pair = frame == unwinder->frames ? 0 : frame[-1].pairs, word = frame == unwinder->frames ? 0 : frame[-1].words;
    uint32_t pairs = frame->pairs - pair;
    return tm_cpu_pairs_hold(unwinder->base, unwinder->pairs_at + pair, unwinder->pairs + pair, pairs) == pairs &&
           tm_words_hold(unwinder, word, frame->words) == frame->words;
}

int64_t tm_last_standing_async(const struct tm_unwinder *unwinder, int64_t j) {
    return j >= unwinder->async_inner && tm_async_holds(unwinder->chain) ? j : unwinder->async_outer - 1;
}

// From inside out: as long as all words were equal, the next one is where the current stack has it, hence readable.
int64_t tm_last_standing_unknown(const struct tm_unwinder *unwinder, int64_t met) {
    int64_t j = met;
    while (j >= 0 && frame_holds(unwinder, &unwinder->frames[j])) j--;
    if (j >= 0) return j - 1;
    return met >= unwinder->async_outer ? tm_last_standing_async(unwinder, met) : met;
}

// ---- Remembering
void tm_remember_from(struct tm_unwinder *unwinder, uintptr_t outermost) {
    uintptr_t reach = UINT32_MAX / 4 * 3;
    unwinder->base = outermost > reach ? outermost - reach : 0;
}

// A word that is out of reach has no place: the walk is right, but it is not to be remembered.
static uint32_t place_of(struct tm_unwinder *unwinder, uintptr_t at) {
    uintptr_t place = at - unwinder->base;
    if (place > UINT32_MAX) unwinder->is_doubtful = 1;
    return (uint32_t)place;
}

static uint32_t add_word(struct tm_unwinder *unwinder, uint32_t words, uintptr_t at, uint64_t value) {
    unwinder->words_at[words] = place_of(unwinder, at);
    unwinder->words[words] = value;
    return words + 1;
}

// Where a plain rule has the caller's fp; 0: in fp.
static inline uintptr_t plain_fp_at(struct tm_rule rule, uintptr_t cfa) {
    return rule.saved == TM_SAVED_NOT ? 0 : cfa + (uintptr_t)(intptr_t)rule.fp_offset;
}

// The node of an async function's innermost parent; 0: none. `words` counts what has been read.
static __attribute__((noinline)) uint32_t async_parent(struct tm_unwinder *unwinder, const struct tm_fresh_frame *fresh, uint32_t *words) {
    uintptr_t at = fresh->fp + (uintptr_t)(intptr_t)TM_CPU_ASYNC_CONTEXT_AT_FP;
    if (!tm_may_read(unwinder, fresh->sp, at)) return TM_NODE_NONE;
    uintptr_t context = tm_word_at(at);
    *words = add_word(unwinder, *words, at, context);
    uint32_t node = tm_async_follow(unwinder->chain, context);
    if (!unwinder->chain->is_whole) unwinder->is_doubtful = 1;
    return node;
}

void tm_remember(
    struct tm_unwinder *unwinder, const struct tm_fresh_frame *fresh, const struct tm_fresh_frame *caller, uint16_t node_flags) {
    uint32_t i = unwinder->count;
    struct tm_frame *frame = &unwinder->frames[i];
    uint32_t parent = i ? frame[-1].node : unwinder->is_cut ? TM_NODE_CUT : TM_NODE_NONE;
    uint32_t pairs = i ? frame[-1].pairs : 0, words = i ? frame[-1].words : 0;
    struct tm_rule rule = fresh->rule;
    uint32_t caller_unused = i ? frame[-1].flags & TM_FP_UNUSED : !unwinder->is_cut && !node_flags;
    uint32_t unused = 0;
    if (rule.kind == TM_RULE_END) unused = 1;
    else if (rule.kind == TM_RULE_PLT) unused = caller_unused;
    else if (rule.kind == TM_RULE_FRAME && rule.base == TM_BASE_SP)
        unused = rule.saved == TM_SAVED_NOT ? caller_unused : rule.saved == TM_SAVED_AT_CFA;
    if (i == 0 && (unwinder->is_cut || node_flags)) unused = 0;
    if (caller) {
        uintptr_t pc_at = rule.is_plain ? caller->sp + (uintptr_t)TM_CPU_RETURN_AT_CFA : fresh->pc_at;
        uintptr_t fp_at = rule.is_plain ? plain_fp_at(rule, caller->sp) : fresh->fp_at;
        if (caller_unused) fp_at = 0;
        if (fp_at && fp_at + sizeof(uintptr_t) == pc_at) {
            unwinder->pairs_at[pairs] = place_of(unwinder, fp_at);
            unwinder->pairs[pairs++] = (struct tm_cpu_pair){caller->fp, caller->pc};
        } else {
            if (pc_at) words = add_word(unwinder, words, pc_at, caller->pc);
            if (fp_at) words = add_word(unwinder, words, fp_at, caller->fp);
        }
        if (!rule.is_plain && fresh->cfa_at) words = add_word(unwinder, words, fresh->cfa_at, caller->sp);
    }
    if (__builtin_expect(rule.is_async, 0)) {
        uint32_t async = async_parent(unwinder, fresh, &words);
        if (async) {
            parent = async;
            node_flags = 0;
            unwinder->async_inner = i;
            if (unwinder->async_outer == TM_NO_FRAME) unwinder->async_outer = i;
        }
    }
    frame->pc = fresh->pc;
    frame->sp = fresh->sp;
    frame->fp = fresh->fp;
    frame->pairs = pairs;
    frame->words = words;
    frame->flags = (unused ? TM_FP_UNUSED : 0) | (rule.kind == TM_RULE_GUESSED ? TM_FRAME_GUESSED : 0);
    frame->node = tm_stack_child(tm_stack_callees(), parent, fresh->pc, node_flags);
    unwinder->count = i + 1;
}

// The nodes of the frames fresh[count - 1] ... fresh[0], below a remembered one, are about to be looked for.
static void fetch_nodes(const struct tm_unwinder *unwinder, const struct tm_stack_link *callees, uint32_t count) {
    const struct tm_stack_table *table = __atomic_load_n(&tm_stack_table, __ATOMIC_ACQUIRE);
    if (!callees || !table) return;
    uint32_t hash = tm_load32(&callees[unwinder->frames[unwinder->count - 1].node].hash);
    while (count--) {
        hash = tm_stack_hash(hash, unwinder->fresh[count].pc);
        tm_stack_fetch(table, hash);
    }
}

// Most frames are plain and below another one: then a frame, a word and a node are all there is to write. What changes from frame
// to frame is kept in registers.
void tm_remember_all(struct tm_unwinder *unwinder, uint32_t count) {
    const struct tm_stack_link *callees = tm_stack_callees();
    fetch_nodes(unwinder, callees, count);
    while (count) {
        struct tm_frame *frame = &unwinder->frames[unwinder->count - 1];
        uint32_t *words_at = unwinder->words_at;
        uint64_t *all_words = unwinder->words;
        uintptr_t base = unwinder->base;
        const struct tm_fresh_frame *fresh = &unwinder->fresh[count];
        uint32_t pairs = frame->pairs, words = frame->words, node = frame->node, caller_unused = frame->flags & TM_FP_UNUSED;
        uintptr_t cfa = fresh->sp, caller_pc = fresh->pc, caller_fp = fresh->fp;
        while (fresh--, count && __builtin_expect(fresh->rule.is_plain, 1)) {
            struct tm_rule rule = fresh->rule;
            uintptr_t pc_at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
            if (caller_unused || rule.saved == TM_SAVED_NOT) {
                words_at[words] = (uint32_t)(pc_at - base);
                all_words[words++] = caller_pc;
            } else if (rule.fp_offset == TM_CPU_RETURN_AT_CFA - (int)sizeof pc_at) {
                unwinder->pairs_at[pairs] = (uint32_t)(pc_at - sizeof pc_at - base);
                unwinder->pairs[pairs++] = (struct tm_cpu_pair){caller_fp, caller_pc};
            } else {
                words_at[words] = (uint32_t)(pc_at - base);
                all_words[words++] = caller_pc;
                words_at[words] = (uint32_t)(plain_fp_at(rule, cfa) - base);
                all_words[words++] = caller_fp;
            }
            if (rule.saved != TM_SAVED_NOT) caller_unused = TM_FP_UNUSED;
            if (rule.base != TM_BASE_SP) caller_unused = 0;
            caller_pc = fresh->pc;
            caller_fp = fresh->fp;
            cfa = fresh->sp;
            node = tm_stack_child(callees, node, caller_pc, 0);
            *++frame = (struct tm_frame){caller_pc, cfa, caller_fp, node, pairs, words, caller_unused};
            count--;
        }
        unwinder->count = (uint32_t)(frame - unwinder->frames) + 1;
        if (count) tm_remember(unwinder, fresh, fresh + 1, 0), count--;
    }
}

void tm_cut_off(struct tm_unwinder *unwinder, uint32_t surplus) {
    struct tm_frame *frames = unwinder->frames;
    uint32_t count = unwinder->count - surplus, parent = TM_NODE_CUT;
    uint32_t pairs = frames[surplus].pairs, words = frames[surplus].words, last = unwinder->count - 1;
    memmove(unwinder->pairs_at, unwinder->pairs_at + pairs, (frames[last].pairs - pairs) * sizeof *unwinder->pairs_at);
    memmove(unwinder->pairs, unwinder->pairs + pairs, (frames[last].pairs - pairs) * sizeof *unwinder->pairs);
    memmove(unwinder->words_at, unwinder->words_at + words, (frames[last].words - words) * sizeof *unwinder->words_at);
    memmove(unwinder->words, unwinder->words + words, (frames[last].words - words) * sizeof *unwinder->words);
    memmove(frames, frames + surplus, count * sizeof *frames);
    unwinder->is_cut = 1;
    unwinder->count = count;
    if (unwinder->async_outer != TM_NO_FRAME) {
        unwinder->async_inner -= surplus;
        unwinder->async_outer -= surplus;
        if (unwinder->async_outer < 0) unwinder->async_outer = unwinder->async_inner < 0 ? TM_NO_FRAME : unwinder->async_inner;
    }
    const struct tm_stack_link *callees = tm_stack_callees();
    for (uint32_t i = 0; i < count; i++) {
        frames[i].pairs -= pairs;
        frames[i].words -= words;
        if (unwinder->async_outer != TM_NO_FRAME && unwinder->async_inner == i) parent = unwinder->chain->node;
        frames[i].node = parent = tm_stack_child(callees, parent, frames[i].pc, 0);
    }
}

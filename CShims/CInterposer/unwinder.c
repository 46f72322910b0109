// unwinder.c: the verified incremental walk.
//
//   remembered  frames[0 ... count)   outermost first; below each: its node, and how many words of the stack were read
//   this walk   fresh[0 ... n)        innermost first, from the hook's caller until a remembered frame is met
//
//        frames[0] ... frames[j]  | frames[j+1] ... dropped
//        compared with the stack  | fresh[n-1] ... fresh[0] take their place and get nodes
//
// Words are kept apart from frames, so that comparing runs through two dense arrays: `pairs` (frame pointer and return
// address side by side) and `words` (everything else). A word that no outer frame depends on is not compared.
//
// Depth: `limit` frames are wanted, twice as many are kept. Beyond that the outer half of the surplus is cut off, and
// when a cut stack has shrunk below the limit it is walked anew: either way half a limit passes until the next time, so
// deep recursion costs a constant number of nodes a level.
//
// Async Swift functions: the walk goes through them like through others, but the node of the innermost one is below its
// async parents instead of below the frames that run its task. The context on the stack is compared as one more of the
// frame's words, and the chain that begins there link by link. That is remembered for one frame only; where tasks run
// within tasks, frames between the two are walked anew when the inner one is gone.
#include "unwinder.h"

#include "CRecording.h"
#include "async_chain.h"
#include "async_runtime.h"
#include "cpu.h"
#include "libunwind_fallback.h"
#include "stack_bounds.h"
#include "stack_table.h"
#include "unwind_rules.h"

#include <string.h>

#define LIMIT_MIN 128u
#define LIMIT_MAX 65535u

enum {
    FP_UNUSED = 1,  // no outer frame depends on this frame's fp: it is not compared and may be out of date
    GUESSED = 2,    // left without unwind info: from here on libunwind 1.6's stack pointer is wrong
};

struct frame {
    uintptr_t pc, sp, fp;
    uint32_t node;
    uint32_t pairs, words;  // how many belong to this frame and all outer ones
    uint32_t flags;
};

// A frame of this walk and what was read to leave it; the values read are the next frame's pc, fp and sp.
struct fresh {
    uintptr_t pc, sp, fp;
    uintptr_t pc_at, fp_at, cfa_at;  // 0: not read
    struct tm_rule rule;
};

struct word {
    uintptr_t at;
    uint64_t value;
};

#define NO_FRAME INT64_MAX

struct tm_unwinder {
    // what every call needs
    uint32_t count;
    uint32_t is_cut;  // frames[0] is not the outermost frame of the stack
    uint32_t limit, capacity;
    uint64_t epoch;
    struct frame *frames;
    uintptr_t *pairs_at;
    struct tm_cpu_pair *pairs;
    struct word *words;
    int64_t async_outer;  // the outermost remembered frame of an async function with parents, NO_FRAME: none
    struct tm_stack_range known;  // the stack of the last call, when it is one of the known ones; else empty
    // what a walk needs
    int64_t async_inner;           // the innermost such frame
    struct tm_async_chain *chain;  // its parents
    uint32_t is_doubtful;          // this walk read something that could not be followed: not to be remembered
    struct fresh *fresh;
    struct tm_foreign_frame *foreign;
    void *scratch;
    struct tm_stack_bounds bounds;
};

static struct {
    uint32_t limit;
    int verify;
    struct tm_unwind_counters *counters;
} options;

// ---- Memory
static uint32_t limit_of(uint32_t frame_limit) {
    return frame_limit < LIMIT_MIN ? LIMIT_MIN : frame_limit > LIMIT_MAX ? LIMIT_MAX : frame_limit;
}

static size_t take(size_t *offset, size_t size) {
    size_t at = *offset;
    *offset = (at + size + 63) & ~(size_t)63;
    return at;
}

// Lays the arrays out behind the unwinder; sets its pointers unless it is NULL. Only what is touched costs memory.
static size_t lay_out(struct tm_unwinder *unwinder, uint32_t limit) {
    size_t offset = 0, capacity = 2 * (size_t)limit;
    take(&offset, sizeof *unwinder);
    size_t frames = take(&offset, capacity * sizeof(struct frame));
    size_t pairs_at = take(&offset, capacity * sizeof(uintptr_t));
    size_t pairs = take(&offset, capacity * sizeof(struct tm_cpu_pair));
    size_t words = take(&offset, 3 * capacity * sizeof(struct word));
    size_t fresh = take(&offset, (capacity + 1) * sizeof(struct fresh));
    size_t foreign = take(&offset, (capacity + 1) * sizeof(struct tm_foreign_frame));
    size_t scratch = take(&offset, tm_libunwind_scratch_size());
    size_t chain = take(&offset, sizeof(struct tm_async_chain));
    if (unwinder) {
        char *base = (char *)unwinder;
        unwinder->frames = (struct frame *)(base + frames);
        unwinder->pairs_at = (uintptr_t *)(base + pairs_at);
        unwinder->pairs = (struct tm_cpu_pair *)(base + pairs);
        unwinder->words = (struct word *)(base + words);
        unwinder->fresh = (struct fresh *)(base + fresh);
        unwinder->foreign = (struct tm_foreign_frame *)(base + foreign);
        unwinder->scratch = base + scratch;
        unwinder->chain = (struct tm_async_chain *)(base + chain);
    }
    return offset;
}

size_t tm_unwinder_size(uint32_t frame_limit) { return lay_out(NULL, limit_of(frame_limit)); }

void tm_unwinder_initialize(uint32_t frame_limit, int verify, struct tm_unwind_counters *counters) {
    options.limit = limit_of(frame_limit);
    options.verify = verify;
    options.counters = counters;
    tm_rules_initialize();
    tm_stack_bounds_initialize();
}

void tm_unwinder_load_libraries(void) {
    tm_libunwind_load();
    tm_async_find_runtime();
}

int tm_unwinder_has_libunwind(void) { return tm_libunwind_loaded(); }

void tm_unwinder_code_unloaded(void) { tm_rules_forget(); }

void tm_unwinder_thread_start(struct tm_unwinder *unwinder) {
    unwinder->count = 0;
    unwinder->is_cut = 0;
    unwinder->limit = options.limit;
    unwinder->capacity = 2 * options.limit;
    lay_out(unwinder, options.limit);
    unwinder->async_outer = NO_FRAME;
    // What another thread found out in this memory still holds, unless code was unloaded.
    uint64_t epoch = __atomic_load_n(&tm_rules.epoch, __ATOMIC_ACQUIRE);
    if (unwinder->epoch != epoch) tm_async_forget(unwinder->chain);
    unwinder->epoch = epoch;
    tm_stack_bounds_thread_start(&unwinder->bounds);
}

// ---- One step outward
enum step { STEP_DONE, STEP_END, STEP_EARLY, STEP_FOREIGN };

static int may_read(struct tm_unwinder *unwinder, uintptr_t sp, uintptr_t address) {
    if (address < sp || address > UINTPTR_MAX - sizeof(uintptr_t)) return 0;
    if (__builtin_expect(unwinder->known.high != 0, 1)) return address + sizeof(uintptr_t) <= unwinder->known.high;
    return tm_stack_try(&unwinder->bounds, address, sizeof(uintptr_t));
}

static uintptr_t word_at(uintptr_t address) {
    uintptr_t word;
    __builtin_memcpy(&word, (const void *)address, sizeof word);
    return word;
}

// A CFA that is not above the frame, or outside its stack: code that changed stacks. libunwind can follow it, but must not
// fault on a smashed frame pointer.
static enum step leave_stack(struct tm_unwinder *unwinder, uintptr_t cfa) {
    uintptr_t pc_at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
    return tm_stack_try(&unwinder->bounds, pc_at, sizeof pc_at) ? STEP_FOREIGN : STEP_EARLY;
}

static inline __attribute__((always_inline)) enum step step(struct tm_unwinder *unwinder, struct fresh *fresh, struct fresh *caller) {
    struct tm_rule rule = fresh->rule;
    uintptr_t sp = fresh->sp, fp = fresh->fp, cfa;
    fresh->fp_at = fresh->cfa_at = fresh->pc_at = 0;
    if (__builtin_expect(rule.kind == TM_RULE_FRAME, 1)) {
        if (rule.base == TM_BASE_SP) {
            cfa = sp + (uintptr_t)(intptr_t)rule.cfa_offset;
        } else {
            cfa = fp + (uintptr_t)(intptr_t)rule.cfa_offset;
            if (rule.base == TM_BASE_FP_WORD) {
                if (!may_read(unwinder, sp, cfa)) return STEP_EARLY;
                fresh->cfa_at = cfa;
                cfa = word_at(cfa);
            }
        }
        if (rule.saved != TM_SAVED_NOT) fresh->fp_at = (rule.saved == TM_SAVED_AT_CFA ? cfa : fp) + (uintptr_t)(intptr_t)rule.fp_offset;
    } else if (rule.kind == TM_RULE_GUESSED) {
        if (fp == 0) return STEP_END;  // the ABI's mark of the outermost frame
        if (fp < sp || fp - sp > TM_CPU_GUESS_REACH || !may_read(unwinder, sp, fp + sizeof fp)) return STEP_EARLY;
        cfa = fp + TM_CPU_GUESS_CFA;
        fresh->fp_at = fp + TM_CPU_GUESS_FP;
    } else if (rule.kind == TM_RULE_PLT) {
        cfa = sp + sizeof cfa;
    } else {
        return rule.kind == TM_RULE_FOREIGN ? STEP_FOREIGN : STEP_END;
    }
    fresh->pc_at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
    if (__builtin_expect(cfa <= sp || !may_read(unwinder, sp, fresh->pc_at), 0)) return leave_stack(unwinder, cfa);
    if (fresh->fp_at && __builtin_expect(!may_read(unwinder, sp, fresh->fp_at), 0)) return STEP_EARLY;
    caller->pc = word_at(fresh->pc_at);
    caller->sp = cfa;
    caller->fp = fresh->fp_at ? word_at(fresh->fp_at) : fp;
    return caller->pc ? STEP_DONE : STEP_END;
}

// ---- Comparing
static inline uint32_t words_hold(const struct word *words, uint32_t count) {
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint64_t a = (word_at(words[i].at) ^ words[i].value) | (word_at(words[i + 1].at) ^ words[i + 1].value);
        uint64_t b = (word_at(words[i + 2].at) ^ words[i + 2].value) | (word_at(words[i + 3].at) ^ words[i + 3].value);
        if (__builtin_expect((a | b) != 0, 0)) break;
    }
    while (i < count && word_at(words[i].at) == words[i].value) i++;
    return i;
}

static int frame_holds(const struct tm_unwinder *unwinder, const struct frame *frame) {
    uint32_t pair = frame == unwinder->frames ? 0 : frame[-1].pairs, word = frame == unwinder->frames ? 0 : frame[-1].words;
    return tm_cpu_pairs_hold(unwinder->pairs_at + pair, unwinder->pairs + pair, frame->pairs - pair) == frame->pairs - pair &&
           words_hold(unwinder->words + word, frame->words - word) == frame->words - word;
}

// The same as to async parents; all words of the stack up to j must be equal.
static __attribute__((noinline)) int64_t last_standing_async(const struct tm_unwinder *unwinder, int64_t j) {
    return j >= unwinder->async_inner && tm_async_holds(unwinder->chain) ? j : unwinder->async_outer - 1;
}

// The innermost frame at or outside j that can be gone on from: it and all frames outside are left as remembered.
// -1: none. On a known stack everything can be read, so this is asked once a walk.
static inline __attribute__((always_inline)) int64_t last_standing(const struct tm_unwinder *unwinder, int64_t j) {
    if (j < 0) return -1;
    const struct frame *frames = unwinder->frames;
    uint32_t pairs = (uint32_t)tm_cpu_pairs_hold(unwinder->pairs_at, unwinder->pairs, frames[j].pairs);
    uint32_t words = words_hold(unwinder->words, frames[j].words);
    while (j >= 0 && (frames[j].pairs > pairs || frames[j].words > words)) j--;
    return __builtin_expect(j >= unwinder->async_outer, 0) ? last_standing_async(unwinder, j) : j;
}

// The same on a stack that is not known, where it must be asked at a frame that was met. From inside out: as long as
// all words were equal, the next one is where the current stack has it, hence readable.
static int64_t last_standing_unknown(const struct tm_unwinder *unwinder, int64_t met) {
    int64_t j = met;
    while (j >= 0 && frame_holds(unwinder, &unwinder->frames[j])) j--;
    if (j >= 0) return j - 1;
    return met >= unwinder->async_outer ? last_standing_async(unwinder, met) : met;
}

static inline int is_same(const struct frame *frame, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    return frame->sp == sp && frame->pc == pc && (frame->fp == fp || (frame->flags & FP_UNUSED));
}

// ---- Remembering
// The node of an async function's innermost parent; 0: none. `words` counts what has been read.
static __attribute__((noinline)) uint32_t async_parent(struct tm_unwinder *unwinder, const struct fresh *fresh, uint32_t *words) {
    uintptr_t at = fresh->fp + (uintptr_t)(intptr_t)TM_CPU_ASYNC_CONTEXT_AT_FP;
    if (!may_read(unwinder, fresh->sp, at)) return TM_NODE_NONE;
    uintptr_t context = word_at(at);
    unwinder->words[(*words)++] = (struct word){at, context};
    uint32_t node = tm_async_follow(unwinder->chain, context);
    if (!unwinder->chain->is_whole) unwinder->is_doubtful = 1;
    return node;
}

// `caller` is what was read; NULL: nothing that the frame depends on.
static void push(struct tm_unwinder *unwinder, const struct fresh *fresh, const struct fresh *caller, uint16_t node_flags) {
    uint32_t i = unwinder->count;
    struct frame *frame = &unwinder->frames[i];
    uint32_t parent = i ? frame[-1].node : unwinder->is_cut ? TM_NODE_CUT : TM_NODE_NONE;
    uint32_t pairs = i ? frame[-1].pairs : 0, words = i ? frame[-1].words : 0;
    struct tm_rule rule = fresh->rule;
    if ((int64_t)i <= unwinder->async_outer) unwinder->async_outer = NO_FRAME;
    uint32_t caller_unused = i ? frame[-1].flags & FP_UNUSED : !unwinder->is_cut && !node_flags;
    uint32_t unused = 0;
    if (rule.kind == TM_RULE_END) unused = 1;
    else if (rule.kind == TM_RULE_PLT) unused = caller_unused;
    else if (rule.kind == TM_RULE_FRAME && rule.base == TM_BASE_SP)
        unused = rule.saved == TM_SAVED_NOT ? caller_unused : rule.saved == TM_SAVED_AT_CFA;
    if (i == 0 && (unwinder->is_cut || node_flags)) unused = 0;
    if (caller) {
        uintptr_t fp_at = caller_unused ? 0 : fresh->fp_at;
        if (fp_at && fp_at + sizeof(uintptr_t) == fresh->pc_at) {
            unwinder->pairs_at[pairs] = fp_at;
            unwinder->pairs[pairs++] = (struct tm_cpu_pair){caller->fp, caller->pc};
        } else {
            if (fresh->pc_at) unwinder->words[words++] = (struct word){fresh->pc_at, caller->pc};
            if (fp_at) unwinder->words[words++] = (struct word){fp_at, caller->fp};
        }
        if (fresh->cfa_at) unwinder->words[words++] = (struct word){fresh->cfa_at, caller->sp};
    }
    if (__builtin_expect(rule.is_async, 0)) {
        uint32_t async = async_parent(unwinder, fresh, &words);
        if (async) {
            parent = async;
            node_flags = 0;
            unwinder->async_inner = i;
            if (unwinder->async_outer == NO_FRAME) unwinder->async_outer = i;
        }
    }
    frame->pc = fresh->pc;
    frame->sp = fresh->sp;
    frame->fp = fresh->fp;
    frame->pairs = pairs;
    frame->words = words;
    frame->flags = (unused ? FP_UNUSED : 0) | (rule.kind == TM_RULE_GUESSED ? GUESSED : 0);
    frame->node = tm_stack_child(parent, fresh->pc, node_flags);
    unwinder->count = i + 1;
}

// Drops the `surplus` outermost frames, and gives the others nodes below the cut.
static void cut(struct tm_unwinder *unwinder, uint32_t surplus) {
    struct frame *frames = unwinder->frames;
    uint32_t count = unwinder->count - surplus, parent = TM_NODE_CUT;
    uint32_t pairs = frames[surplus].pairs, words = frames[surplus].words, last = unwinder->count - 1;
    memmove(unwinder->pairs_at, unwinder->pairs_at + pairs, (frames[last].pairs - pairs) * sizeof *unwinder->pairs_at);
    memmove(unwinder->pairs, unwinder->pairs + pairs, (frames[last].pairs - pairs) * sizeof *unwinder->pairs);
    memmove(unwinder->words, unwinder->words + words, (frames[last].words - words) * sizeof *unwinder->words);
    memmove(frames, frames + surplus, count * sizeof *frames);
    unwinder->is_cut = 1;
    unwinder->count = count;
    if (unwinder->async_outer != NO_FRAME) {
        unwinder->async_inner -= surplus;
        unwinder->async_outer -= surplus;
        if (unwinder->async_outer < 0) unwinder->async_outer = unwinder->async_inner < 0 ? NO_FRAME : unwinder->async_inner;
    }
    for (uint32_t i = 0; i < count; i++) {
        frames[i].pairs -= pairs;
        frames[i].words -= words;
        if (unwinder->async_outer != NO_FRAME && unwinder->async_inner == i) parent = unwinder->chain->node;
        frames[i].node = parent = tm_stack_child(parent, frames[i].pc, 0);
    }
}

// ---- The walk
static size_t walk_by_libunwind(struct tm_unwinder *unwinder, struct tm_caller from) {
    return tm_libunwind_walk(
        from.pc, from.sp, unwinder->foreign, unwinder->capacity + 1, unwinder->known, &unwinder->bounds, unwinder->scratch);
}

// The same for a stack that libunwind walked: `count` becomes the number of its frames up to the innermost async function.
// There is one chain: what it was remembered for is given up.
static uint32_t async_parent_of_foreign(struct tm_unwinder *unwinder, struct tm_caller from, size_t *count) {
    const struct tm_foreign_frame *foreign = unwinder->foreign;
    for (size_t i = 0; i < *count; i++) {
        if (foreign[i].flags & TM_NODE_SIGNAL || !tm_rules_find(foreign[i].pc).is_async) continue;
        uintptr_t at = foreign[i].fp + (uintptr_t)(intptr_t)TM_CPU_ASYNC_CONTEXT_AT_FP;
        if (!may_read(unwinder, from.sp, at)) return TM_NODE_NONE;
        if ((int64_t)unwinder->count > unwinder->async_outer) unwinder->count = (uint32_t)unwinder->async_outer;
        unwinder->async_outer = NO_FRAME;
        uint32_t node = tm_async_follow(unwinder->chain, word_at(at));
        if (node) *count = i + 1;
        return node;
    }
    return TM_NODE_NONE;
}

// Stacks that need libunwind are walked by it as a whole, and what is remembered stays for the stacks that do not.
static uint32_t walk_foreign(struct tm_unwinder *unwinder, struct tm_caller from) {
    struct tm_foreign_frame *foreign = unwinder->foreign;
    size_t count = walk_by_libunwind(unwinder, from);
    tm_add64(&options.counters->fallbacks, 1);
    if (count == 0) return tm_stack_child(TM_NODE_NONE, from.pc, TM_NODE_ENDED_EARLY);
    int is_cut = count > unwinder->capacity;
    if (is_cut) count = unwinder->limit;
    uint32_t node = async_parent_of_foreign(unwinder, from, &count);
    if (node) foreign[count - 1].flags &= (uint16_t)~TM_NODE_ENDED_EARLY;
    else if (is_cut) node = TM_NODE_CUT;
    while (count--) node = tm_stack_child(node, foreign[count].pc, foreign[count].flags);
    return node;
}

// Steps outward from fresh[0] until it meets one of frames[0 ... j], which it returns; -1 when it met none. `how` is why
// it stopped: STEP_DONE at a remembered frame, or at more frames than are kept. fresh[*count] is where it stopped.
static int64_t step_out(struct tm_unwinder *unwinder, int64_t j, uint32_t *count, enum step *how) {
    struct fresh *fresh = unwinder->fresh;
    const struct frame *frames = unwinder->frames;
    int is_known = unwinder->known.high != 0;
    uint32_t n = 0;
    for (*how = STEP_DONE; *how == STEP_DONE; n++) {
        uintptr_t sp = fresh[n].sp;
        while (j >= 0 && frames[j].sp < sp) j--;
        if (j >= 0 && is_same(&frames[j], fresh[n].pc, sp, fresh[n].fp)) {
            int64_t met = j;
            if (is_known || (j = last_standing_unknown(unwinder, met)) == met) {
                *count = n;
                return j;
            }
        }
        if (n == unwinder->capacity) break;
        fresh[n].rule = tm_rules_find(fresh[n].pc);
        *how = step(unwinder, &fresh[n], &fresh[n + 1]);
    }
    *count = n;
    return -1;
}

static __attribute__((noinline)) uint32_t walk(struct tm_unwinder *unwinder, struct tm_caller from, int64_t remembered) {
    struct fresh *fresh = unwinder->fresh;
    fresh[0].pc = from.pc;
    fresh[0].sp = from.sp;
    fresh[0].fp = from.fp;
    uint32_t n, limit = unwinder->limit, kept = limit + limit / 2;
    enum step how;
    int64_t j = step_out(unwinder, remembered, &n, &how);
    if (how == STEP_FOREIGN && tm_libunwind_loaded()) return walk_foreign(unwinder, from);
    if (j >= 0 && unwinder->is_cut && (uint64_t)j + 1 + n < limit) return walk(unwinder, from, -1);

    uint32_t left = n;
    uint16_t flags = 0;
    int is_outer_known = j >= 0 || how == STEP_END;
    unwinder->count = (uint32_t)(j + 1);
    if (j < 0) {
        unwinder->is_cut = how == STEP_DONE;
        if (unwinder->is_cut) left = kept;
        else if (how != STEP_END) flags = TM_NODE_ENDED_EARLY;
    } else if (unwinder->count + n > unwinder->capacity) {
        if (n < kept) {
            cut(unwinder, unwinder->count + n - kept);
        } else {
            unwinder->count = 0;
            unwinder->is_cut = 1;
            is_outer_known = 0;
            left = kept;
        }
    }
    int is_early = flags != 0;
    unwinder->is_doubtful = 0;
    for (const struct fresh *caller = is_outer_known ? &fresh[left] : NULL; left--; caller = &fresh[left]) {
        push(unwinder, &fresh[left], caller, flags);
        flags = 0;
    }
    uint32_t node = unwinder->frames[unwinder->count - 1].node;
    // Ended where words could not be read: that they cannot is not something to compare with next time.
    if ((is_early && fresh[n - 1].rule.kind == TM_RULE_FRAME) || unwinder->is_doubtful) unwinder->count = 0;
    return node;
}

// ---- Comparing with libunwind
// Beyond a frame without unwind info there is nothing to compare: libunwind 1.6 goes on with a wrong stack pointer.
static int agrees(const struct tm_unwinder *unwinder, const struct tm_foreign_frame *theirs, size_t their_count) {
    uint32_t count = unwinder->count;
    for (uint32_t i = 0; i < count; i++) {
        const struct frame *frame = &unwinder->frames[count - 1 - i];
        if (i >= their_count || theirs[i].pc != frame->pc) return 0;
        if (frame->flags & GUESSED) return 1;
    }
    return unwinder->is_cut || their_count == count;
}

static void verify(struct tm_unwinder *unwinder, struct tm_caller from, uint32_t node) {
    uint32_t count = unwinder->count;
    if (count == 0 || unwinder->frames[count - 1].node != node) return;  // libunwind's own stack
    size_t theirs = walk_by_libunwind(unwinder, from);
    tm_add64(&options.counters->walks, 1);
    if (!agrees(unwinder, unwinder->foreign, theirs)) tm_add64(&options.counters->differences, 1);
}

// ---- The way in
uint32_t tm_unwinder_stack(struct tm_unwinder *unwinder, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    if (__builtin_expect(sp - unwinder->known.low >= unwinder->known.high - unwinder->known.low, 0))
        unwinder->known = tm_stack_known(&unwinder->bounds, sp);
    uint64_t epoch = __atomic_load_n(&tm_rules.epoch, __ATOMIC_ACQUIRE);
    if (__builtin_expect(unwinder->epoch != epoch, 0)) {
        unwinder->epoch = epoch;
        unwinder->count = 0;
        tm_async_forget(unwinder->chain);
    }
    uint32_t count = unwinder->count, node;
    int64_t j = (int64_t)count - 1;
    while (j >= 0 && unwinder->frames[j].sp < sp) j--;
    if (__builtin_expect(unwinder->known.high != 0, 1)) j = last_standing(unwinder, j);
    const struct frame *last = &unwinder->frames[j];
    int is_deep_enough = !unwinder->is_cut || j + 1 >= (int64_t)unwinder->limit;
    if (j >= 0 && unwinder->known.high && is_deep_enough && is_same(last, pc, sp, fp)) {
        unwinder->count = (uint32_t)j + 1;
        node = last->node;
    } else {
        node = walk(unwinder, (struct tm_caller){pc, sp, fp}, j);
    }
    if (__builtin_expect(options.verify, 0) && tm_libunwind_loaded()) verify(unwinder, (struct tm_caller){pc, sp, fp}, node);
    return node;
}

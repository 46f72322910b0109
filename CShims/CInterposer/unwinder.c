// unwinder.c: the verified incremental walk.
//
//   remembered  frames[0 ... count)   outermost first (remembered_stack.h)
//   this walk   fresh[0 ... n)        innermost first, from the hook's caller until a remembered frame is met
//
//        frames[0] ... frames[j]  | frames[j+1] ... dropped
//        compared with the stack  | fresh[n-1] ... fresh[0] take their place and get nodes
//
// Where the fresh frames were walked before, from the same frame, one comparison finds their node (known_paths.h).
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
#include "known_paths.h"
#include "libunwind_fallback.h"
#include "remembered_stack.h"
#include "stack_bounds.h"
#include "stack_table.h"
#include "unwind_rules.h"

// The frame that called the hook, as it stands after the return.
struct caller {
    uintptr_t pc, sp, fp;
};

static inline __attribute__((always_inline)) struct caller caller_of(const struct tm_frame_record *hook) {
    return (struct caller){hook->pc, tm_cpu_sp_above(hook), hook->fp};
}

#define LIMIT_MIN 128u
#define LIMIT_MAX 65535u

static struct {
    uint32_t limit;
    int verify;
    struct tm_unwind_counters *counters;
} options;

static uint32_t limit_of(uint32_t frame_limit) {
    return frame_limit < LIMIT_MIN ? LIMIT_MIN : frame_limit > LIMIT_MAX ? LIMIT_MAX : frame_limit;
}

size_t tm_unwinder_size(uint32_t frame_limit) { return tm_unwinder_lay_out(NULL, limit_of(frame_limit)); }

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
    unwinder->near_size = 0;
    unwinder->limit = options.limit;
    unwinder->capacity = 2 * options.limit;
    tm_unwinder_lay_out(unwinder, options.limit);
    unwinder->last = unwinder->frames - 1;
    unwinder->async_outer = TM_NO_FRAME;
    tm_paths_forget(&unwinder->paths);
    // What another thread found out in this memory still holds, unless code was unloaded.
    uint64_t epoch = __atomic_load_n(&tm_rules.epoch, __ATOMIC_ACQUIRE);
    if (unwinder->epoch != epoch) tm_async_forget(unwinder->chain);
    unwinder->epoch = epoch;
    tm_stack_bounds_thread_start(&unwinder->bounds);
}

// ---- One step outward
enum step { STEP_DONE, STEP_END, STEP_EARLY, STEP_FOREIGN };

// A CFA that is not above the frame, or outside its stack: code that changed stacks. libunwind can follow it, but must not
// fault on a smashed frame pointer.
static enum step leave_stack(struct tm_unwinder *unwinder, uintptr_t cfa) {
    uintptr_t pc_at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
    return tm_stack_try(&unwinder->bounds, pc_at, sizeof pc_at) ? STEP_FOREIGN : STEP_EARLY;
}

// From fresh[0] to fresh[1].
static __attribute__((noinline)) enum step step(struct tm_unwinder *unwinder, struct tm_fresh_frame *fresh) {
    struct tm_fresh_frame *caller = fresh + 1;
    struct tm_rule rule = fresh->rule;
    uintptr_t sp = fresh->sp, fp = fresh->fp, cfa;
    fresh->fp_at = fresh->cfa_at = fresh->pc_at = 0;
    if (rule.kind == TM_RULE_FRAME) {
        if (rule.base == TM_BASE_SP) {
            cfa = sp + (uintptr_t)(intptr_t)rule.cfa_offset;
        } else {
            cfa = fp + (uintptr_t)(intptr_t)rule.cfa_offset;
            if (rule.base == TM_BASE_FP_WORD) {
                if (!tm_may_read(unwinder, sp, cfa)) return STEP_EARLY;
                fresh->cfa_at = cfa;
                cfa = tm_word_at(cfa);
            }
        }
        if (rule.saved != TM_SAVED_NOT) fresh->fp_at = (rule.saved == TM_SAVED_AT_CFA ? cfa : fp) + (uintptr_t)(intptr_t)rule.fp_offset;
    } else if (rule.kind == TM_RULE_GUESSED) {
        if (fp == 0) return STEP_END;  // the ABI's mark of the outermost frame
        if (fp < sp || fp - sp > TM_CPU_GUESS_REACH || !tm_may_read(unwinder, sp, fp + sizeof fp)) return STEP_EARLY;
        cfa = fp + TM_CPU_GUESS_CFA;
        fresh->fp_at = fp + TM_CPU_GUESS_FP;
    } else if (rule.kind == TM_RULE_PLT) {
        cfa = sp + sizeof cfa;
    } else {
        return rule.kind == TM_RULE_FOREIGN ? STEP_FOREIGN : STEP_END;
    }
    fresh->pc_at = cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA;
    if (cfa <= sp || !tm_may_read(unwinder, sp, fresh->pc_at)) return leave_stack(unwinder, cfa);
    if (fresh->fp_at && !tm_may_read(unwinder, sp, fresh->fp_at)) return STEP_EARLY;
    caller->pc = tm_word_at(fresh->pc_at);
    caller->sp = cfa;
    caller->fp = fresh->fp_at ? tm_word_at(fresh->fp_at) : fp;
    return caller->pc ? STEP_DONE : STEP_END;
}

// ---- The walk
static size_t walk_by_libunwind(struct tm_unwinder *unwinder, struct caller from) {
    return tm_libunwind_walk(
        from.pc, from.sp, unwinder->foreign, unwinder->capacity + 1, unwinder->known, &unwinder->bounds, unwinder->scratch);
}

// The same for a stack that libunwind walked: `count` becomes the number of its frames up to the innermost async function.
// There is one chain: what it was remembered for is given up.
static uint32_t async_parent_of_foreign(struct tm_unwinder *unwinder, struct caller from, size_t *count) {
    const struct tm_foreign_frame *foreign = unwinder->foreign;
    for (size_t i = 0; i < *count; i++) {
        if (foreign[i].flags & TM_NODE_SIGNAL || !tm_rules_find(tm_rules.entries, unwinder->epoch, foreign[i].pc).is_async) continue;
        uintptr_t at = foreign[i].fp + (uintptr_t)(intptr_t)TM_CPU_ASYNC_CONTEXT_AT_FP;
        if (!tm_may_read(unwinder, from.sp, at)) return TM_NODE_NONE;
        if ((int64_t)unwinder->count > unwinder->async_outer) unwinder->count = (uint32_t)unwinder->async_outer;
        unwinder->async_outer = TM_NO_FRAME;
        uint32_t node = tm_async_follow(unwinder->chain, tm_word_at(at));
        if (node) *count = i + 1;
        return node;
    }
    return TM_NODE_NONE;
}

// Stacks that need libunwind are walked by it as a whole, and what is remembered stays for the stacks that do not.
static uint32_t walk_foreign(struct tm_unwinder *unwinder, struct caller from) {
    struct tm_foreign_frame *foreign = unwinder->foreign;
    size_t count = walk_by_libunwind(unwinder, from);
    tm_add64(&options.counters->fallbacks, 1);
    const struct tm_stack_link *callees = tm_stack_callees();
    if (count == 0) return tm_stack_child(callees, TM_NODE_NONE, from.pc, TM_NODE_ENDED_EARLY);
    int is_cut = count > unwinder->capacity;
    if (is_cut) count = unwinder->limit;
    uint32_t node = async_parent_of_foreign(unwinder, from, &count);
    if (node) foreign[count - 1].flags &= (uint16_t)~TM_NODE_ENDED_EARLY;
    else if (is_cut) node = TM_NODE_CUT;
    while (count--) node = tm_stack_child(callees, node, foreign[count].pc, foreign[count].flags);
    return node;
}

// Steps outward from fresh[0] until it meets one of frames[0 ... j], which it returns; -1 when it met none. `how` is why
// it stopped: STEP_DONE at a remembered frame, or at more frames than are kept. fresh[*count] is where it stopped.
static inline __attribute__((always_inline)) int64_t step_out(
    struct tm_unwinder *unwinder, struct caller from, int64_t j, uint32_t *count, enum step *how) {
    struct tm_fresh_frame *fresh = unwinder->fresh, *end = fresh + unwinder->capacity;
    const struct tm_frame *frame = &unwinder->frames[j];
    struct tm_rule_entry *rules = tm_rules.entries;
    uint64_t epoch = unwinder->epoch;
    uintptr_t pc = from.pc, sp = from.sp, fp = from.fp;
    uintptr_t high = unwinder->known.high;  // 0 on a stack that is not known: no plain step ends below it
    for (*how = STEP_DONE;; fresh++) {
        fresh->pc = pc;
        fresh->sp = sp;
        fresh->fp = fp;
        if (__builtin_expect(*how != STEP_DONE, 0)) break;
        frame = tm_outside(frame, sp);
        if (tm_is_same_frame(frame, pc, sp, fp)) {
            int64_t met = frame - unwinder->frames;
            if (high || (j = tm_last_standing_unknown(unwinder, met)) == met) {
                *count = (uint32_t)(fresh - unwinder->fresh);
                return met;
            }
            frame = &unwinder->frames[j];
        }
        if (fresh == end) break;
        struct tm_rule rule = fresh->rule = tm_rules_find(rules, epoch, pc);
        uintptr_t base = rule.base == TM_BASE_SP ? sp : fp, cfa = base + (uintptr_t)(intptr_t)rule.cfa_offset;
        if (__builtin_expect(rule.is_plain && base - sp < high - sp && cfa <= high, 1)) {
            pc = tm_word_at(cfa + (uintptr_t)TM_CPU_RETURN_AT_CFA);
            sp = cfa;
            if (rule.saved != TM_SAVED_NOT) fp = tm_word_at(cfa + (uintptr_t)(intptr_t)rule.fp_offset);
            if (__builtin_expect(pc == 0, 0)) *how = STEP_END;
        } else {
            *how = step(unwinder, fresh);
            pc = fresh[1].pc;
            sp = fresh[1].sp;
            fp = fresh[1].fp;
        }
    }
    *count = (uint32_t)(fresh - unwinder->fresh);
    return -1;
}

static __attribute__((noinline)) uint32_t walk(struct tm_unwinder *unwinder, const struct tm_frame_record *hook, int64_t remembered) {
    struct caller from = caller_of(hook);
    const struct tm_fresh_frame *fresh = unwinder->fresh;
    uint32_t n, limit = unwinder->limit, kept = limit + limit / 2;
    enum step how;
    int64_t j = step_out(unwinder, from, remembered, &n, &how);
    if (how == STEP_FOREIGN && tm_libunwind_loaded()) return walk_foreign(unwinder, from);
    if (j >= 0 && unwinder->is_cut && (uint64_t)j + 1 + n < limit) return walk(unwinder, hook, -1);

    uint32_t left = n;
    uint16_t flags = 0;
    int is_outer_known = j >= 0 || how == STEP_END;
    unwinder->count = (uint32_t)(j + 1);
    if (j < unwinder->async_outer) unwinder->async_outer = TM_NO_FRAME;
    if (j < 0) {
        unwinder->is_cut = how == STEP_DONE;
        if (unwinder->is_cut) left = kept;
        else if (how != STEP_END) flags = TM_NODE_ENDED_EARLY;
    } else if (unwinder->count + n > unwinder->capacity) {
        if (n < kept) {
            tm_cut_off(unwinder, unwinder->count + n - kept);
        } else {
            unwinder->count = 0;
            unwinder->async_outer = TM_NO_FRAME;
            unwinder->is_cut = 1;
            is_outer_known = 0;
            left = kept;
        }
    }
    int is_early = flags != 0;
    int has_path = j >= 0 && is_outer_known && unwinder->known.high && !unwinder->is_cut;
    if (j < 0) tm_remember_from(unwinder, fresh[n - 1].sp);
    unwinder->is_doubtful = from.sp < unwinder->base;
    if (unwinder->count == 0 || !is_outer_known) {
        left--;
        tm_remember(unwinder, &fresh[left], is_outer_known ? &fresh[left + 1] : NULL, flags);
    }
    tm_remember_all(unwinder, left);
    uint32_t node = unwinder->frames[unwinder->count - 1].node;
    // Ended where words could not be read: that they cannot is not something to compare with next time.
    if ((is_early && fresh[n - 1].rule.kind == TM_RULE_FRAME) || unwinder->is_doubtful) unwinder->count = 0;
    else if (has_path && n <= TM_PATH_WORDS) tm_path_note(unwinder, &unwinder->frames[j], n, node);
    return node;
}

// ---- Comparing with libunwind
// Beyond a frame without unwind info there is nothing to compare: libunwind 1.6 goes on with a wrong stack pointer.
static int agrees(const struct tm_unwinder *unwinder, const struct tm_foreign_frame *theirs, size_t their_count) {
    uint32_t count = unwinder->count;
    for (uint32_t i = 0; i < count; i++) {
        const struct tm_frame *frame = &unwinder->frames[count - 1 - i];
        if (i >= their_count || theirs[i].pc != frame->pc) return 0;
        if (frame->flags & TM_FRAME_GUESSED) return 1;
    }
    return unwinder->is_cut || their_count == count;
}

static void verify(struct tm_unwinder *unwinder, struct caller from, uint32_t node) {
    uint32_t count = unwinder->count;
    if (count == 0 || unwinder->frames[count - 1].node != node) return;  // libunwind's own stack
    size_t theirs = walk_by_libunwind(unwinder, from);
    tm_add64(&options.counters->walks, 1);
    if (!agrees(unwinder, unwinder->foreign, theirs)) tm_add64(&options.counters->differences, 1);
}

// The same for a known path, of which nothing is remembered: it is walked, compared and forgotten.
static __attribute__((noinline)) void verify_path(struct tm_unwinder *unwinder, const struct tm_frame_record *hook, uint32_t node) {
    uint32_t count = unwinder->count;
    if (walk(unwinder, hook, (int64_t)count - 1) != node) tm_add64(&options.counters->differences, 1);
    if (tm_libunwind_loaded()) verify(unwinder, caller_of(hook), node);
    if (unwinder->count > count) unwinder->count = count;
}

// ---- The way in
// The innermost frame that stands is often the base of a path that was walked before; or one of the two frames outside of it is, when
// the innermost ones have gone on since.
static inline __attribute__((always_inline)) uint32_t known_path(
    struct tm_unwinder *unwinder, const struct tm_frame *last, struct caller from) {
    for (int tries = 0; tries < 3 && last >= unwinder->frames; tries++, last--) {
        struct tm_path_key key = tm_path_key(&unwinder->paths, last, from.pc, from.sp);
        uint32_t node = tm_path_find(&unwinder->paths, key.set, tm_path_ways(key), last, from.pc, from.sp, from.fp);
        if (node) {
            unwinder->count = (uint32_t)(last - unwinder->frames) + 1;
            if (unwinder->count <= unwinder->async_outer) unwinder->async_outer = TM_NO_FRAME;
            return node;
        }
    }
    return TM_NODE_NONE;
}

// Whether it is the one that the last call was on, which can be read up to its end.
static inline __attribute__((always_inline)) int is_on_known_stack(const struct tm_unwinder *unwinder, uintptr_t sp) {
    return sp - unwinder->known.low < unwinder->known.high - unwinder->known.low;
}

// What is remembered can be compared at once, if it is of the thread's present stack and nothing about it is unusual: then the stack
// pointer is as far in as the last frame's, or further. Otherwise no place is right.
static inline __attribute__((always_inline)) void note_where_comparable(struct tm_unwinder *unwinder) {
    const struct tm_frame *last = &unwinder->frames[(int64_t)unwinder->count - 1];
    struct tm_stack_range known = unwinder->known;
    int is_plain = !(unwinder->is_cut | options.verify) && unwinder->async_outer == TM_NO_FRAME;
    int is_near = unwinder->count && last->sp >= known.low && last->sp < known.high;
    unwinder->last = last;
    unwinder->near_low = known.low;
    unwinder->near_size = is_plain && is_near ? last->sp - known.low + 1 : 0;
}

static __attribute__((noinline)) uint32_t other_stack(struct tm_unwinder *unwinder, const struct tm_frame_record *hook, uint32_t held) {
    struct caller from = caller_of(hook);
    if (__builtin_expect(!is_on_known_stack(unwinder, from.sp), 0)) unwinder->known = tm_stack_known(&unwinder->bounds, from.sp);
    uint64_t epoch = __atomic_load_n(&tm_rules.epoch, __ATOMIC_ACQUIRE);
    if (__builtin_expect(unwinder->epoch != epoch, 0)) {
        unwinder->epoch = epoch;
        unwinder->count = 0;
        tm_paths_forget(&unwinder->paths);
        tm_async_forget(unwinder->chain);
    }
    uint32_t node;
    const struct tm_frame *last = tm_outside(&unwinder->frames[(int64_t)unwinder->count - 1], from.sp);
    int64_t j = __builtin_expect(unwinder->known.high != 0, 1) ? tm_last_standing(unwinder, last, held) : last - unwinder->frames;
    last = &unwinder->frames[j];
    int is_deep_enough = !unwinder->is_cut || j + 1 >= (int64_t)unwinder->limit;
    if (j >= 0 && unwinder->known.high && is_deep_enough && tm_is_same_frame(last, from.pc, from.sp, from.fp)) {
        unwinder->count = (uint32_t)j + 1;
        node = last->node;
    } else {
        node = unwinder->known.high && !unwinder->is_cut ? known_path(unwinder, last, from) : TM_NODE_NONE;
        if (!node) node = walk(unwinder, hook, j);
        else if (__builtin_expect(options.verify, 0)) verify_path(unwinder, hook, node);
    }
    if (__builtin_expect(options.verify, 0) && tm_libunwind_loaded()) verify(unwinder, from, node);
    note_where_comparable(unwinder);
    return node;
}

// What is left to try when the first path of the set with the right tag is another one, or has more words than return addresses.
// Functions of their own, each the end of the one before: so none saves registers for what it seldom needs.
static __attribute__((noinline)) uint32_t stack_by_further_path(
    struct tm_unwinder *unwinder, const struct tm_frame_record *hook, struct tm_path_set *set, uint32_t ways) {
    struct caller from = caller_of(hook);
    const struct tm_frame *last = unwinder->last;
    uint32_t node = tm_path_find(&unwinder->paths, set, ways, last, from.pc, from.sp, from.fp);
    return node ? node : other_stack(unwinder, hook, last->words);
}

static __attribute__((noinline)) uint32_t stack_by_path(
    struct tm_unwinder *unwinder, const struct tm_frame_record *hook, const struct tm_frame *last) {
    struct caller from = caller_of(hook);
    struct tm_path_key key = tm_path_key(&unwinder->paths, last, from.pc, from.sp);
    uint32_t ways = tm_path_ways(key);
    if (!ways) return other_stack(unwinder, hook, last->words);
    unsigned way = tm_path_first_way(ways);
    const struct tm_path *path = tm_path_of(&unwinder->paths, key.set, way);
    if (!path->only_returns || !(last->flags & TM_FP_UNUSED) || !tm_path_is_from(path, last, from.pc, from.sp))
        return stack_by_further_path(unwinder, hook, key.set, ways);
    if (tm_path_returns_differ(path, 0, path->only_returns, from.sp))
        return stack_by_further_path(unwinder, hook, key.set, ways & (ways - 1));
    tm_path_is_used(key.set, way);
    return path->node;
}

// All that is remembered stands: the last frame is the hook's caller, or outside of it. The frame is found anew, because the comparison
// needs the registers.
static inline __attribute__((always_inline)) uint32_t stack_below_last(
    struct tm_unwinder *unwinder, const struct tm_frame_record *hook) {
    const struct tm_frame *last = unwinder->last;
    struct caller from = caller_of(hook);
    return tm_is_same_frame(last, from.pc, from.sp, from.fp) ? last->node : stack_by_path(unwinder, hook, last);
}

// All pairs stand. As tm_words_hold, which would keep one more register through the comparison.
static inline __attribute__((always_inline)) uint32_t stack_by_words(
    struct tm_unwinder *unwinder, const struct tm_frame_record *hook, const struct tm_frame *last) {
    const uint32_t *end = unwinder->words_at + last->words;
    const uint32_t *place = tm_cpu_words_hold(unwinder->base, unwinder->words_at, end, unwinder->words);
    if (place != end) return other_stack(unwinder, hook, (uint32_t)(place - unwinder->words_at));
    return stack_below_last(unwinder, hook);
}

static __attribute__((noinline)) uint32_t stack_by_pairs(
    struct tm_unwinder *unwinder, const struct tm_frame_record *hook, const struct tm_frame *last) {
    if (!tm_cpu_pairs_are(unwinder->base, unwinder->pairs_at, unwinder->pairs, last->pairs)) return other_stack(unwinder, hook, 0);
    return stack_by_words(unwinder, hook, last);
}

// A loop allocates from the same stack again and again, or along paths that begin where the last one did: nearly always all that is
// remembered stands.
uint32_t tm_unwinder_stack(struct tm_unwinder *unwinder, const struct tm_frame_record *hook) {
    const struct tm_frame *last = unwinder->last;
    if (tm_cpu_sp_above(hook) - unwinder->near_low >= unwinder->near_size) return other_stack(unwinder, hook, 0);
    if (unwinder->epoch != __atomic_load_n(&tm_rules.epoch, __ATOMIC_ACQUIRE)) return other_stack(unwinder, hook, 0);
    if (last->pairs) return stack_by_pairs(unwinder, hook, last);
    return stack_by_words(unwinder, hook, last);
}

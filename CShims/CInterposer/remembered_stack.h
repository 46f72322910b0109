// remembered_stack.h: what a thread knows of the stack that it had last, and which of it still stands.
//
//   frames[0 ... count)   outermost first; below each: its node, and how many words of the stack were read up to it.
//                         frames[-1] is no frame, and stands outside of all: looking for one ends there
//   pairs, words          what was read: frame pointer and return address side by side, and everything else
//   pairs_at, words_at    where it was read, in bytes above `base`
//
// Words are kept apart from frames, so that comparing runs through dense arrays: what they take of the nearest cache, the program
// must fetch again. A word that no outer frame depends on is not kept.
#ifndef TM_REMEMBERED_STACK_H
#define TM_REMEMBERED_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "CRecording.h"
#include "async_chain.h"
#include "cpu.h"
#include "libunwind_fallback.h"
#include "stack_bounds.h"
#include "unwind_rules.h"

enum {
    TM_FP_UNUSED = 1,  // no outer frame depends on this frame's fp: it is not compared and may be out of date
    TM_FRAME_GUESSED = 2,    // left without unwind info: from here on libunwind 1.6's stack pointer is wrong
};

struct tm_frame {
    uintptr_t pc, sp, fp;
    uint32_t node;
    uint32_t pairs, words;  // how many belong to this frame and all outer ones
    uint32_t flags;
};

// A frame of this walk and what was read to leave it; the values read are the next frame's pc, fp and sp. A plain rule reads at
// fixed places below the next frame's sp: they are not written down.
struct tm_fresh_frame {
    uintptr_t pc, sp, fp;
    struct tm_rule rule;
    uintptr_t pc_at, fp_at, cfa_at;  // 0: not read
};

// known_paths.h
#define TM_PATH_WORDS 60
#define TM_PATH_WAYS 4
#define TM_PATH_SETS_LOG2 11
#define TM_PATH_LINES (1u << 14)
#define TM_PATH_LINE 64u

struct tm_path {
    _Alignas(TM_PATH_LINE) uint64_t pc;  // of the hook's caller; 0: walked once, and nothing else is valid
    uint32_t distance;                   // between the stack pointers of the hook's caller and of the base
    uint32_t base_node;
    uint32_t node;
    uint32_t base_fp;  // from the stack pointer of the hook's caller
    uint16_t fp;       // the same, in words
    // How many words are return addresses; below how many of these, the first ones, a frame pointer is saved, to each of which belongs
    // one of the halves that follow; and how many halves follow that are frame pointers saved elsewhere.
    uint8_t returns, pairs, saved;
    uint8_t only_returns;  // the same as returns, if nothing else is compared; else 0
    uint8_t fps;           // TM_PATH_USES_FP, TM_PATH_KNOWS_BASE_FP: which of the two are compared
    uint8_t lines;         // that it may use
    // Place in the low 16 bits, in words from the stack pointer of the hook's caller; above it what is there: a return address, or a
    // saved frame pointer's distance from there, in words. A pair's half is this distance alone, in bytes. Small, because it is reading
    // them that takes time.
    union {
        uint64_t words[TM_PATH_WORDS];
        uint32_t halves[2 * TM_PATH_WORDS];
    };
};
_Static_assert(sizeof(struct tm_path) == 8 * TM_PATH_LINE, "eight cache lines, of which most paths use one or two");
enum { TM_PATH_USES_FP = 1, TM_PATH_KNOWS_BASE_FP = 2 };

// Apart from the paths and dense: one look finds the right path among those whose ends have the same place.
struct tm_path_set {
    _Alignas(16) uint16_t tags[TM_PATH_WAYS];  // 0: none
    // The line where the path begins, 0: none, walked once. Above it whether it has found something of late: TM_PATH_USED.
    union {
        uint16_t at[TM_PATH_WAYS];
        uint8_t bytes[2 * TM_PATH_WAYS];
    };
};
#define TM_PATH_USED 0x80u

struct tm_known_paths {
    struct tm_path_set *sets;
    char *lines;    // paths one after the other, in the order in which they were found: they fill few pages
    uint32_t turn;  // counts ways that were asked whether they can go
    uint32_t used;  // lines; 0: nothing is known. Line 0 is no path: zero for ever, hence from nowhere
};

#define TM_NO_FRAME INT64_MAX

struct tm_unwinder {
    // what every call needs
    uint32_t count;
    uint32_t is_cut;  // frames[0] is not the outermost frame of the stack
    uint32_t limit, capacity;
    uint64_t epoch;
    // From where to where the stack pointer can be for what is remembered to be compared at once. Nowhere (size 0) if it is cut, has
    // async functions, or is compared with libunwind's.
    uintptr_t near_low, near_size;
    const struct tm_frame *last;  // frames[count - 1], between calls
    struct tm_frame *frames;
    uintptr_t base;  // 3 GiB inside of the outermost frame: what is within 4 GiB from here has a place
    uint32_t *pairs_at, *words_at;
    struct tm_cpu_pair *pairs;
    uint64_t *words;
    int64_t async_outer;  // the outermost remembered frame of an async function with parents, TM_NO_FRAME: none
    struct tm_stack_range known;  // the stack of the last call, when it is one of the known ones; else empty
    // what a walk needs
    struct tm_known_paths paths;
    int64_t async_inner;           // the innermost such frame
    struct tm_async_chain *chain;  // its parents
    uint32_t is_doubtful;          // this walk read something that has no place or could not be followed: not to be remembered
    struct tm_fresh_frame *fresh;
    struct tm_foreign_frame *foreign;
    void *scratch;
    struct tm_stack_bounds bounds;
};

// The size of an unwinder with its arrays; sets its pointers to them unless it is NULL.
size_t tm_unwinder_lay_out(struct tm_unwinder *unwinder, uint32_t limit);

// ---- Reading
static inline int tm_may_read(struct tm_unwinder *unwinder, uintptr_t sp, uintptr_t address) {
    if (address < sp || address > UINTPTR_MAX - sizeof(uintptr_t)) return 0;
    if (__builtin_expect(unwinder->known.high != 0, 1)) return address + sizeof(uintptr_t) <= unwinder->known.high;
    return tm_stack_try(&unwinder->bounds, address, sizeof(uintptr_t));
}

static inline uintptr_t tm_word_at(uintptr_t address) {
    uintptr_t word;
    __builtin_memcpy(&word, (const void *)address, sizeof word);
    return word;
}

// ---- Comparing
// The first word from `first` on, up to `end`, that does not hold the remembered value any more; `end`: all do.
static inline __attribute__((always_inline)) uint32_t tm_words_hold(const struct tm_unwinder *unwinder, uint32_t first, uint32_t end) {
    const uint32_t *place = unwinder->words_at + first;
    place = tm_cpu_words_hold(unwinder->base, place, unwinder->words_at + end, unwinder->words + first);
    return (uint32_t)(place - unwinder->words_at);
}

// The innermost frame, at or outside the given one, that is not further in than `sp`.
static inline __attribute__((always_inline)) const struct tm_frame *tm_outside(const struct tm_frame *frame, uintptr_t sp) {
    while (frame->sp < sp) frame--;
    return frame;
}

// j, if its async parents stand as well, else the frame outside the async functions; all words of the stack up to j must be equal.
int64_t tm_last_standing_async(const struct tm_unwinder *unwinder, int64_t j);

// The innermost frame at or outside the given one that can be gone on from: it and all frames outside are left as remembered.
// -1: none. On a known stack everything can be read, so this is asked once a walk. `held`: words that are known to hold; if there are
// any, all pairs are.
static inline __attribute__((always_inline)) int64_t tm_last_standing(
    const struct tm_unwinder *unwinder, const struct tm_frame *frame, uint32_t held) {
    uint32_t pairs = held ? frame->pairs : (uint32_t)tm_cpu_pairs_hold(unwinder->base, unwinder->pairs_at, unwinder->pairs, frame->pairs);
    uint32_t words = frame->words <= held ? frame->words : tm_words_hold(unwinder, held, frame->words);
    while (frame->pairs > pairs || frame->words > words) frame--;
    int64_t j = frame - unwinder->frames;
    return __builtin_expect(j >= unwinder->async_outer, 0) ? tm_last_standing_async(unwinder, j) : j;
}

static inline int tm_is_same_frame(const struct tm_frame *frame, uintptr_t pc, uintptr_t sp, uintptr_t fp) {
    return frame->sp == sp && frame->pc == pc && (frame->fp == fp || (frame->flags & TM_FP_UNUSED));
}

// The same on a stack that is not known, where it must be asked at a frame that was met.
int64_t tm_last_standing_unknown(const struct tm_unwinder *unwinder, int64_t met);

// ---- Remembering
// The stack pointer of the outermost frame: all others are about to be remembered anew.
void tm_remember_from(struct tm_unwinder *unwinder, uintptr_t outermost);

// One more frame, further in. `caller` is what was read to leave it; NULL: nothing that the frame depends on.
void tm_remember(
    struct tm_unwinder *unwinder, const struct tm_fresh_frame *fresh, const struct tm_fresh_frame *caller, uint16_t node_flags);

// The `count` frames fresh[count - 1] ... fresh[0], all of them left for the next in the array, below a frame that is remembered.
void tm_remember_all(struct tm_unwinder *unwinder, uint32_t count);

// Drops the `surplus` outermost frames, and gives the others nodes below the cut.
void tm_cut_off(struct tm_unwinder *unwinder, uint32_t surplus);

#endif

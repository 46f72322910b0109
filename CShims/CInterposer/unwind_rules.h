// unwind_rules.h: how to leave a frame, compiled once per return address and kept in one table for all threads.
//
//   frame   (pc, sp, fp): where a function stands after the call it is in returns
//   rule    from pc alone: how (sp, fp) and at most three words of the stack give the caller's (pc, sp, fp)
//
// Finding a rule takes no lock and allocates nothing. The table is memory of this process only, used where touched.
#ifndef TM_UNWIND_RULES_H
#define TM_UNWIND_RULES_H

#include <stddef.h>
#include <stdint.h>

enum tm_rule_kind {
    TM_RULE_UNKNOWN = 0,  // not compiled yet
    TM_RULE_FRAME,        // CFA as `base` says, return address just below the CFA, caller's fp as `saved` says
    TM_RULE_GUESSED,      // no unwind info: a frame pointer frame, if fp looks like one
    TM_RULE_PLT,          // no unwind info, a PLT entry: the return address is on top of the stack
    TM_RULE_END,          // the outermost frame: its return address is undefined
    TM_RULE_FOREIGN,      // needs more than this: signal frames, other registers, expressions
};

enum tm_rule_base {
    TM_BASE_SP = 0,   // CFA = sp + cfa_offset
    TM_BASE_FP,       // CFA = fp + cfa_offset
    TM_BASE_FP_WORD,  // CFA = word at fp + cfa_offset: a realigned stack
};

enum tm_rule_saved {
    TM_SAVED_NOT = 0,  // the caller's fp is in fp
    TM_SAVED_AT_CFA,   // it is at CFA + fp_offset
    TM_SAVED_AT_FP,    // it is at fp + fp_offset
};

struct tm_rule {
    uint8_t kind;          // enum tm_rule_kind
    uint8_t base : 2;      // enum tm_rule_base
    uint8_t saved : 2;     // enum tm_rule_saved
    uint8_t is_async : 1;  // an async Swift function, whose context is at fp + TM_CPU_ASYNC_CONTEXT_AT_FP
    uint8_t is_plain : 1;  // all that is read lies between the base, sp or fp, and the CFA: true of nearly all frames
    uint8_t is_lasting : 1;  // of code in a module, whose end is noticed: the rule holds until tm_rules_forget
    int16_t fp_offset;
    int32_t cfa_offset;
};
_Static_assert(sizeof(struct tm_rule) == 8, "a rule is read and written as one word");

// A return address may be the first byte of the next function; the call before it is always in the right one.
static inline uintptr_t tm_call_address(uintptr_t return_address) { return return_address - 1; }

#define TM_RULE_WAYS 4u
#define TM_RULE_BUCKETS_LOG2 15

struct tm_rule_entry {
    uint64_t key;  // return address, epoch in the 16 bits that user space addresses do not use
    struct tm_rule rule;
};

struct tm_rule_table {
    struct tm_rule_entry *entries;  // buckets of TM_RULE_WAYS entries, one cache line each; NULL: no memory for it
    uint64_t epoch;                 // counts tm_rules_forget
};
extern struct tm_rule_table tm_rules __attribute__((visibility("hidden")));

void tm_rules_initialize(void);  // once, not on the hot path
void tm_rules_forget(void);      // code was unloaded
struct tm_rule tm_rules_compile(uintptr_t return_address);

static inline uint64_t tm_rule_key(uintptr_t return_address, uint64_t epoch) { return return_address | epoch << 48; }

static inline struct tm_rule_entry *tm_rule_bucket(struct tm_rule_entry *entries, uintptr_t return_address) {
    return entries + TM_RULE_WAYS * (return_address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TM_RULE_BUCKETS_LOG2));
}

// An entry is replaced as a whole, so a rule read between two equal readings of its key belongs to that key. `entries` and
// `epoch` are those of the table, which a walk reads once.
static inline __attribute__((always_inline)) struct tm_rule tm_rules_find(
    struct tm_rule_entry *entries, uint64_t epoch, uintptr_t return_address) {
    uint64_t key = tm_rule_key(return_address, epoch);
    if (__builtin_expect(entries != NULL, 1)) {
        const struct tm_rule_entry *bucket = tm_rule_bucket(entries, return_address);
        for (unsigned way = 0; way < TM_RULE_WAYS; way++) {
            if (__atomic_load_n(&bucket[way].key, __ATOMIC_ACQUIRE) != key) continue;
            struct tm_rule rule;
            __atomic_load(&bucket[way].rule, &rule, __ATOMIC_ACQUIRE);
            if (__atomic_load_n(&bucket[way].key, __ATOMIC_RELAXED) == key) return rule;
        }
    }
    return tm_rules_compile(return_address);
}

#endif

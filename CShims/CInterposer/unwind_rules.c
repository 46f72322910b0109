// unwind_rules.c: the table of rules, compiled when an address is met for the first time.
#define _GNU_SOURCE
#include "unwind_rules.h"

#include "cfi.h"
#include "cpu.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

struct tm_rule_table tm_rules;

void tm_rules_initialize(void) {
    if (tm_rules.entries) return;
    size_t size = sizeof(struct tm_rule_entry) * TM_RULE_WAYS << TM_RULE_BUCKETS_LOG2;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    tm_rules.entries = memory == MAP_FAILED ? NULL : memory;
}

// Costs nothing now: keys of older epochs no longer match. After 65,536 epochs they would, so the table is emptied.
void tm_rules_forget(void) {
    uint64_t epoch = __atomic_add_fetch(&tm_rules.epoch, 1, __ATOMIC_SEQ_CST);
    if ((epoch & 0xffff) == 0 && tm_rules.entries)
        for (size_t i = 0; i < (size_t)TM_RULE_WAYS << TM_RULE_BUCKETS_LOG2; i++)
            __atomic_store_n(&tm_rules.entries[i].key, 0, __ATOMIC_RELEASE);
}

static int is_async_entry(const struct tm_module *module, uintptr_t function) {
    struct tm_bytes code = tm_module_bytes(module, function);
    return code.end - code.at >= TM_CPU_CODE_BYTES && tm_cpu_is_async_entry(code.at);
}

#define FUNCTION_REACH ((uintptr_t)1 << 16)

// Is a function without unwind info async? Its beginning is the nearest one at or above `low` that looks like a beginning.
static int is_async_guess(const struct tm_module *module, uintptr_t low, uintptr_t address) {
    if (low == 0 || low > address) return 0;
    if (address - low > FUNCTION_REACH) low = address - FUNCTION_REACH;
    struct tm_bytes code = tm_module_bytes(module, low);
    if ((uintptr_t)(code.end - code.at) < address - low + TM_CPU_CODE_BYTES) return 0;
    for (uintptr_t at = address & -(uintptr_t)TM_CPU_FUNCTION_ALIGNMENT; at >= low; at -= TM_CPU_FUNCTION_ALIGNMENT) {
        if (tm_cpu_is_async_entry(code.at + (at - low))) return 1;
        if (tm_cpu_is_frame_entry(code.at + (at - low))) return 0;
    }
    return 0;
}

// What the code itself says where the module says nothing.
static struct tm_rule rule_from_code(const struct tm_module *module, uintptr_t return_address) {
    struct tm_bytes code = tm_module_bytes(module, return_address);
    struct tm_rule rule = {.kind = TM_RULE_GUESSED};
    if (code.end - code.at < TM_CPU_CODE_BYTES) return rule;
    if (tm_cpu_is_signal_return(code.at)) rule.kind = TM_RULE_FOREIGN;
    else if (tm_cpu_is_plt_entry(code.at)) rule.kind = TM_RULE_PLT;
    return rule;
}

static int is_plain(struct tm_rule rule) {
    if (rule.kind != TM_RULE_FRAME || rule.is_async || rule.base == TM_BASE_FP_WORD || rule.saved == TM_SAVED_AT_FP) return 0;
    int32_t lowest = rule.saved == TM_SAVED_NOT ? TM_CPU_RETURN_AT_CFA : rule.fp_offset;
    return lowest <= TM_CPU_RETURN_AT_CFA && rule.cfa_offset >= -lowest;
}

static void remember(uintptr_t return_address, uint64_t epoch, struct tm_rule rule) {
    if (!tm_rules.entries) return;
    struct tm_rule_entry *bucket = tm_rule_bucket(tm_rules.entries, return_address), *entry = NULL;
    for (unsigned way = 0; way < TM_RULE_WAYS && !entry; way++)
        if (bucket[way].key == 0 || bucket[way].key >> 48 != (epoch & 0xffff)) entry = &bucket[way];
    if (!entry) entry = &bucket[(return_address >> 4) % TM_RULE_WAYS];
    uint64_t word, old;
    __builtin_memcpy(&word, &rule, sizeof word);
    uint64_t key = __atomic_load_n(&entry->key, __ATOMIC_RELAXED);
    __atomic_load((uint64_t *)&entry->rule, &old, __ATOMIC_RELAXED);
    tm_cpu_swap_pair(&entry->key, key, old, tm_rule_key(return_address, epoch), word);  // a race lost costs a compilation
}

// Code in no module (generated at run time) is not remembered: a module may be loaded in its place later.
struct tm_rule tm_rules_compile(uintptr_t return_address) {
    uint64_t epoch = __atomic_load_n(&tm_rules.epoch, __ATOMIC_SEQ_CST);
    struct tm_module module;
    uintptr_t address = tm_call_address(return_address);
    struct tm_rule rule = {.kind = TM_RULE_GUESSED};
    uintptr_t function = 0;
    if (return_address >> 47) return rule;
    switch (tm_module_find(&module, address)) {
    case TM_MODULE_NONE: return rule;
    case TM_MODULE_ODD: rule.kind = TM_RULE_FOREIGN; break;
    case TM_MODULE_FOUND: rule = tm_cfi_rule(&module, address, &function); break;
    }
    if (rule.kind == TM_RULE_GUESSED) rule = rule_from_code(&module, return_address);
    if (rule.kind == TM_RULE_GUESSED) rule.is_async = (uint8_t)is_async_guess(&module, function, address);
    else if (rule.kind == TM_RULE_FRAME && rule.base == TM_BASE_FP) rule.is_async = (uint8_t)is_async_entry(&module, function);
    rule.is_plain = (uint8_t)is_plain(rule);
    rule.is_lasting = 1;
    remember(return_address, epoch, rule);
    return rule;
}

// UnwindTablesFuzz.c: .eh_frame_hdr, .eh_frame and code of a hostile module, out of memory; for tools/fuzz.
//
// An input is a module: byte 0 the length of what stands before .eh_frame_hdr, in words; all of it is one readable segment
// at the address where the input lies, so that a read beyond either end is one beyond the block.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cfi.h"
#include "unwind_rules.h"

static struct tm_module module;
static const Elf64_Phdr *segments;

// Stands in for the loader: every address below 2^47 is in the module.
enum tm_module_search tm_module_find(struct tm_module *found, uintptr_t address) {
    if (address - module.start >= module.end - module.start) return TM_MODULE_NONE;
    *found = module;
    return TM_MODULE_FOUND;
}

struct tm_bytes tm_module_bytes(const struct tm_module *of, uintptr_t address) {
    if (of->segments != segments || address - of->start >= of->end - of->start) return (struct tm_bytes){NULL, NULL};
    return (struct tm_bytes){(const uint8_t *)address, (const uint8_t *)of->end};
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 2) return 0;
    size_t before = (size_t)input[0] * 4 % size;
    // A block of its own, at its real size: the sanitizer sees every byte beyond it.
    uint8_t *block = malloc(size);
    memcpy(block, input, size);
    module = (struct tm_module){
        .start = (uintptr_t)block, .end = (uintptr_t)block + size, .segments = segments, .segment_count = 1, .index = block + before};
    tm_rules_initialize();
    tm_rules_forget();
    uintptr_t function;
    for (size_t at = 0; at <= size; at += size < 64 ? 1 : size / 64) {
        struct tm_rule rule = tm_rules_compile((uintptr_t)block + at + 1);
        if (rule.kind > TM_RULE_FOREIGN || rule.base > TM_BASE_FP_WORD || rule.saved > TM_SAVED_AT_FP) abort();
        tm_cfi_rule(&module, (uintptr_t)block + at, &function);
    }
    // Functions may claim to be anywhere.
    static const uintptr_t anywhere[] = {0, 1, 0x1000, UINTPTR_MAX >> 17, UINTPTR_MAX};
    for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++) tm_cfi_rule(&module, anywhere[i], &function);
    free(block);
    return 0;
}

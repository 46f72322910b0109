// cfi.h: from a module's call frame information (.eh_frame) to the rule at one address.
//
// You give a loaded module and an address inside it, you get a rule. What does not fit a rule is TM_RULE_FOREIGN, what
// has no unwind info is TM_RULE_GUESSED. The bytes are not trusted: every read is inside the module's segments.
#ifndef TM_CFI_H
#define TM_CFI_H

#include "unwind_rules.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct tm_module {
    uintptr_t bias;              // run-time address - address in the file
    const Elf64_Phdr *segments;  // program headers
    size_t segment_count;
    const uint8_t *index;        // .eh_frame_hdr; NULL: none
};

struct tm_bytes {
    const uint8_t *at, *end;
};

enum tm_module_search { TM_MODULE_NONE, TM_MODULE_ODD, TM_MODULE_FOUND };  // odd: there is one, but it cannot be read

// The loaded module that an address is in. Takes no lock where glibc is 2.35 or later.
enum tm_module_search tm_module_find(struct tm_module *module, uintptr_t address);

// From address to the end of the readable segment that it is in; empty when it is in none.
struct tm_bytes tm_module_bytes(const struct tm_module *module, uintptr_t address);

// Is the address in an executable segment?
int tm_module_is_code(const struct tm_module *module, uintptr_t address);

// The sorted table in .eh_frame_hdr: (start, FDE) of each function, relative to the header itself.
struct tm_index {
    const uint8_t *entries;  // pairs of int32_t
    uint64_t count;
    uintptr_t frames;        // .eh_frame
};

// 0: there is none, or none of the usual form.
int tm_cfi_index(const struct tm_module *module, struct tm_index *index);

// `function`: where the function begins; when the rule is TM_RULE_GUESSED, where the function before it ends; 0: not known.
struct tm_rule tm_cfi_rule(const struct tm_module *module, uintptr_t address, uintptr_t *function);

#endif

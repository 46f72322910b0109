// cfi.h: from a module's call frame information (.eh_frame) to the rule at one address.
//
// You give a loaded module and an address inside it, you get a rule. What does not fit a rule is TM_RULE_FOREIGN, what
// has no unwind info is TM_RULE_GUESSED. The bytes are not trusted: every read is inside the module's segments.
#ifndef TM_CFI_H
#define TM_CFI_H

#include <stdint.h>

#include "loaded_module.h"
#include "unwind_rules.h"

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

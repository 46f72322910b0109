// unwind_rules.c: the table of rules, and the module that an address is in.
#define _GNU_SOURCE
#include "unwind_rules.h"

#include "cfi.h"
#include "cpu.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

struct tm_rule_table tm_rules;

#define HEADERS_WITHIN 4096u  // the ELF header and the program headers are taken only from a module's first page

// glibc 2.35 and later: takes no lock and may be called from anywhere. The layout is glibc's ABI.
struct found_object {
    unsigned long long flags;
    void *start, *end;
    struct link_map *link_map;
    void *index;
    unsigned long long reserved[8];
};
static int (*find_object)(void *, struct found_object *);

void tm_rules_initialize(void) {
    if (tm_rules.entries) return;
    *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
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

static int module_from_header(struct tm_module *module, const struct found_object *found) {
    const Elf64_Ehdr *header = found->start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return 0;
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff % _Alignof(Elf64_Phdr) != 0) return 0;
    if (header->e_phoff > HEADERS_WITHIN || header->e_phnum > (HEADERS_WITHIN - header->e_phoff) / sizeof(Elf64_Phdr)) return 0;
    module->bias = found->link_map->l_addr;
    module->segments = (const Elf64_Phdr *)((const uint8_t *)header + header->e_phoff);
    module->segment_count = header->e_phnum;
    module->index = found->index;
    return 1;
}

struct search {
    uintptr_t address;
    struct tm_module *module;
};

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct search *search = context;
    const uint8_t *index = NULL;
    int inside = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && search->address - start < segment->p_memsz) inside = 1;
        if (segment->p_type == PT_GNU_EH_FRAME) index = (const uint8_t *)start;
    }
    if (!inside) return 0;
    *search->module = (struct tm_module){info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, index};
    return 1;
}

enum tm_module_search tm_module_find(struct tm_module *module, uintptr_t address) {
    if (!find_object) {
        struct search search = {address, module};
        return dl_iterate_phdr(visit_module, &search) ? TM_MODULE_FOUND : TM_MODULE_NONE;
    }
    struct found_object found;
    if (find_object((void *)address, &found) != 0) return TM_MODULE_NONE;
    return module_from_header(module, &found) ? TM_MODULE_FOUND : TM_MODULE_ODD;
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

static void remember(uintptr_t return_address, uint64_t epoch, struct tm_rule rule) {
    if (!tm_rules.entries) return;
    struct tm_rule_entry *bucket = tm_rule_bucket(return_address), *entry = NULL;
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
    remember(return_address, epoch, rule);
    return rule;
}

// loaded_module.c: asks glibc's lock-free index of loaded modules; before glibc 2.35 the loader's list, under its recursive lock.
#define _GNU_SOURCE
#include "loaded_module.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#define HEADERS_WITHIN 4096u  // the ELF header and the program headers are taken only from a module's first page

// glibc 2.35 and later. The layout is glibc's ABI.
struct found_object {
    unsigned long long flags;
    void *start, *end;
    struct link_map *link_map;
    void *index;
    unsigned long long reserved[8];
};
static int (*find_object)(void *, struct found_object *);

void tm_module_initialize(void) {
    if (!find_object) *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
}

static int read_header(struct tm_module *module) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)module->start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return 0;
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff % _Alignof(Elf64_Phdr) != 0) return 0;
    if (header->e_phoff > HEADERS_WITHIN || header->e_phnum > (HEADERS_WITHIN - header->e_phoff) / sizeof(Elf64_Phdr)) return 0;
    module->segments = (const Elf64_Phdr *)((const uint8_t *)header + header->e_phoff);
    module->segment_count = header->e_phnum;
    return 1;
}

struct search {
    uintptr_t address;
    struct tm_module *module;
};

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct search *search = context;
    struct tm_module module = {
        .start = UINTPTR_MAX, .bias = info->dlpi_addr, .path = info->dlpi_name, .segments = info->dlpi_phdr,
        .segment_count = info->dlpi_phnum};
    int inside = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type == PT_GNU_EH_FRAME) module.index = (const uint8_t *)start;
        if (segment->p_type != PT_LOAD) continue;
        if (search->address - start < segment->p_memsz) inside = 1;
        if (start < module.start) module.start = start;
        if (end > module.end) module.end = end;
    }
    if (inside) *search->module = module;
    return inside;
}

enum tm_module_search tm_module_find(struct tm_module *module, uintptr_t address) {
    if (!find_object) {
        struct search search = {address, module};
        return dl_iterate_phdr(visit_module, &search) ? TM_MODULE_FOUND : TM_MODULE_NONE;
    }
    struct found_object found;
    if (find_object((void *)address, &found) != 0 || !found.link_map) return TM_MODULE_NONE;
    *module = (struct tm_module){
        .start = (uintptr_t)found.start, .end = (uintptr_t)found.end, .bias = found.link_map->l_addr, .path = found.link_map->l_name,
        .index = found.index};
    return read_header(module) ? TM_MODULE_FOUND : TM_MODULE_ODD;
}

struct tm_bytes tm_module_bytes(const struct tm_module *module, uintptr_t address) {
    for (size_t i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *segment = &module->segments[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_R)) continue;
        uintptr_t start = module->bias + segment->p_vaddr;
        if (address - start >= segment->p_filesz) continue;
        return (struct tm_bytes){(const uint8_t *)address, (const uint8_t *)start + segment->p_filesz};
    }
    return (struct tm_bytes){NULL, NULL};
}

int tm_module_is_code(const struct tm_module *module, uintptr_t address) {
    for (size_t i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *segment = &module->segments[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        if (address - (module->bias + segment->p_vaddr) < segment->p_filesz) return 1;
    }
    return 0;
}

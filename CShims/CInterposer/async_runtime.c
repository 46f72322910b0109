// async_runtime.c: finds swift_task_getCurrent, in a library or by the executable's symbol table.
#define _GNU_SOURCE
#include "async_runtime.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cfi.h"
#include "system_calls.h"

#define NAME "swift_task_getCurrent"
#define CODE_MIN ((uint64_t)1 << 20)  // bytes of code: the runtime alone has more
#define FUNCTION_MAX 128u             // bytes: it is a short function, so most names need not be looked at

// The linker's answer: NULL unless a library, or the program that this is linked into, has it.
extern void *swift_task_getCurrent(void) __attribute__((weak));

void *(*tm_current_task)(void);

struct file {
    const uint8_t *bytes;
    uint64_t size;
};

// NULL unless all of it is inside the file.
static const void *part(const struct file *file, uint64_t offset, uint64_t count, uint64_t size) {
    if (offset > file->size || offset % 8 != 0 || count > (file->size - offset) / size) return NULL;
    return file->bytes + offset;
}

static uint64_t address_of(const struct file *file, uintptr_t entry) {
    const Elf64_Ehdr *header = part(file, 0, 1, sizeof *header);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return 0;
    if (header->e_entry != entry || header->e_shentsize != sizeof(Elf64_Shdr)) return 0;
    const Elf64_Shdr *sections = part(file, header->e_shoff, header->e_shnum, sizeof *sections);
    for (size_t i = 0; sections && i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum) continue;
        uint64_t count = sections[i].sh_size / sizeof(Elf64_Sym);
        const Elf64_Sym *symbols = part(file, sections[i].sh_offset, count, sizeof *symbols);
        const Elf64_Shdr *names = &sections[sections[i].sh_link];
        if (!symbols || names->sh_offset > file->size || names->sh_size > file->size - names->sh_offset) return 0;
        for (uint64_t k = 0; k < count; k++) {
            if (symbols[k].st_size > FUNCTION_MAX || ELF64_ST_TYPE(symbols[k].st_info) != STT_FUNC) continue;
            if (names->sh_size < sizeof NAME || symbols[k].st_name > names->sh_size - sizeof NAME) continue;
            if (memcmp(file->bytes + names->sh_offset + symbols[k].st_name, NAME, sizeof NAME) == 0) return symbols[k].st_value;
        }
    }
    return 0;
}

static uint64_t read_executable(uintptr_t entry) {
    long descriptor = tm_open("/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0) return 0;
    uint64_t address = 0;
    long size = TM_CALL(lseek, descriptor, 0, SEEK_END, 0, 0, 0);
    struct file file = {size > 0 ? tm_map((size_t)size, PROT_READ, MAP_PRIVATE, (int)descriptor) : NULL, (uint64_t)size};
    tm_close((int)descriptor);
    if (file.bytes) {
        address = address_of(&file, entry);
        TM_CALL(munmap, file.bytes, size, 0, 0, 0, 0);
    }
    return address;
}

void tm_async_find_runtime(void) {
    tm_current_task = swift_task_getCurrent;
    uintptr_t entry = getauxval(AT_ENTRY);
    struct tm_module module;
    if (tm_current_task || tm_module_find(&module, entry) != TM_MODULE_FOUND) return;
    uint64_t code = 0;
    for (size_t i = 0; i < module.segment_count; i++)
        if (module.segments[i].p_type == PT_LOAD && module.segments[i].p_flags & PF_X) code += module.segments[i].p_memsz;
    uint64_t address = code < CODE_MIN ? 0 : read_executable(entry - module.bias);
    if (address && tm_module_is_code(&module, module.bias + address)) tm_current_task = (void *(*)(void))(module.bias + address);
}

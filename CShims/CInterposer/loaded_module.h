// loaded_module.h: the module (executable, library, vDSO) that an address lies in, as the loader and its own headers describe it.
#ifndef TM_LOADED_MODULE_H
#define TM_LOADED_MODULE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct tm_module {
    uintptr_t start, end;        // mapped range
    uintptr_t bias;              // run-time address - address in the file
    const char *path;            // the loader's name for it; empty for the main program
    const Elf64_Phdr *segments;  // program headers
    size_t segment_count;
    const uint8_t *index;        // .eh_frame_hdr; NULL: none
};

struct tm_bytes {
    const uint8_t *at, *end;
};

// Odd: there is one, but its headers cannot be read: it has a range and a path, and no segments.
enum tm_module_search { TM_MODULE_NONE, TM_MODULE_ODD, TM_MODULE_FOUND };

// Once, off the hot path: takes the loader's lock.
void tm_module_initialize(void);

// The loaded module that an address is in. Takes no lock where glibc is 2.35 or later.
enum tm_module_search tm_module_find(struct tm_module *module, uintptr_t address);

// From address to the end of the readable segment that it is in; empty when it is in none.
struct tm_bytes tm_module_bytes(const struct tm_module *module, uintptr_t address);

// Is the address in an executable segment?
int tm_module_is_code(const struct tm_module *module, uintptr_t address);

#endif

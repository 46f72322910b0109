// plugin.c: a library that allocates when it is loaded and when it is called. Built several times, with another NAME each.
#include "claims.h"

#define GLUE(a, b) a##b
#define ALLOCATE(name) GLUE(allocate_in_, name)

static void *kept;

__attribute__((constructor)) static void loaded(void) { kept = malloc(CONSTRUCTOR_SIZE); }
__attribute__((destructor)) static void unloaded(void) { free(kept); }

SEPARATE void *ALLOCATE(NAME)(size_t size) {
    void *block = malloc(size);
    TOUCH(block);
    return block;
}

__attribute__((visibility("default"))) void *plugin_allocate(size_t size) {
    void *block = ALLOCATE(NAME)(size);
    TOUCH(block);
    return block;
}

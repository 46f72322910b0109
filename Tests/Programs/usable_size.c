// usable_size.c: malloc_usable_size says the same as without the profiler for every kind of block. The test compares the outputs.
#include <malloc.h>
#include "claims.h"

int main(void) {
    for (size_t size = 0; size < 70000; size = size * 3 / 2 + 1) {
        void *aligned = NULL;
        REQUIRE(posix_memalign(&aligned, 64, size) == 0);
        void *blocks[] = {malloc(size), calloc(1, size), realloc(NULL, size), aligned, memalign(512, size), valloc(size)};
        // Of an aligned block the usable size depends on what lies around it.
        for (size_t i = 0; i < 3; i++) say("%zu/%zu: %zu\n", size, i, malloc_usable_size(blocks[i]));
        for (size_t i = 3; i < 6; i++) REQUIRE(malloc_usable_size(blocks[i]) >= size && malloc_usable_size(blocks[i]) < size + 8192);
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
    }
    say("NULL: %zu\n", malloc_usable_size(NULL));
    void *kept = malloc(910); CLAIM_TOTAL(910, 1); CLAIM_ALIVE(910, 1);
    TOUCH(kept);
    return 0;
}

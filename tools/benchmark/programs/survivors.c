// survivors.c: random sizes, most blocks short-lived and one in fifty kept for long: survivors ALLOCATIONS.
#include "bench.h"

enum { YOUNG = 256, OLD = 20000, SITES = 16 };

// Sixteen call sites, each at a depth of its own.
SEPARATE static void *allocate_at(int site, size_t size) {
    if (site == 0) return allocate(size);
    void *block = allocate_at(site - 1, size);
    TOUCH(block);
    return block;
}

int main(int count, char **arguments) {
    long allocations = argument(count, arguments, 1);
    uint64_t random = 7;
    static void *young[YOUNG], *old[OLD];
    for (long i = 0; i < allocations; i++) {
        uint64_t choice = next_random(&random);
        void *block = allocate_at((int)(choice >> 40) % SITES, random_size(&random));
        void **place = choice % 50 == 0 ? &old[(choice >> 8) % OLD] : &young[(choice >> 8) % YOUNG];
        free(*place);
        *place = block;
    }
    return 0;
}

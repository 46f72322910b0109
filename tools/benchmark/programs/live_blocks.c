// live_blocks.c: many blocks that are alive together: live_blocks BLOCKS. Fills, replaces half of them at random, frees one in four.
#include "bench.h"

SEPARATE static void fill(void **blocks, long count, uint64_t *random) {
    for (long i = 0; i < count; i++) blocks[i] = allocate(16 + next_random(random) % 64);
}

SEPARATE static void replace(void **blocks, long count, uint64_t *random) {
    for (long i = 0; i < count / 2; i++) {
        long place = (long)(next_random(random) % (uint64_t)count);
        free(blocks[place]);
        blocks[place] = allocate(16 + next_random(random) % 64);
    }
}

int main(int count, char **arguments) {
    long blocks = argument(count, arguments, 1);
    uint64_t random = 42;
    void **table = allocate((size_t)blocks * sizeof(void *));
    fill(table, blocks, &random);
    replace(table, blocks, &random);
    for (long i = 0; i < blocks; i += 4) free(table[i]);
    return 0;
}

// many_paths.c: more paths to an allocation than are kept, of all lengths, each taken again and again, in no order.
#include <stdint.h>

#include "claims.h"

enum { PATHS = 8000, ROUNDS = 80000, LONGEST = 40, SIZES = 2039 };

SEPARATE static void *innermost(size_t size) {
    static int calls;
    void *block = malloc(size); if (++calls == ROUNDS) CLAIM_ALIVE(24 * ROUNDS, ROUNDS);
    TOUCH(block);
    return block;
}

static void *left(uint64_t turns, int steps);
static void *right(uint64_t turns, int steps);

// Each bit of `turns` is a call of the one or the other.
static inline void *go(uint64_t turns, int steps) {
    return steps == 0 ? innermost(24) : turns & 1 ? right(turns >> 1, steps - 1) : left(turns >> 1, steps - 1);
}

SEPARATE static void *left(uint64_t turns, int steps) {
    void *block = go(turns, steps);
    TOUCH(block);
    return block;
}

SEPARATE static void *right(uint64_t turns, int steps) {
    void *block = go(turns, steps);
    TOUCH(block);
    return block;
}

// A frame of another size each time: paths that differ in length only share nothing.
SEPARATE static void *padded(uint64_t turns, int steps, int size) {
    volatile char room[16 * size + 16];
    room[0] = 1;
    void *block = go(turns, steps);
    TOUCH(block);
    return block;
}

int main(void) {
    uint64_t random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t path = (random >> 33) % PATHS;
        TOUCH(padded(path * UINT64_C(0x9e3779b97f4a7c15), (int)(path % LONGEST), (int)(path % SIZES)));
    }
    return 0;
}

// same_ends.c: paths that differ only in the middle: functions of one shape call the same function from the same place, in all orders.
#include <stdint.h>

#include "claims.h"

enum { SHAPES = 7, ROUNDS = 6000 };

SEPARATE static void *innermost(size_t size) {
    static int calls;
    void *block = malloc(size); if (++calls == ROUNDS) CLAIM_ALIVE(40 * ROUNDS, ROUNDS);
    TOUCH(block);
    return block;
}

// Equal in size and frame: only their return addresses tell them apart.
#define SHAPE(name)                             \
    SEPARATE static void *name(size_t size) {   \
        void *block = innermost(size);          \
        TOUCH(block);                           \
        return block;                           \
    }
SHAPE(a) SHAPE(b) SHAPE(c) SHAPE(d) SHAPE(e) SHAPE(f) SHAPE(g)
static void *(*const shapes[SHAPES])(size_t) = {a, b, c, d, e, f, g};

int main(void) {
    uint64_t random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        // First in turns, then the same one twice, then at random.
        int shape = round < 2000 ? round % SHAPES : round < 4000 ? round / 2 % SHAPES : (int)(random >> 33) % SHAPES;
        void *(*volatile call)(size_t) = shapes[shape];
        TOUCH(call(40));
    }
    return 0;
}

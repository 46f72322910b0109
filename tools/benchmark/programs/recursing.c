// recursing.c: deep recursion that unwinds and rewinds, as a parser does: recursing NODES. Walks a random tree up to 400 levels deep.
#include "bench.h"

enum { DEEPEST = 400 };

static long left;
static uint64_t random_state = 11;

SEPARATE static void *expression(int depth);

// Three functions take turns, so that stacks differ by more than their length.
SEPARATE static void *term(int depth) {
    void *inner = expression(depth + 1);
    TOUCH(inner);
    return inner;
}

SEPARATE static void *factor(int depth) {
    void *node = allocate(24), *inner = expression(depth + 1);
    TOUCH(inner);
    free(inner);
    return node;
}

static void *expression(int depth) {
    void *node = allocate(40);
    while (depth < DEEPEST && --left > 0) {
        uint64_t choice = next_random(&random_state) % 16;
        // On average one child a node: the walk goes up and down by itself.
        if (choice < 8) break;
        free(choice < 13 ? term(depth) : factor(depth));
    }
    return node;
}

// A base that stays, of 100 frames.
SEPARATE static void start(int depth) {
    if (depth < 100) start(depth + 1);
    else
        while (left > 0) free(expression(depth));
    TOUCH(&depth);
}

int main(int count, char **arguments) {
    left = argument(count, arguments, 1);
    start(0);
    return 0;
}

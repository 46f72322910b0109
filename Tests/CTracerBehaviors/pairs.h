// pairs.h: how long a malloc and its free take; tools/overhead compares programs that differ only in what they link.
#ifndef PAIRS_H
#define PAIRS_H

#include <stdlib.h>
#include <time.h>

enum { PAIRS_ROUNDS = 40, PAIRS_COUNT = 50000 };

static double pairs_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

// Nanoseconds of a pair at a stack depth, of the best of many rounds: other work on the machine only makes a round slower.
// Where the loop lies in its cache lines makes as much of a difference as what is measured: in each program at their start.
static __attribute__((noinline, aligned(64))) double pairs(int depth) {
    if (depth > 1) {
        double time = pairs(depth - 1);
        __asm__ volatile("" : : "r"(&time) : "memory");
        return time;
    }
    double best = 1e18;
    for (int round = 0; round < PAIRS_ROUNDS; round++) {
        double start = pairs_now();
        for (int i = 0; i < PAIRS_COUNT; i++) {
            void *block = malloc((size_t)(16 + i % 64 * 8));
            __asm__ volatile("" : : "r"(block) : "memory");
            free(block);
        }
        double time = (pairs_now() - start) / PAIRS_COUNT;
        if (time < best) best = time;
    }
    return best;
}

#endif

// bench.h: what the benchmark's C programs share: arguments, and random numbers that are the same in every run.
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define SEPARATE __attribute__((noinline, noclone))
#define TOUCH(value) __asm__ volatile("" ::"r"(value) : "memory")

static inline long argument(int count, char **arguments, int index) {
    if (index < count) return atol(arguments[index]);
    fprintf(stderr, "%s: too few arguments\n", arguments[0]);
    exit(2);
}

// xorshift64*
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

// Mostly small, now and then large: each size class of powers of two is as likely as the next, 16 bytes to 16 KiB.
static inline size_t random_size(uint64_t *state) {
    uint64_t random = next_random(state);
    size_t base = (size_t)16 << (random >> 32) % 10;
    return base + (size_t)(random & 0xffffffff) % base;
}

static inline void *allocate(size_t size) {
    char *block = malloc(size);
    if (!block) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    *block = 1;
    return block;
}

#endif

// lying_objects.c: loses blocks that look like Swift objects of all kinds of impossible types, and says how many blocks and bytes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 4096, BLOCKS = 20000 };

// Where metadata, descriptors and names could lie: constant data of the program. Some of it is as it should be.
static uint64_t data[WORDS] = {1};
static uint64_t state = 1;
static uint64_t next_random(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t any_word(void *volatile *blocks, int count) {
    switch (next_random() % 12) {
    case 0: return 0;                                                          // a class
    case 1: return 0x400;                                                      // a closure
    case 2: return 0x500 + next_random() % 4;                                  // boxes, a task
    case 3: return (uintptr_t)&data[next_random() % WORDS];                    // metadata, a superclass, itself
    case 4: return (uintptr_t)&data[next_random() % WORDS] + next_random() % 8;
    case 5: return count ? (uintptr_t)blocks[next_random() % (unsigned)count] : 7;
    case 6: return next_random();
    case 7: return UINT64_MAX - next_random() % 64;                            // sizes and counts beyond everything
    case 8: return next_random() % 4096;
    case 9: return UINT64_C(0xc000000000000000) | (uintptr_t)&data[next_random() % WORDS] >> 3;  // a record of weak references
    case 10: return (uint32_t)(4 * (next_random() % WORDS) - 2 * WORDS) * UINT64_C(0x100000001);  // two relative pointers
    default: return UINT64_C(0x7ffff0000000) + next_random() % 4096 * 8;       // nothing is there
    }
}

static __attribute__((noinline)) long lose(void) {
    static void *volatile blocks[BLOCKS];
    long bytes = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = 16 + next_random() % 32 * 8;
        uint64_t *block = malloc(size);
        for (size_t word = 0; word < size / 8; word++) block[word] = any_word((void *volatile *)blocks, i);
        // It says that its metadata is there, and that it has one reference.
        if (next_random() % 8) block[0] = (uintptr_t)&data[next_random() % WORDS];
        if (next_random() % 2) block[1] = 3;
        blocks[i] = block;
        bytes += (long)size;
    }
    memset((void *)blocks, 0, sizeof blocks);
    return bytes;
}

static __attribute__((noinline)) void scrub(void) {
    volatile char waste[16384];
    for (size_t i = 0; i < sizeof waste; i++) waste[i] = 0;
}

int main(int count, char **arguments) {
    state = count > 1 ? strtoull(arguments[1], NULL, 10) | 1 : 1;
    for (int i = 0; i < WORDS; i++) data[i] = any_word(NULL, 0);
    long bytes = lose();
    scrub();
    printf("%d %ld\n", BLOCKS, bytes);
    return 0;
}

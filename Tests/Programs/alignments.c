// alignments.c: every call that hands out an aligned block is counted, with its size argument, and its block keeps the alignment.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include "claims.h"

enum { ROUNDS = 100 };
static void *blocks[6][ROUNDS];

#define ALIGNED(block, alignment) REQUIRE((block) && (uintptr_t)(block) % (alignment) == 0)

int main(void) {
    for (int i = 0; i < ROUNDS; i++) blocks[0][i] = memalign(64, 1001); CLAIM_TOTAL(1001 * ROUNDS, ROUNDS); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) blocks[1][i] = aligned_alloc(128, 1002); CLAIM_TOTAL(1002 * ROUNDS, ROUNDS); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) REQUIRE(posix_memalign(&blocks[2][i], 256, 1003) == 0); CLAIM_TOTAL(1003 * ROUNDS, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) blocks[3][i] = valloc(1004); CLAIM_TOTAL(1004 * ROUNDS, ROUNDS); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) blocks[4][i] = pvalloc(1005); CLAIM_TOTAL(1005 * ROUNDS, ROUNDS); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) blocks[5][i] = reallocarray(NULL, 2, 503); CLAIM_TOTAL(1006 * ROUNDS, ROUNDS); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        ALIGNED(blocks[0][i], 64);
        ALIGNED(blocks[1][i], 128);
        ALIGNED(blocks[2][i], 256);
        ALIGNED(blocks[3][i], 4096);
        ALIGNED(blocks[4][i], 4096);
        for (int kind = 0; kind < 6; kind++) free(blocks[kind][i]);
    }
    return 0;
}

// realloc_cases.c: every outcome of realloc. No false leak, a failed realloc keeps the old block, in place counts like moved.
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "claims.h"

enum { ROUNDS = 1000 };

SEPARATE static void freed_by_size_zero(void) {
    for (int i = 0; i < ROUNDS; i++) {
        void *block = malloc(101);
        TOUCH(block);
        block = realloc(block, 0);
        REQUIRE(block == NULL);
    }
}

SEPARATE static void fails(void) {
    volatile size_t huge = (size_t)PTRDIFF_MAX - 4096;
    char *block = malloc(202); CLAIM_TOTAL(202, 1); CLAIM_ALIVE(202, 1);
    memset(block, 'x', 202);
    for (int i = 0; i < ROUNDS; i++) {
        errno = 0;
        REQUIRE(realloc(block, huge) == NULL && errno == ENOMEM);
        errno = 0;
        REQUIRE(reallocarray(block, huge, 4) == NULL && errno == ENOMEM);
    }
    REQUIRE(block[0] == 'x' && block[201] == 'x');
}

SEPARATE static void in_place(void) {
    char *block = malloc(5003); CLAIM_TOTAL(5003, 1); CLAIM_ALIVE(0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        char *same = realloc(block, 5002 - (size_t)i % 2); if (i == 0) CLAIM_TOTAL(ROUNDS / 2 * (5002 + 5001), ROUNDS);
        REQUIRE(same == block);
    }
    free(block);
}

SEPARATE static void moved(void) {
    char *block = NULL;
    for (int i = 1; i <= ROUNDS; i++) {
        block = realloc(block, (size_t)i * 40); enum { grown = __LINE__ };
        TOUCH(malloc(24)); enum { in_the_way = __LINE__ };
        if (i < ROUNDS) continue;
        CLAIM_AT("total", grown, 40 * ROUNDS * (ROUNDS + 1) / 2, ROUNDS);
        CLAIM_AT("alive", grown, 40 * ROUNDS, 1);
        CLAIM_AT("alive", in_the_way, 24 * ROUNDS, ROUNDS);
    }
}

SEPARATE static void from_nothing(void) {
    void *block = realloc(NULL, 404); CLAIM_TOTAL(404, 1); CLAIM_ALIVE(404, 1);
    TOUCH(block);
    block = reallocarray(NULL, 5, 101); CLAIM_TOTAL(505, 1); CLAIM_ALIVE(0, 0);
    block = reallocarray(block, 6, 101); CLAIM_TOTAL(606, 1); CLAIM_ALIVE(606, 1);
    TOUCH(block);
}

int main(void) {
    freed_by_size_zero();
    fails();
    in_place();
    moved();
    from_nothing();
    return 0;
}

// before_main.c: allocations before any constructor has run and in the first one; blocks from then are freed and grown in main.
#include "claims.h"

static void *earliest, *early;
static int line_of_earliest, line_of_early;

static void before_all(void) { earliest = malloc(2301); line_of_earliest = __LINE__; }
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

__attribute__((constructor(101))) static void first(void) { early = malloc(2302); line_of_early = __LINE__; }

static void last_of_all(void) { TOUCH(malloc(2304)); CLAIM_ALIVE(2304, 1); }
__attribute__((destructor(101))) static void last(void) { last_of_all(); }

int main(void) {
    CLAIM_AT("total", line_of_earliest, 2301, 1);
    CLAIM_AT("alive", line_of_earliest, 0, 0);
    CLAIM_AT("total", line_of_early, 2302, 1);
    CLAIM_AT("alive", line_of_early, 0, 0);
    free(earliest);
    early = realloc(early, 2303); CLAIM_ALIVE(2303, 1);
    TOUCH(early);
    return 0;
}

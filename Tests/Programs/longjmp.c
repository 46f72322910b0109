// longjmp.c: allocations before, and after, jumping out of 50 frames. The stacks after the jump are right.
#include <setjmp.h>
#include "claims.h"

static jmp_buf back;

SEPARATE static void dive(int depth) {
    if (depth > 0) {
        dive(depth - 1);
        TOUCH(&depth);
        return;
    }
    TOUCH(malloc(1601)); CLAIM_STACK("dive;dive;dive");
    longjmp(back, 1);
}

SEPARATE static void after(int round) {
    TOUCH(malloc(1602)); if (round == 2) CLAIM_ALIVE(1602 * 3, 3); CLAIM_STACK("after;main");
}

int main(void) {
    for (volatile int i = 0; i < 3; i++) {
        if (setjmp(back) == 0) {
            dive(50);
        } else {
            after(i);
        }
        TOUCH(malloc(1603)); if (i == 2) CLAIM_ALIVE(1603 * 3, 3); CLAIM_STACK("main");
    }
    return 0;
}

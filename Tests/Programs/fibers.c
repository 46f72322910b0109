// fibers.c: swapcontext between two stacks of their own. Each allocation has the stack of the fiber that made it.
#include <ucontext.h>
#include "claims.h"

static ucontext_t scheduler, fibers[2];
static char stacks[2][65536];
static int line_of_even, line_of_odd;

SEPARATE static void even(void) {
    for (int i = 0; i < 30; i++) {
        TOUCH(malloc(1901)); line_of_even = __LINE__; if (i == 0) CLAIM_STACK("even");
        swapcontext(&fibers[0], &scheduler);
    }
}

SEPARATE static void odd_inner(int i) {
    TOUCH(malloc(1902)); line_of_odd = __LINE__; if (i == 0) CLAIM_STACK("odd_inner;odd");
    swapcontext(&fibers[1], &scheduler);
}

SEPARATE static void odd(void) {
    for (int i = 0; i < 30; i++) odd_inner(i);
}

int main(void) {
    void (*bodies[])(void) = {even, odd};
    for (int i = 0; i < 2; i++) {
        getcontext(&fibers[i]);
        fibers[i].uc_stack.ss_sp = stacks[i];
        fibers[i].uc_stack.ss_size = sizeof stacks[i];
        fibers[i].uc_link = NULL;
        makecontext(&fibers[i], bodies[i], 0);
    }
    for (int i = 0; i < 60; i++) swapcontext(&scheduler, &fibers[i % 2]);
    CLAIM_AT("alive", line_of_even, 1901 * 30, 30);
    CLAIM_AT("alive", line_of_odd, 1902 * 30, 30);
    TOUCH(malloc(1903)); CLAIM_ALIVE(1903, 1); CLAIM_STACK("main");
    return 0;
}

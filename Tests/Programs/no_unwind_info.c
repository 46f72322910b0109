// no_unwind_info.c: hand-written assembly without unwind information, and with a frame pointer that points nowhere, calls malloc.
// Stacks may end early there; the program runs on, and every count is right.
#include "claims.h"

void *bare_malloc(size_t size);     // no unwind information
void *smashed_malloc(size_t size);  // the same, and rbp holds nonsense
void *odd_malloc(size_t size);      // the same, and the stack holds what looks like return addresses

#if defined(__x86_64__)
__asm__(".text\n"
        "bare_malloc: sub $24, %rsp; call malloc@PLT; add $24, %rsp; ret\n"
        "smashed_malloc: push %rbp; mov $0x1234567, %rbp; call malloc@PLT; pop %rbp; ret\n"
        "odd_malloc: push %rbp; mov %rsp, %rbp; push $-1; push $16; call malloc@PLT; add $16, %rsp; pop %rbp; ret\n");
#else
#error "write the three functions for this processor"
#endif

SEPARATE static void after(int i) {
    TOUCH(malloc(2201)); if (i == 99) CLAIM_ALIVE(2201 * 100, 100); CLAIM_STACK("after;main");
}

int main(void) {
    for (int i = 0; i < 100; i++) {
        TOUCH(bare_malloc(2202));
        TOUCH(smashed_malloc(2203));
        TOUCH(odd_malloc(2204));
        after(i);
    }
    return 0;
}

// vast_stack.c: between a thread's outermost and innermost frames lie more bytes than 32 bits can count.
// Debian's gcc does not, but others touch every page of a large frame.
#pragma GCC optimize("no-stack-clash-protection")
#include <alloca.h>
#include <pthread.h>
#include <sys/mman.h>
#include "claims.h"

enum { TIMES = 10 };
static const size_t GIB = (size_t)1 << 30;

static int innermost_line;

SEPARATE static void innermost(void) {
    for (int i = 0; i < 2; i++) {
        TOUCH(malloc(3001)); innermost_line = __LINE__; CLAIM_STACK("innermost;far;outermost");
    }
}

// The room is not touched: it costs no memory.
SEPARATE static void far(size_t size) {
    void *room = alloca(size);
    innermost();
    TOUCH(room);
}

SEPARATE static void near(void) {
    TOUCH(malloc(3002)); CLAIM_ALIVE(3002, 1); CLAIM_STACK("near;outermost");
}

SEPARATE static void *outermost(void *argument) {
    near();
    for (int i = 0; i < TIMES; i++) far(i % 2 ? GIB / 4 : 5 * GIB);
    CLAIM_AT("alive", innermost_line, 3001 * 2 * TIMES, 2 * TIMES);
    return argument;
}

int main(void) {
    void *stack = mmap(NULL, 6 * GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    // Who looks in a wrong place dies.
    REQUIRE(mprotect((char *)stack + GIB * 3 / 2, 4 * GIB, PROT_NONE) == 0);
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, 6 * GIB) == 0);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, &attributes, outermost, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return 0;
}

// dynamic_frames.c: frames whose size the compiler does not know (alloca, variable-length arrays), and a realigned one.
#include <alloca.h>
#include <string.h>
#include "claims.h"

SEPARATE static void with_alloca(size_t size) {
    char *array = alloca(size);
    memset(array, 1, size);
    TOUCH(malloc(2101)); CLAIM_STACK("with_alloca;main");
    TOUCH(array);
}

SEPARATE static void with_array(size_t size) {
    char array[size];
    memset(array, 2, size);
    TOUCH(malloc(2102)); CLAIM_STACK("with_array;main");
    TOUCH(array);
}

SEPARATE static void realigned(void) {
    _Alignas(256) char array[300];
    memset(array, 3, sizeof array);
    TOUCH(malloc(2103)); CLAIM_STACK("realigned;main");
    TOUCH(array);
}

int main(void) {
    for (size_t i = 0; i < 40; i++) {
        with_alloca(16 + i * 100);
        with_array(16 + i * 50);
        realigned();
    }
    return 0;
}

// recursion.c: allocates at the depth that the argument gives. At 200 frames main is in the stack; at 5,000 the innermost 256 are.
#include "claims.h"

SEPARATE static void descend(int depth) {
    if (depth > 1) {
        descend(depth - 1);
        TOUCH(&depth);  // no tail call
        return;
    }
    TOUCH(malloc(1501)); CLAIM_ALIVE(1501, 1); CLAIM_STACK("descend;descend;descend");
}

int main(int count, char **arguments) {
    descend(count > 1 ? atoi(arguments[1]) : 200);
    return 0;
}

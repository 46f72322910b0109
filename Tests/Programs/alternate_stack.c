// alternate_stack.c: a handler on a stack of its own (sigaltstack) allocates while no allocation is under way.
#include <signal.h>
#include "claims.h"

static int line_in_handler;

static void handler(int signal) {
    void *block = malloc(2001); line_in_handler = __LINE__; CLAIM_STACK("handler");
    TOUCH(block);
    (void)signal;
}

SEPARATE static void interrupted(void) {
    raise(SIGUSR1);
    TOUCH(malloc(2002)); CLAIM_STACK("interrupted;main");
}

int main(void) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    REQUIRE(sigaltstack(&alternate, NULL) == 0);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 10; i++) interrupted();
    CLAIM_AT("alive", line_in_handler, 2001 * 10, 10);
    return 0;
}

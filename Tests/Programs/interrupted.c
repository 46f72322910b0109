// interrupted.c: a signal handler allocates and frees while malloc is under way (interrupting.c sees to it). No deadlock; the inner
// calls are counted, as reentrant where they cannot be attributed.
#include <signal.h>
#include "claims.h"

static int handled;

static void handler(int signal) {
    void *block = malloc(2701);
    TOUCH(block);
    free(block);
    handled++;
    (void)signal;
}

int main(void) {
    signal(SIGUSR1, handler);
    for (int i = 0; i < 100; i++) TOUCH(malloc(4242)); CLAIM_ALIVE(4242 * 100, 100);
    say("handled %d\n", handled);
    TOUCH(malloc(2702)); CLAIM_ALIVE(2702, 1);
    return 0;
}

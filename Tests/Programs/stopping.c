// stopping.c: allocates, is stopped by SIGSTOP and continued 200 ms later, and allocates on. Order kept, nothing lost.
#include <signal.h>
#include <sys/wait.h>
#include "claims.h"

int main(void) {
    for (int i = 0; i < 3000; i++) free(malloc(701)); CLAIM_TOTAL(701 * 3000, 3000); CLAIM_ALIVE(0, 0);
    pid_t waker = fork();
    REQUIRE(waker >= 0);
    if (waker == 0) {
        usleep(200000);
        kill(getppid(), SIGCONT);
        _exit(0);
    }
    raise(SIGSTOP);
    for (int i = 0; i < 3000; i++) free(malloc(702)); CLAIM_TOTAL(702 * 3000, 3000); CLAIM_ALIVE(0, 0);
    int status;
    REQUIRE(waitpid(waker, &status, 0) == waker);
    return 0;
}

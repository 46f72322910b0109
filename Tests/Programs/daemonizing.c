// daemonizing.c: double fork and setsid. The grandchild outlives its parents by a little; it is in the file with its 77 blocks.
#include <fcntl.h>
#include <sys/wait.h>
#include "claims.h"

int main(void) {
    TOUCH(malloc(601)); CLAIM_ALIVE(601, 1);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child > 0) {
        int status;
        REQUIRE(waitpid(child, &status, 0) == child && status == 0);
        return 0;
    }
    TOUCH(malloc(602));
    REQUIRE(setsid() > 0);
    if (fork() != 0) _exit(0);
    int null = open("/dev/null", O_RDWR);
    for (int descriptor = 0; descriptor < 3; descriptor++) dup2(null, descriptor);
    for (int i = 0; i < 77; i++) {
        TOUCH(malloc(603));
        usleep(4000);
    }
    return 0;
}

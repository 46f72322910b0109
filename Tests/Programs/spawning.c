// spawning.c: starts children in every way there is; the parent's figures stay complete, each child is in the file.
// A child is this program with an argument N: it allocates N blocks of 211 bytes.
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include "claims.h"

extern char **environ;

static void finish(pid_t child) {
    int status;
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(int count, char **arguments) {
    if (count == 2) {
        for (int i = atoi(arguments[1]); i > 0; i--) TOUCH(malloc(211));
        return 0;
    }
    char self[4000], command[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    REQUIRE(length > 0);
    self[length] = 0;

    TOUCH(malloc(401)); CLAIM_ALIVE(401, 1);
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, "101", NULL);
        _exit(1);
    }
    finish(child);

    TOUCH(malloc(402)); CLAIM_ALIVE(402, 1);
    child = vfork();
    if (child == 0) {
        execl(self, self, "102", NULL);
        _exit(1);
    }
    finish(child);

    TOUCH(malloc(403)); CLAIM_ALIVE(403, 1);
    char *spawned[] = {self, "103", NULL};
    REQUIRE(posix_spawn(&child, self, NULL, NULL, spawned, environ) == 0);
    finish(child);

    TOUCH(malloc(404)); CLAIM_ALIVE(404, 1);
    snprintf(command, sizeof command, "'%s' 104", self);
    REQUIRE(system(command) == 0);

    TOUCH(malloc(405)); CLAIM_ALIVE(405, 1);
    snprintf(command, sizeof command, "'%s' 105", self);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe && fgetc(pipe) == EOF && pclose(pipe) == 0);

    // A vforked child that allocates does so in its parent's memory: the parent can free it, so it is the parent's.
    static void *volatile shared;
    child = vfork();
    if (child == 0) {
        shared = malloc(406); CLAIM_ALIVE(406, 1);
        _exit(0);
    }
    finish(child);
    REQUIRE(shared);
    TOUCH(malloc(407)); CLAIM_ALIVE(407, 1);
    return 0;
}

// raw_children.c: children that no fork handler hears of, raw clone() and _Fork(), allocate and never exec.
// They must not write into the parent's recording.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "claims.h"

static void in_child(int blocks) {
    for (int i = 0; i < blocks; i++) TOUCH(malloc(523));
    _exit(0);
}

static void finish(pid_t child) {
    int status;
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    for (int i = 0; i < 50; i++) TOUCH(malloc(521)); CLAIM_TOTAL(521 * 50, 50);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) in_child(60);
    finish(child);
    child = _Fork();
    if (child == 0) in_child(70);
    finish(child);
    for (int i = 0; i < 51; i++) TOUCH(malloc(522)); CLAIM_TOTAL(522 * 51, 51);
    return 0;
}

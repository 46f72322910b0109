// confined.c: gives up rights and descriptors as careful servers do, the way the argument names, and allocates on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "claims.h"

// From here on only what allocating itself needs is allowed; anything else kills.
static void enter_seccomp(void) {
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(write), ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(futex), ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

// Nobody else has opened anything since all was closed.
static void require_that_all_is_free(void) {
    for (int expected = 0; expected < 16; expected++) {
        int descriptor = open("/dev/null", O_RDWR);
        // Not by REQUIRE: there is nothing to write to.
        if (descriptor != expected) _exit(95);
    }
}

int main(int count, char **arguments) {
    REQUIRE(count >= 2);
    const char *way = arguments[1];
    for (int i = 0; i < 100; i++) TOUCH(malloc(2901)); CLAIM_ALIVE(2901 * 100, 100);
    if (!strcmp(way, "closefrom")) closefrom(3);
    bool has_closed_all = !strcmp(way, "all closed");
    if (has_closed_all) closefrom(0);
    if (!strcmp(way, "chroot")) REQUIRE(chroot(arguments[2]) == 0 && chdir("/") == 0);
    if (!strcmp(way, "setuid")) REQUIRE(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    if (!strcmp(way, "undumpable")) REQUIRE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    if (!strcmp(way, "no files")) {
        struct rlimit none = {0, 0};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    if (!strcmp(way, "seccomp")) enter_seccomp();
    // Many more, so that every ring wraps around and the tables grow.
    for (int i = 0; i < 300000; i++) {
        void *block = malloc(2902); enum { line = __LINE__ };
        TOUCH(block);
        free(block);
        if (i == 0 && !has_closed_all) CLAIM_AT("total", line, 2902 * 300000ull, 300000);
    }
    if (has_closed_all) require_that_all_is_free();
    for (int i = 0; i < 100; i++) TOUCH(malloc(2903)); CLAIM_ALIVE(2903 * 100, 100);
    _exit(0);
}

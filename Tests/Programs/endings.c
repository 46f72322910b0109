// endings.c: 1,000 allocations, then the end that the argument names. Nothing may be lost, however sudden it is.
#include <signal.h>
#include <string.h>
#include "claims.h"

static void *blocks[1000];

int main(int count, char **arguments) {
    REQUIRE(count == 2);
    const char *end = arguments[1];
    if (!strcmp(end, "after exec")) {
        for (int i = 0; i < 700; i++) TOUCH(malloc(1013));
        return 7;
    }
    for (int i = 0; i < 1000; i++) blocks[i] = malloc(1009); CLAIM_TOTAL(1009 * 1000, 1000); CLAIM_ALIVE(1009 * 1000, 1000);
    if (!strcmp(end, "return")) return 7;
    if (!strcmp(end, "exit")) exit(7);
    if (!strcmp(end, "_exit")) _exit(7);
    if (!strcmp(end, "_Exit")) _Exit(7);
    if (!strcmp(end, "quick_exit")) quick_exit(7);
    if (!strcmp(end, "SIGKILL")) kill(getpid(), SIGKILL);
    if (!strcmp(end, "SIGTERM")) kill(getpid(), SIGTERM);
    if (!strcmp(end, "SIGSEGV")) *(volatile int *)8 = 0;
    if (!strcmp(end, "abort")) abort();
    // The whole image goes; the new one allocates 700 blocks of another size.
    if (!strcmp(end, "execve")) execl("/proc/self/exe", arguments[0], "after exec", NULL);
    return 96;
}

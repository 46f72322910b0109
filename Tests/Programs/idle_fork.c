// idle_fork.c: a parent and its forked child, which allocate a block every few milliseconds until the file that is the argument
// exists; the parent's blocks have 300 bytes, the child's 500. Prints both process ids. Blocks are older when nothing records.
#include <sys/wait.h>
#include <unistd.h>
#include "claims.h"

int main(int count, char **arguments) {
    if (count != 2) return 2;
    void *old = malloc(4000);
    int parent = (int)getpid();
    int child = (int)fork();
    if (child) say("%d %d forked\n", parent, child);
    for (int turn = 0; access(arguments[1], F_OK) != 0; turn++) {
        TOUCH(malloc(child ? 300 : 500));
        usleep(5000);
    }
    TOUCH(old);
    free(old);
    if (child) waitpid(child, NULL, 0);
    return 0;
}

// growing.c: allocates 50 blocks, says "PID first", waits for a file, allocates 30 more, says "second", waits for another file.
// The test takes a snapshot in each pause: the second one has 30 blocks more, at the line that is claimed.
#include <unistd.h>
#include "claims.h"

static void wait_for(const char *file) {
    while (access(file, F_OK) != 0) usleep(5000);
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    for (int i = 0; i < 50; i++) TOUCH(malloc(703));
    say("%d first\n", (int)getpid());
    wait_for(arguments[1]);
    for (int i = 0; i < 30; i++) TOUCH(malloc(907)); int line = __LINE__;
    say("second at %d\n", line);
    wait_for(arguments[2]);
    return 0;
}

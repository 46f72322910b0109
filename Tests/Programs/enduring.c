// enduring.c: allocates for about as many milliseconds as the argument says, or until the file that a second one names is there, and
// says "done".
// The test kills the collector meanwhile: the program goes on, undisturbed.
#include <time.h>
#include "claims.h"

static long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int count, char **arguments) {
    long end = milliseconds() + (count > 1 ? atol(arguments[1]) : 1000), rounds = 0;
    for (int i = 0; i < 5000; i++) TOUCH(malloc(811));
    say("started\n");
    while (milliseconds() < end && (count < 3 || access(arguments[2], F_OK) != 0)) {
        for (int i = 0; i < 1000; i++) {
            void *block = malloc((size_t)(16 + i));
            TOUCH(block);
            free(block);
        }
        rounds++;
    }
    say("done %ld\n", rounds);
    return 3;
}

// leaking.c: for a second or more, one line keeps blocks all the time, one kept them at the start, and one gives them back.
// Says where the first one is: leak FILE:LINE.
#include <time.h>
#include "claims.h"

int main(void) {
    static void *kept[100], *recent[100];
    int line = 0;
    for (int i = 0; i < 100; i++) kept[i] = malloc(5000);
    TOUCH(kept);
    for (int i = 0; i < 1000; i++) {
        void *lost = malloc(1000); line = __LINE__;
        TOUCH(lost);
        free(recent[i % 100]);
        recent[i % 100] = malloc(700);
        TOUCH(recent);
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
    say("leak leaking.c:%d\n", line);
    return 0;
}

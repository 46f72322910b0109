// throw_cost.cpp: prints how many nanoseconds a throw through 20 frames and its catch take, the best of several rounds.
#include <time.h>
#include "claims.h"

SEPARATE static void climb(int depth) {
    if (depth == 0) throw 1;
    climb(depth - 1);
    TOUCH(&depth);
}

// The thread's own time: other work on the machine does not count.
static long now() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main() {
    long best = 1L << 60;
    for (int round = 0; round < 20; round++) {
        long start = now();
        for (int i = 0; i < 1000; i++) {
            try {
                climb(20);
            } catch (int) {
            }
        }
        long time = (now() - start) / 1000;
        if (time < best) best = time;
    }
    say("throw %ld\n", best);
    return 0;
}

// pairs.c: prints how many nanoseconds a malloc and its free take at the stack depth that the first argument gives; tools/bench runs it.
// The second argument is the number of threads. The best of several rounds, so that other work on the machine matters less.
#include <pthread.h>
#include <time.h>
#include "claims.h"

enum { ROUNDS = 10, PAIRS = 100000 };
static int depth = 20;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

SEPARATE static double measure(int remaining) {
    if (remaining > 1) {
        double result = measure(remaining - 1);
        TOUCH(&result);
        return result;
    }
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < PAIRS; i++) {
            void *block = malloc((size_t)(16 + i % 64 * 8));
            TOUCH(block);
            free(block);
        }
        double time = (now() - start) / PAIRS;
        if (time < best) best = time;
    }
    return best;
}

static void *work(void *result) {
    *(double *)result = measure(depth);
    return NULL;
}

int main(int count, char **arguments) {
    int threads = count > 2 ? atoi(arguments[2]) : 1;
    if (count > 1) depth = atoi(arguments[1]);
    REQUIRE(threads >= 1 && threads <= 64 && depth >= 1);
    double results[64], sum = 0;
    pthread_t ids[64];
    for (int i = 1; i < threads; i++) REQUIRE(pthread_create(&ids[i], NULL, work, &results[i]) == 0);
    work(&results[0]);
    for (int i = 1; i < threads; i++) pthread_join(ids[i], NULL);
    for (int i = 0; i < threads; i++) sum += results[i];
    say("%.1f\n", sum / threads);
    return 0;
}

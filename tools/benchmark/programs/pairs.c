// pairs.c: a malloc and its free, again and again: pairs DEPTH THREADS PAIRS. The pairs are shared out among the threads.
#include <pthread.h>
#include "bench.h"

static long depth, share;

SEPARATE static void descend(long remaining) {
    if (remaining > 1) {
        descend(remaining - 1);
        TOUCH(&remaining);
        return;
    }
    for (long i = 0; i < share; i++) {
        void *block = malloc((size_t)(16 + i % 64 * 8));
        TOUCH(block);
        free(block);
    }
}

static void *work(void *unused) {
    descend(depth);
    return unused;
}

int main(int count, char **arguments) {
    depth = argument(count, arguments, 1);
    long threads = argument(count, arguments, 2);
    share = argument(count, arguments, 3) / threads;
    pthread_t ids[64];
    for (long i = 1; i < threads && i < 64; i++)
        if (pthread_create(&ids[i], NULL, work, NULL)) return 1;
    work(NULL);
    for (long i = 1; i < threads && i < 64; i++) pthread_join(ids[i], NULL);
    return 0;
}

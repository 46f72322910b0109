// realloc_storm.c: four threads in one arena hand addresses to each other: malloc, realloc, free. 0 alive at the end, every run.
#include <malloc.h>
#include <pthread.h>
#include "claims.h"

enum { THREADS = 4 };
static int rounds;
static int line_of_malloc, line_of_realloc;
static pthread_barrier_t barrier;

static void *work(void *argument) {
    unsigned random = (unsigned)(size_t)argument * 2654435761u + 1;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < rounds; i++) {
        random = random * 1664525u + 1013904223u;
        // Beyond the per-thread cache, so that blocks go back to the shared arena.
        void *block = malloc(1100 + random % 64 * 16); line_of_malloc = __LINE__;
        TOUCH(block);
        block = realloc(block, 1100 + random / 64 % 256 * 16); line_of_realloc = __LINE__;
        TOUCH(block);
        free(block);
    }
    return NULL;
}

int main(int count, char **arguments) {
    rounds = count > 1 ? atoi(arguments[1]) : 20000;
    mallopt(M_ARENA_MAX, 1);
    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) REQUIRE(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CLAIM_AT("alive", line_of_malloc, 0, 0);
    CLAIM_AT("alive", line_of_realloc, 0, 0);
    return 0;
}

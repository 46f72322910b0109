// many_threads.c: 1,000 short threads one after another, then 200 that live at the same time. Nothing is lost, memory is bounded.
#include <pthread.h>
#include "claims.h"

enum { SHORT = 1000, LIVE = 200, BLOCKS = 10 };
static int line_of_short, line_of_live;
static pthread_barrier_t barrier;

static void *live_shortly(void *unused) {
    for (int i = 0; i < BLOCKS; i++) {
        void *block = malloc(1401); line_of_short = __LINE__;
        TOUCH(block);
        free(block);
    }
    return unused;
}

static void *live_together(void *unused) {
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc(1402);
    line_of_live = __LINE__ - 1;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    return unused;
}

int main(void) {
    pthread_t threads[LIVE];
    for (int i = 0; i < SHORT; i++) {
        REQUIRE(pthread_create(&threads[0], NULL, live_shortly, NULL) == 0);
        pthread_join(threads[0], NULL);
    }
    pthread_barrier_init(&barrier, NULL, LIVE);
    for (int i = 0; i < LIVE; i++) REQUIRE(pthread_create(&threads[i], NULL, live_together, NULL) == 0);
    for (int i = 0; i < LIVE; i++) pthread_join(threads[i], NULL);
    CLAIM_AT("total", line_of_short, 1401 * BLOCKS * SHORT, BLOCKS * SHORT);
    CLAIM_AT("alive", line_of_short, 0, 0);
    CLAIM_AT("total", line_of_live, 1402 * BLOCKS * LIVE, BLOCKS * LIVE);
    CLAIM_AT("alive", line_of_live, 0, 0);
    return 0;
}

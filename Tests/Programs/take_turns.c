// take_turns.c: one thread at a time allocates, a few blocks or thousands, and frees what the one before it had allocated: for a while
// each writes its events alone. No free may seem to come before its allocation when the turn goes on to the next thread.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "claims.h"

enum { MOST = 3000 };

static void *blocks[MOST];
static int count;
static atomic_int turn;
static int line_of_malloc, rounds, threads;
static unsigned state = 1;
static long allocated;

static unsigned draw(void) { return state = state * 1664525u + 1013904223u; }

static void *work(void *argument) {
    int number = (int)(long)argument;
    for (int i = 0; i < rounds; i++) {
        for (unsigned waits = 0; atomic_load_explicit(&turn, memory_order_acquire) != number; waits++)
            if (waits % 1000 == 999) sched_yield();
        while (count) free(blocks[--count]);
        count = 1 + (draw() >> 8) % (draw() >> 31 ? MOST : 30);
        for (int j = 0; j < count; j++) {
            blocks[j] = malloc(217); line_of_malloc = __LINE__;
            TOUCH(blocks[j]);
        }
        allocated += count;
        atomic_store_explicit(&turn, (number + 1) % threads, memory_order_release);
    }
    return NULL;
}

int main(int arguments, char **argument) {
    rounds = arguments > 1 ? atoi(argument[1]) : 200;
    threads = arguments > 2 ? atoi(argument[2]) : 3;
    pthread_t ids[16];
    REQUIRE(threads > 0 && threads <= 16);
    for (int i = 0; i < threads; i++) REQUIRE(pthread_create(&ids[i], NULL, work, (void *)(long)i) == 0);
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    while (count) free(blocks[--count]);
    CLAIM_AT("total", line_of_malloc, 217ull * allocated, allocated);
    CLAIM_AT("alive", line_of_malloc, 0, 0);
    return 0;
}

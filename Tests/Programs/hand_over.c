// hand_over.c: threads give each other blocks through one word and free at once what they are given: each free follows the
// allocation in the other thread by the time that the word needs from one core to the other. None may seem to come before it.
#include <pthread.h>
#include <stdatomic.h>
#include "claims.h"

static void *_Atomic box;
static int line_of_malloc, rounds;

static void *work(void *unused) {
    for (int i = 0; i < rounds; i++) {
        void *block = malloc(1733); line_of_malloc = __LINE__;
        TOUCH(block);
        free(atomic_exchange(&box, block));
    }
    return unused;
}

int main(int count, char **arguments) {
    rounds = count > 1 ? atoi(arguments[1]) : 100000;
    int threads = count > 2 ? atoi(arguments[2]) : 2;
    pthread_t ids[16];
    REQUIRE(threads > 0 && threads <= 16);
    for (int i = 0; i < threads; i++) REQUIRE(pthread_create(&ids[i], NULL, work, NULL) == 0);
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    free(box);
    CLAIM_AT("total", line_of_malloc, 1733ull * rounds * threads, rounds * threads);
    CLAIM_AT("alive", line_of_malloc, 0, 0);
    return 0;
}

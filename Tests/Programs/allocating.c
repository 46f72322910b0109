// allocating.c: a mix of all calls with known lines. Runs on other allocators (jemalloc, tcmalloc, mimalloc) underneath.
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include "claims.h"

static int line_in_thread;

static void *work(void *unused) {
    for (int i = 0; i < 1000; i++) {
        char *block = malloc(3101); line_in_thread = __LINE__;
        memset(block, 1, malloc_usable_size(block));
        free(block);
    }
    return unused;
}

int main(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    CLAIM_AT("total", line_in_thread, 3101 * 3000, 3000);
    CLAIM_AT("alive", line_in_thread, 0, 0);
    for (int i = 0; i < 50; i++) TOUCH(malloc(3102)); CLAIM_ALIVE(3102 * 50, 50);
    for (int i = 0; i < 50; i++) TOUCH(calloc(3, 1035)); CLAIM_ALIVE(3105 * 50, 50);
    for (int i = 0; i < 50; i++) TOUCH(aligned_alloc(64, 3136)); CLAIM_ALIVE(3136 * 50, 50);
    for (int i = 0; i < 50; i++) TOUCH(memalign(128, 3106)); CLAIM_ALIVE(3106 * 50, 50);
    for (int i = 0; i < 50; i++) TOUCH(realloc(malloc(60), 3107)); CLAIM_TOTAL((3107 + 60) * 50, 100); CLAIM_ALIVE(3107 * 50, 50);
    void *aligned = NULL;
    REQUIRE(posix_memalign(&aligned, 32, 3108) == 0); CLAIM_ALIVE(3108, 1);
    char *copy = strdup("thirty-one bytes with the end.."); CLAIM_ALIVE(32, 1);
    TOUCH(copy);
    return 0;
}

// thread_exit.c: destructors of thread-specific data run when a thread is nearly gone; what they allocate and free is counted.
#include <pthread.h>
#include "claims.h"

enum { THREADS = 20 };
static pthread_key_t first, second;
static int line_of_value, line_of_destructor;

static void free_value(void *value) {
    free(value);
    void *block = malloc(904); line_of_destructor = __LINE__;
    TOUCH(block);
    // The next round of destructors frees it.
    pthread_setspecific(second, block);
}

static void *work(void *unused) {
    void *block = malloc(903); line_of_value = __LINE__;
    TOUCH(block);
    pthread_setspecific(first, block);
    return unused;
}

int main(void) {
    pthread_key_create(&first, free_value);
    pthread_key_create(&second, free);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, work, NULL) == 0);
        pthread_join(thread, NULL);
    }
    CLAIM_AT("total", line_of_value, 903 * THREADS, THREADS);
    CLAIM_AT("alive", line_of_value, 0, 0);
    CLAIM_AT("total", line_of_destructor, 904 * THREADS, THREADS);
    CLAIM_AT("alive", line_of_destructor, 0, 0);
    return 0;
}

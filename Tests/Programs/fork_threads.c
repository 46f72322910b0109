// fork_threads.c: forks while four threads allocate, and the children allocate too, also in threads. No hang, and each child is
// a process of its own: 20 allocations of 331 bytes, and 10 of 337 in a thread.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include "claims.h"

static atomic_bool stop;
static int line_of_workers;

static void *work(void *unused) {
    while (!stop) {
        void *block = malloc(1300); line_of_workers = __LINE__;
        TOUCH(block);
        free(block);
    }
    return unused;
}

static void *in_child(void *unused) {
    for (int i = 0; i < 10; i++) TOUCH(malloc(337));
    return unused;
}

int main(int count, char **arguments) {
    int forks = count > 1 ? atoi(arguments[1]) : 40;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (int j = 0; j < 20; j++) TOUCH(malloc(331));
            pthread_t thread;
            REQUIRE(pthread_create(&thread, NULL, in_child, NULL) == 0);
            pthread_join(thread, NULL);
            _exit(i % 2 ? 0 : 5);
        }
        int status;
        REQUIRE(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (i % 2 ? 0 : 5));
    }
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CLAIM_AT("alive", line_of_workers, 0, 0);
    say("children %d\n", forks);
    return 0;
}

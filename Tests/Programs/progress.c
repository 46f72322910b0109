// progress.c: threads that write down after each call how many they have made: what a profile may say after a sudden end.
//
//   progress FILE THREADS CALLS    CALLS: of malloc, in each thread; 0: for ever
#include "claims.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { LANES = 8, KEPT = 64, SIZE = 48 };

// Mapped by the test, too.
struct progress {
    _Atomic uint64_t started, line;
    struct lane {
        _Atomic uint64_t allocated, freed, unused[6];
    } lanes[LANES];
};

static struct progress *progress;
static uint64_t calls;

static void *work(void *argument) {
    struct lane *lane = argument;
    void *kept[KEPT] = {NULL};
    for (uint64_t i = 0; calls == 0 || i < calls; i++) {
        void **slot = &kept[i * 7 % KEPT];
        if (*slot) {
            free(*slot);
            atomic_fetch_add(&lane->freed, 1);
        }
        *slot = malloc(SIZE);
        atomic_fetch_add(&lane->allocated, 1);
    }
    return NULL;
}

enum { LINE = __LINE__ - 6 };

int main(int count, char **arguments) {
    REQUIRE(count == 4);
    int file = open(arguments[1], O_RDWR);
    REQUIRE(file >= 0);
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(progress != MAP_FAILED);
    close(file);
    progress->line = LINE;
    progress->started = 1;
    calls = strtoull(arguments[3], NULL, 10);
    pthread_t threads[LANES];
    int wanted = atoi(arguments[2]);
    REQUIRE(wanted <= LANES);
    for (int i = 0; i < wanted; i++) REQUIRE(pthread_create(&threads[i], NULL, work, &progress->lanes[i]) == 0);
    for (int i = 0; i < wanted; i++) pthread_join(threads[i], NULL);
    say("done\n");
    return 5;
}

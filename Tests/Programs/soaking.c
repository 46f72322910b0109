// soaking.c: threads allocate at full speed for the seconds that the argument gives, then the program says what it did in all.
// Its live set and its call stacks stop growing early, so whatever still grows then is the profiler's. Arguments: SECONDS THREADS.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include "claims.h"

enum { SLOTS = 4096, SHARED = 256, ROUNDS_OF_A_THREAD = 400000 };
static void *_Atomic shared[SHARED];  // blocks that go from thread to thread
static atomic_ulong allocations, frees, bytes;
static atomic_bool stop;

struct work {
    uint64_t random;
    unsigned long allocations, frees, bytes;
    void *slots[SLOTS];
};

static uint64_t next(struct work *work) {
    uint64_t x = work->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (work->random = x) * 0x2545F4914F6CDD1D >> 33;
}

static void *obtain(struct work *work, size_t size) {
    void *block = malloc(size);
    TOUCH(block);
    work->allocations++, work->bytes += size;
    return block;
}

static void give_back(struct work *work, void *block) {
    if (!block) return;
    free(block);
    work->frees++;
}

SEPARATE static void step(struct work *work) {
    uint64_t random = next(work);
    size_t size = 16 + random / 8 % 2000;
    void **slot = &work->slots[random / 65536 % SLOTS];
    switch (random % 8) {
    case 0: {
        void *block = obtain(work, size);
        give_back(work, atomic_exchange(&shared[random / 32 % SHARED], block));
        break;
    }
    case 1:
        if (!*slot) break;
        *slot = realloc(*slot, size);
        work->frees++, work->allocations++, work->bytes += size;
        break;
    case 2: give_back(work, obtain(work, size)); break;
    default:
        give_back(work, *slot);
        *slot = random % 8 < 6 ? obtain(work, size) : NULL;
    }
}

// 256 different stacks, of 9 frames and more.
SEPARATE static void left(struct work *work, unsigned path, int depth);
SEPARATE static void right(struct work *work, unsigned path, int depth) {
    if (depth == 0) step(work);
    else if (path & 1) right(work, path >> 1, depth - 1);
    else left(work, path >> 1, depth - 1);
    TOUCH(&path);
}
SEPARATE static void left(struct work *work, unsigned path, int depth) {
    if (depth == 0) step(work);
    else if (path & 1) right(work, path >> 1, depth - 1);
    else left(work, path >> 1, depth - 1);
    TOUCH(&depth);
}

static void *run(void *argument) {
    static _Thread_local struct work work;
    memset(&work, 0, sizeof work);
    work.random = (uint64_t)(uintptr_t)argument * 0x9E3779B97F4A7C15 + 1;
    for (int i = 0; i < ROUNDS_OF_A_THREAD && !stop; i++) left(&work, (unsigned)next(&work) % 256, 8);
    for (int i = 0; i < SLOTS; i++) give_back(&work, work.slots[i]);
    allocations += work.allocations;
    frees += work.frees;
    bytes += work.bytes;
    return NULL;
}

// Threads end and others begin all the time.
static void *keep_running(void *argument) {
    for (size_t number = (size_t)argument; !stop; number += 1000) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, run, (void *)number) == 0);
        pthread_join(thread, NULL);
    }
    return NULL;
}

int main(int count, char **arguments) {
    REQUIRE(count == 3);
    int threads = atoi(arguments[2]);
    pthread_t keepers[64];
    REQUIRE(threads > 0 && threads <= 64);
    for (int i = 0; i < threads; i++) REQUIRE(pthread_create(&keepers[i], NULL, keep_running, (void *)(size_t)(i + 1)) == 0);
    say("%d started\n", (int)getpid());
    struct timespec left = {atoi(arguments[1]), 0};
    nanosleep(&left, NULL);
    stop = true;
    for (int i = 0; i < threads; i++) pthread_join(keepers[i], NULL);
    size_t held = 0;
    for (int i = 0; i < SHARED; i++) held += shared[i] != NULL;
    say("did %lu %lu %lu %zu\n", (unsigned long)allocations, (unsigned long)frees, (unsigned long)bytes, held);
    return 0;
}

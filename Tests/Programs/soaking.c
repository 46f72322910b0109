// soaking.c: threads allocate at full speed for the seconds that the argument gives, then the program says what it allocated in all.
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
static atomic_ulong allocations, bytes, moves, moved_bytes;
static atomic_bool stop;
static int line_of_malloc, line_of_realloc;

struct work {
    uint64_t random;
    unsigned long allocations, bytes, moves, moved_bytes;
    void *slots[SLOTS];
};

static uint64_t next(struct work *work) {
    uint64_t x = work->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (work->random = x) * 0x2545F4914F6CDD1D >> 33;
}

static void *obtain(struct work *work, size_t size) {
    void *block = malloc(size); line_of_malloc = __LINE__;
    TOUCH(block);
    work->allocations++, work->bytes += size;
    return block;
}

SEPARATE static void step(struct work *work) {
    uint64_t random = next(work);
    size_t size = 16 + random / 8 % 2000;
    void **slot = &work->slots[random / 65536 % SLOTS];
    switch (random % 8) {
    case 0: {
        void *block = obtain(work, size);
        free(atomic_exchange(&shared[random / 32 % SHARED], block));
        break;
    }
    case 1:
        if (!*slot) break;
        *slot = realloc(*slot, size); line_of_realloc = __LINE__;
        work->moves++, work->moved_bytes += size;
        break;
    case 2: free(obtain(work, size)); break;
    default:
        free(*slot);
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
    for (int i = 0; i < SLOTS; i++) free(work.slots[i]);
    allocations += work.allocations;
    bytes += work.bytes;
    moves += work.moves;
    moved_bytes += work.moved_bytes;
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
    for (int i = 0; i < SHARED; i++) free(shared[i]);
    CLAIM_AT("total", line_of_malloc, bytes, allocations);
    CLAIM_AT("total", line_of_realloc, moved_bytes, moves);
    CLAIM_AT("alive", line_of_malloc, 0, 0);
    CLAIM_AT("alive", line_of_realloc, 0, 0);
    return 0;
}

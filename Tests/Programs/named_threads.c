// named_threads.c: two threads with names allocate by the same line, main frees a block of the first. The threads live for a
// while, as threads with names do. Prints the line, and the bytes that each thread allocated.
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>
#include "claims.h"

static void *blocks[2];
static int line;

SEPARATE static void *allocate(size_t size) { line = __LINE__; return malloc(size); }

static void *work(void *argument) {
    long number = (long)argument;
    pthread_setname_np(pthread_self(), number ? "second worker" : "first worker");
    blocks[number] = allocate(number ? 2000 : 1000);
    usleep(150000);
    TOUCH(allocate(number ? 20 : 10));
    usleep(50000);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    usleep(100000);
    free(blocks[0]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    TOUCH(allocate(5));
    say("%d 1010 2020\n", line);
    return 0;
}

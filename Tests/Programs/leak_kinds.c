// leak_kinds.c: loses memory in the ways that C programs do, and says how many blocks and bytes: leak_kinds ENDING [LOST [KEPT]], with
// the lengths of the list that it loses and of one that it keeps.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct node {
    struct node *next, *previous;
    char text[32];
};

static void *volatile kept_globally;
static __thread void *volatile kept_by_thread;
static long blocks, bytes;

static void *lost(size_t size) {
    blocks++;
    bytes += (long)size;
    return memset(malloc(size), 0, size);
}

static struct node *kept_list;

static __attribute__((noinline)) void keep_chain(int length) {
    for (int i = 0; i < length; i++) {
        struct node *node = malloc(sizeof *node);
        node->next = kept_list;
        kept_list = node;
    }
}

static __attribute__((noinline)) void lose_one(void) { *(volatile char *)lost(100) = 1; }

static __attribute__((noinline)) void lose_chain(int length) {
    struct node *first = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = lost(sizeof *node);
        node->next = first;
        first = node;
    }
}

static __attribute__((noinline)) void lose_ring(int length) {
    struct node *first = lost(sizeof *first), *last = first;
    for (int i = 1; i < length; i++) {
        struct node *node = lost(sizeof *node);
        last->next = node;
        node->previous = last;
        last = node;
    }
    last->next = first;
    first->previous = last;
}

static __attribute__((noinline)) void lose_large(void) { *(volatile char *)lost(1 << 20) = 1; }

// What is lost lies where the thread's argument was, which the C library still knows when the thread has ended.
static void *lose_on_thread(void *argument) {
    kept_by_thread = malloc(77);
    free(argument);
    lose_one();
    free(kept_by_thread);
    return NULL;
}

// The stack below was used by what lost memory: its traces are not for the check to find.
static __attribute__((noinline)) void scrub(void) {
    volatile char waste[16384];
    for (size_t i = 0; i < sizeof waste; i++) waste[i] = 0;
}

int main(int count, char **arguments) {
    const char *ending = count > 1 ? arguments[1] : "return";
    // Kept: through a global, from inside of a block, by an interior pointer.
    char *kept = malloc(500);
    kept_globally = kept + 100;
    *(void *volatile *)(void *)(kept + 8) = malloc(50);
    keep_chain(count > 3 ? atoi(arguments[3]) : 10);
    lose_one();
    lose_chain(count > 2 ? atoi(arguments[2]) : 10);
    lose_ring(5);
    lose_large();
    pthread_t thread;
    pthread_create(&thread, NULL, lose_on_thread, malloc(100));
    pthread_join(thread, NULL);
    printf("%ld %ld\n", blocks, bytes);
    fflush(stdout);
    scrub();
    if (strcmp(ending, "exit") == 0) exit(3);
    if (strcmp(ending, "_exit") == 0) _exit(3);
    if (strcmp(ending, "quick") == 0) quick_exit(3);
    if (strcmp(ending, "thread") == 0) pthread_exit(NULL);
    if (strcmp(ending, "wait") == 0) getchar();
    return 3;
}

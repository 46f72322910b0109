// threads.c: eight threads fill rings and the stack table while a collector empties them, under the thread sanitizer; see tools/sanitize.
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interposer.h"
#include "recorder.h"
#include "recording.h"
#include "stack_table.h"
#include "system_calls.h"

enum { THREADS = 8, LIVES = 6, EVENTS = 5000, PLACES = 4000 };

static int file;
static uint32_t over;
static uint64_t seed;

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

// ---- The program: stacks that all threads have in common, and events that say how many came before them.
static void *program(void *argument) {
    uint64_t state = seed + (uintptr_t)argument;
    struct tm_thread *thread = &tm_thread;
    for (uint64_t i = 0; i < EVENTS; i++) {
        uint64_t epoch;
        assert(tm_enter(thread, &epoch));
        uint32_t stack = 0;
        for (uint64_t depth = next(&state) % 6; depth > 0; depth--)
            stack = tm_stack_child(tm_stack_callees(), stack, 0x1000 + (next(&state) % PLACES << 4), 0);
        tm_put_event(thread, TM_EVENT_ALLOCATE, (uintptr_t)argument << 32 | i, i, stack);
        tm_leave(thread, epoch);
    }
    return argument;
}

// ---- The collector
static void grow(struct tm_area *area, uint64_t by, size_t element) {
    uint64_t reserved = area->reserved + by;
    if (reserved > area->capacity) return;
    assert(fallocate(file, 0, (off_t)area->offset, (off_t)(reserved * element)) == 0);
    tm_store64(&area->reserved, reserved);
    tm_add32(&area->wake, 1);
    tm_futex_wake(&area->wake, 1 << 30);
}

static uint64_t collected, wrong, grants;

// Where a ring's events are, and where they may be: in the small memory that is kept, and in the largest.
struct memory {
    uint64_t place, capacity;
};
static struct memory present[TM_RINGS_MAX], home[TM_RINGS_MAX], largest[TM_RINGS_MAX];
static uint64_t ways_home;

static uint64_t give(uint64_t count) {
    struct tm_area *area = &tm_recording.header->events;
    uint64_t place = area->used;
    area->used += count;
    assert(area->used <= area->capacity);
    assert(fallocate(file, 0, (off_t)(area->offset + place * sizeof(struct tm_event)), (off_t)(count * sizeof(struct tm_event))) == 0);
    return place;
}

// Twice the memory for a ring without room that has taken what it was given before.
static void grow_ring(uint64_t index) {
    struct tm_ring *ring = &tm_recording.rings[index];
    uint64_t capacity = tm_load32(&ring->capacity);
    if (present[index].capacity != largest[index].capacity || capacity != largest[index].capacity || capacity >= 4096) return;
    if (capacity <= tm_recording.header->ring_capacity_home) home[index] = largest[index];
    largest[index] = (struct memory){give(capacity * 2), capacity * 2};
    tm_store64(&ring->place, largest[index].place);
    tm_store32(&ring->reserved_capacity, (uint32_t)largest[index].capacity);
    grants++;
}

static void drain(uint64_t index, uint64_t *expected) {
    struct tm_header *header = tm_recording.header;
    struct tm_ring *ring = &tm_recording.rings[index];
    uint64_t head = tm_load64(&ring->head), tail = ring->tail, first = tail;
    if (!present[index].capacity)
        present[index] = largest[index] = (struct memory){tm_load64(&ring->place), tm_load32(&ring->reserved_capacity)};
    uint64_t capacity = tm_load32(&ring->capacity), moved = UINT64_MAX;
    struct memory next = present[index];
    if (capacity && capacity != present[index].capacity) {
        moved = tm_load64(&ring->moved);
        next = capacity == largest[index].capacity ? largest[index] : home[index];
        assert(next.capacity == capacity);
        ways_home += next.capacity < present[index].capacity;
    }
    for (; tail != head; tail++) {
        struct memory memory = tail < moved ? present[index] : next;
        struct tm_event event = tm_recording.events[memory.place + (tail & (memory.capacity - 1))];
        uint64_t address = event.address_size & ((UINT64_C(1) << TM_ADDRESS_BITS) - 1), number = event.stack_size >> 32;
        uint32_t stack = (uint32_t)event.stack_size;
        wrong += (event.time_kind & 15) != TM_EVENT_ALLOCATE || (address & UINT32_MAX) != number;
        // The events of one thread come in order, whichever ring they are in.
        wrong += expected[address >> 32]++ % EVENTS != number;
        if (stack) wrong += stack >= tm_load64(&header->nodes.used) || tm_load64(&tm_recording.nodes[stack].pc) == 0;
    }
    collected += head - first;
    if (tail >= moved) present[index] = next;
    tm_store64(&ring->tail, tail);
    uint32_t owner = tm_load32(&ring->tid);
    if (index && tm_load32(&ring->state) == TM_RING_LIVE && owner && TM_CALL(tgkill, getpid(), owner, 0, 0, 0, 0) == -ESRCH &&
        tm_load64(&ring->head) == tail && tm_swap32(&ring->state, TM_RING_LIVE, TM_RING_DEAD)) {
        tm_store32(&ring->tid, 0);
        tm_store32(&ring->state, TM_RING_FREE);
    }
    if (tm_load32(&ring->waiting)) grow_ring(index), tm_add32(&ring->wake, 1), tm_futex_wake(&ring->wake, 1);
}

static void *collector(void *unused) {
    struct tm_header *header = tm_recording.header;
    uint64_t expected[THREADS * LIVES + 1] = {0};
    for (uint32_t last = 0; !last;) {
        last = tm_load32(&over);
        uint64_t rings = tm_load64(&header->rings.used);
        for (uint64_t i = 0; i < rings; i++) drain(i, expected);
        if (tm_load64(&header->nodes.used) + 4096 > header->nodes.reserved) grow(&header->nodes, 8192, sizeof(struct tm_node));
        if (!tm_load32(&header->rings.waiting)) continue;
        // The memory of a ring comes before the ring.
        uint64_t one = header->rings.reserved;
        tm_store64(&tm_recording.rings[one].place, give(header->ring_capacity_start));
        tm_store32(&tm_recording.rings[one].reserved_capacity, header->ring_capacity_start);
        grow(&header->rings, 1, sizeof(struct tm_ring));
    }
    return unused;
}

// ---- After it: each stack once.
static int by_frame(const void *a, const void *b) {
    const struct tm_node *left = a, *right = b;
    if (left->pc != right->pc) return left->pc < right->pc ? -1 : 1;
    return left->parent < right->parent ? -1 : left->parent > right->parent;
}

static uint64_t twins(void) {
    uint64_t count = tm_recording.header->nodes.used - TM_NODE_FIRST, same = 0;
    struct tm_node *nodes = malloc(count * sizeof *nodes);
    memcpy(nodes, tm_recording.nodes + TM_NODE_FIRST, count * sizeof *nodes);
    qsort(nodes, count, sizeof *nodes, by_frame);
    for (uint64_t i = 1; i < count; i++) same += by_frame(&nodes[i], &nodes[i - 1]) == 0;
    free(nodes);
    printf("%llu nodes, %llu of them made twice by a race\n", (unsigned long long)count, (unsigned long long)same);
    return same;
}

int main(void) {
    const char *given = getenv("UNITS_SEED");
    seed = (given ? strtoull(given, NULL, 0) : tm_nanoseconds(CLOCK_MONOTONIC)) | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    assert(tm_start_private(256, false, &file) == 0);
    // So small that threads run out of room.
    tm_recording.header->ring_capacity_start = 64;
    tm_recording.header->ring_capacity_home = 128;
    // tm_start_private said "clear"; the collector is not interested in that.
    tm_recording.rings[1].tail = tm_recording.rings[1].head;
    pthread_t serving, threads[THREADS];
    assert(pthread_create(&serving, NULL, collector, NULL) == 0);
    // Threads end and others take their rings.
    for (uintptr_t life = 0; life < LIVES; life++) {
        for (uintptr_t i = 0; i < THREADS; i++) assert(pthread_create(&threads[i], NULL, program, (void *)(life * THREADS + i + 1)) == 0);
        for (int i = 0; i < THREADS; i++) assert(pthread_join(threads[i], NULL) == 0);
    }
    tm_store32(&over, 1);
    assert(pthread_join(serving, NULL) == 0);
    printf(
        "%llu events, %llu wrong, %llu moves to larger memory, %llu back\n", (unsigned long long)collected, (unsigned long long)wrong,
        (unsigned long long)grants, (unsigned long long)ways_home);
    assert(grants > 0 && ways_home > 0);
    assert(collected == (uint64_t)THREADS * LIVES * EVENTS && wrong == 0);
    // A loser of a race leaves its node behind; that is rare.
    assert(twins() < tm_recording.header->nodes.used / 100);
    assert(tm_recording.header->lost_events == 0 && tm_recording.header->lost_stacks == 0);
    puts("threads: ok");
}

// main.c: the tracer from C: prints `ok SENTENCE` or `not ok SENTENCE: line` for each; exit code 1 when one is not shown.
//
//   CTracerBehaviors [FILE]         writes a snapshot into the file as well
//   CTracerBehaviors pairs DEPTH    prints how long a malloc and its free take: see tools/overhead
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pairs.h"
#include "tracemalloc.h"

#define EXPECT(condition) \
    do { \
        if (!(condition)) return __LINE__; \
    } while (0)

static int sink;

static size_t current(void) {
    size_t bytes;
    tracemalloc_traced_memory(&bytes, NULL);
    return bytes;
}

static int life(void) {
    size_t now = 1, peak = 1;
    EXPECT(!tracemalloc_is_tracing());
    tracemalloc_traced_memory(&now, &peak);
    EXPECT(now == 0 && peak == 0);
    EXPECT(tracemalloc_start(0) == TRACEMALLOC_OK && tracemalloc_is_tracing());
    EXPECT(tracemalloc_start(5) == TRACEMALLOC_OK);
    size_t before = current();
    char *volatile block = malloc(100000);
    tracemalloc_traced_memory(&now, &peak);
    EXPECT(now == before + 100000 && peak >= now);
    free(block);
    tracemalloc_traced_memory(&now, &peak);
    EXPECT(now == before && peak >= before + 100000);
    tracemalloc_reset_peak();
    tracemalloc_traced_memory(NULL, &peak);
    EXPECT(peak == before);
    EXPECT(tracemalloc_overhead() > 0);
    block = malloc(5000);
    tracemalloc_clear();
    EXPECT(current() < 5000);
    free(block);
    tracemalloc_stop();
    tracemalloc_stop();
    EXPECT(!tracemalloc_is_tracing() && current() == 0);
    return 0;
}

static int errors(void) {
    EXPECT(tracemalloc_start(-1) == TRACEMALLOC_BAD_ARGUMENT);
    EXPECT(strcmp(tracemalloc_message(), "the number of frames must be in range [1; 65535]") == 0);
    EXPECT(tracemalloc_start(65536) == TRACEMALLOC_BAD_ARGUMENT);
    EXPECT(tracemalloc_write_snapshot("/tmp/x.tmalloc") == TRACEMALLOC_NOT_TRACING);
    EXPECT(strstr(tracemalloc_message(), "must be traced to take a snapshot"));
    EXPECT(tracemalloc_track(1, &sink, 4) == TRACEMALLOC_NOT_TRACING);
    EXPECT(tracemalloc_untrack(1, &sink) == TRACEMALLOC_NOT_TRACING);
    EXPECT(tracemalloc_start(0) == TRACEMALLOC_OK);
    EXPECT(tracemalloc_track(1, NULL, 4) == TRACEMALLOC_BAD_ARGUMENT);
    EXPECT(strstr(tracemalloc_message(), "must not be null"));
    EXPECT(tracemalloc_track(0, &sink, 4) == TRACEMALLOC_BAD_ARGUMENT);
    EXPECT(tracemalloc_track(1, &sink, SIZE_MAX) == TRACEMALLOC_BAD_ARGUMENT);
    EXPECT(tracemalloc_write_snapshot("/nonexistent/directory/x.tmalloc") == TRACEMALLOC_FILE);
    EXPECT(strstr(tracemalloc_message(), "its directory does not exist"));
    EXPECT(tracemalloc_write_snapshot(NULL) == TRACEMALLOC_FILE);
    return 0;
}

static int tracking(void) {
    EXPECT(tracemalloc_start(0) == TRACEMALLOC_OK);
    char *arena = (char *)0x10000;
    size_t before = current();
    EXPECT(tracemalloc_track(3, arena, 100) == TRACEMALLOC_OK);
    EXPECT(tracemalloc_track(3, arena, 60) == TRACEMALLOC_OK && current() == before + 60);
    EXPECT(tracemalloc_track(3, arena + 59, 1) == TRACEMALLOC_OVERLAP);
    EXPECT(strstr(tracemalloc_message(), "overlaps one of 60 bytes at 0x10000"));
    EXPECT(tracemalloc_track(4, arena + 59, 1) == TRACEMALLOC_OK && current() == before + 61);
    EXPECT(tracemalloc_untrack(3, arena) == TRACEMALLOC_OK && tracemalloc_untrack(3, arena) == TRACEMALLOC_OK);
    EXPECT(current() == before + 1);
    return 0;
}

// Prints for the test that reads the file: the lines that allocated and tracked.
static int snapshot(const char *path) {
    EXPECT(tracemalloc_start(0) == TRACEMALLOC_OK);
    tracemalloc_mark("in C");
    char *volatile block = malloc(4321);
    int malloc_line = __LINE__ - 1;
    EXPECT(tracemalloc_track(8, block, 21) == TRACEMALLOC_OK);
    int track_line = __LINE__ - 1;
    EXPECT(tracemalloc_write_snapshot(path) == TRACEMALLOC_OK);
    free(block);
    printf("lines %d %d\n", malloc_line, track_line);
    return 0;
}

static int report(const char *sentence, int line) {
    tracemalloc_stop();
    if (line) printf("not ok %s: line %d: %s\n", sentence, line, tracemalloc_message());
    else printf("ok %s\n", sentence);
    return line != 0;
}

// Before the start, while tracing, and after the stop.
static int measure(int depth) {
    printf("before %d %.2f\n", depth, pairs(depth));
    EXPECT(tracemalloc_start(0) == TRACEMALLOC_OK);
    printf("tracing %d %.2f\n", depth, pairs(depth));
    tracemalloc_stop();
    // The collector still has the last events to take, on a processor that may share its core with this one.
    usleep(200000);
    printf("stopped %d %.2f\n", depth, pairs(depth));
    return 0;
}

int main(int count, char **arguments) {
    if (count > 2 && strcmp(arguments[1], "pairs") == 0) return measure(atoi(arguments[2]));
    int failures = 0;
    failures += report("start, look, stop", life());
    failures += report("what makes no sense is a code and a sentence", errors());
    failures += report("ranges are tracked, replaced and untracked", tracking());
    if (count > 1) failures += report("a snapshot is written", snapshot(arguments[1]));
    return failures != 0;
}

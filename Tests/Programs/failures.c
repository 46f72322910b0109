// failures.c: calls that fail, and odd ones that succeed: same result and errno as without the profiler; failures are not counted.
// The test compares the output with an untraced run.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include "claims.h"

#define RESULT(call)                                                                         \
    do {                                                                                     \
        errno = 77;                                                                          \
        void *block = (call);                                                                \
        say("%s: %s, errno %d\n", #call, block ? "a block" : "no block", errno);             \
        free(block);                                                                         \
        say("    usable %d, errno after free %d\n", malloc_usable_size(NULL) == 0, errno); \
    } while (0)

#define STATUS(call)                                                                      \
    do {                                                                                  \
        errno = 77;                                                                       \
        void *block = (void *)8;                                                          \
        int status = (call);                                                              \
        say("%s: %d, errno %d, kept %d\n", #call, status, errno, block == (void *)8); \
        if (status == 0) free(block);                                                     \
    } while (0)

int main(void) {
    volatile size_t huge = (size_t)PTRDIFF_MAX + 1, large = (size_t)1 << 46, half = SIZE_MAX / 2, all = SIZE_MAX;
    RESULT(malloc(huge));
    RESULT(malloc(large));
    RESULT(malloc(all));
    RESULT(malloc(0));
    RESULT(calloc(half, 3));
    RESULT(calloc(huge, 1));
    RESULT(calloc(large, 2));
    RESULT(calloc(0, 8));
    RESULT(calloc(8, 0));
    RESULT(realloc(NULL, huge));
    RESULT(realloc(NULL, 0));
    RESULT(reallocarray(NULL, half, 4));
    RESULT(memalign(64, huge));
    RESULT(memalign(48, 100));
    RESULT(memalign(0, 100));
    RESULT(aligned_alloc(64, 0));
    RESULT(aligned_alloc(48, 96));
    RESULT(aligned_alloc(huge, 64));
    RESULT(valloc(huge));
    RESULT(pvalloc(huge));
    RESULT(pvalloc(0));
    STATUS(posix_memalign(&block, 64, huge));
    STATUS(posix_memalign(&block, 3, 100));
    STATUS(posix_memalign(&block, 0, 100));
    STATUS(posix_memalign(&block, 4, 100));
    STATUS(posix_memalign(&block, 64, 0));
    void *kept = malloc(909); CLAIM_TOTAL(909, 1); CLAIM_ALIVE(909, 1);
    TOUCH(kept);
    return 0;
}

// sampled.c: blocks of several sizes, kept, freed, reallocated; each size has a line of its own. The argument multiplies the counts.
#include <string.h>
#include "claims.h"

static void *kept[400000];
static int kept_count;

SEPARATE static void keep(void *block) {
    REQUIRE(block && kept_count < 400000);
    kept[kept_count++] = block;
}

int main(int count, char **arguments) {
    int times = count > 1 ? atoi(arguments[1]) : 1;
    for (int i = 0; i < 8000 * times; i++) keep(malloc(48));
    for (int i = 0; i < 800 * times; i++) keep(calloc(50, 100));
    for (int i = 0; i < 60 * times; i++) keep(malloc(60000));
    for (int i = 0; i < 4000 * times; i++) free(malloc(300));
    for (int i = 0; i < 800 * times; i++) {
        char *block = malloc(200);
        for (int size = 400; size <= 6400; size *= 2) block = realloc(block, (size_t)size);
        memset(block, 1, 6400);
        if (i % 2) free(block);
        else keep(block);
    }
    // A realloc that fails gives the block back.
    void *block = malloc(70000);
    volatile size_t too_much = (size_t)1 << 62;
    REQUIRE(realloc(block, too_much) == NULL);
    free(block);
    for (int i = 0; i < kept_count; i += 2) {
        free(kept[i]);
        kept[i] = NULL;
    }
    return 0;
}

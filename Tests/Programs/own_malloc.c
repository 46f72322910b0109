// own_malloc.c: brings its own malloc inside the executable, as programs with a static jemalloc do. It runs, and the summary says
// that its allocations bypass the profiler.
#include <errno.h>
#include <string.h>
#include "claims.h"

static _Alignas(16) char arena[1 << 20];
static size_t used;

void *malloc(size_t size) {
    size_t need = (size + 31) & ~(size_t)15;
    if (need > sizeof arena - used) {
        errno = ENOMEM;
        return NULL;
    }
    char *block = arena + used + 16;
    memcpy(block - 16, &size, sizeof size);
    used += need + 16;
    return block;
}
void free(void *block) { TOUCH(block); }
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *realloc(void *block, size_t size) {
    size_t old = 0;
    if (block) memcpy(&old, (char *)block - 16, sizeof old);
    void *copy = malloc(size);
    if (copy && block) memcpy(copy, block, old < size ? old : size);
    return copy;
}

int main(void) {
    for (int i = 0; i < 100; i++) TOUCH(malloc(2801));
    say("used %d\n", used >= 280100);
    return 4;
}

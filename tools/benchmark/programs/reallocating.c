// reallocating.c: arrays that grow by realloc, interleaved: reallocating ROUNDS. Half of them double, the others grow by a little.
#include "bench.h"

enum { ARRAYS = 64, STEPS = 120 };

SEPARATE static size_t grown(size_t size, int index, int step) { return index % 2 ? size + 48 : step % 8 ? size : size * 2; }

int main(int count, char **arguments) {
    long rounds = argument(count, arguments, 1);
    for (long round = 0; round < rounds; round++) {
        char *arrays[ARRAYS] = {0};
        size_t sizes[ARRAYS];
        for (int i = 0; i < ARRAYS; i++) sizes[i] = 16;
        for (int step = 0; step < STEPS; step++) {
            for (int i = 0; i < ARRAYS; i++) {
                size_t size = grown(sizes[i], i, step);
                if (size > 64 << 10) size = 64 << 10;
                arrays[i] = realloc(arrays[i], size);
                if (!arrays[i]) return 1;
                arrays[i][size - 1] = 1;
                sizes[i] = size;
            }
        }
        for (int i = 0; i < ARRAYS; i++) free(arrays[i]);
    }
    return 0;
}

// sample_draws.c: are the distances between samples exponentially distributed? The argument is the seed. Uses the header of the hooks.
#include <math.h>
#include "../../CShims/CInterposer/sample_draw.h"
#include "claims.h"

enum { DRAWS = 400000 };

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int main(int count, char **arguments) {
    uint64_t state = count > 1 ? strtoull(arguments[1], NULL, 10) | 1 : 1;
    const double mean = 524288;
    for (double number = 0x1p-53; number < 1; number *= 1.0137) REQUIRE(fabs(tm_sample_log(number) - log(number)) < 1e-8);

    double *draws = malloc(DRAWS * sizeof *draws), sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        draws[i] = (double)tm_sample_draw(&state, (uint64_t)mean) / mean;
        sum += draws[i];
        squares += draws[i] * draws[i];
    }
    // Six standard deviations: of the mean 1 / sqrt(n), of the second moment, which is 2, sqrt(20 / n).
    REQUIRE(fabs(sum / DRAWS - 1) < 6 / sqrt(DRAWS));
    REQUIRE(fabs(squares / DRAWS - 2) < 6 * sqrt(20.0 / DRAWS));
    // Kolmogorov and Smirnov: sqrt(n) times the largest distance is above 2.3 once in 20,000 times.
    qsort(draws, DRAWS, sizeof *draws, compare);
    double farthest = 0;
    for (int i = 0; i < DRAWS; i++) farthest = fmax(farthest, fabs(1 - exp(-draws[i]) - (i + 0.5) / DRAWS));
    REQUIRE(farthest * sqrt(DRAWS) < 2.3);
    return 0;
}

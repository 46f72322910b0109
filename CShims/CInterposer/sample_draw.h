// sample_draw.h: the distance from one sampled byte to the next: exponentially distributed, so that every byte of the program's
// allocations is chosen with the same probability, whatever was chosen before. Arithmetic only; no libm in the traced program.
#ifndef TM_SAMPLE_DRAW_H
#define TM_SAMPLE_DRAW_H

#include <stdint.h>

// xorshift64*; the state is not 0.
static inline uint64_t tm_sample_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

// The natural logarithm of a positive, normal number, to nine digits: of the mantissa, brought to 1/sqrt(2) ... sqrt(2), by the
// series of the inverse hyperbolic tangent.
static inline double tm_sample_log(double number) {
    uint64_t bits;
    __builtin_memcpy(&bits, &number, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double mantissa;
    __builtin_memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa > 1.4142135623730951) {
        mantissa /= 2;
        exponent++;
    }
    double z = (mantissa - 1) / (mantissa + 1), square = z * z;
    double series = 1 + square * (1.0 / 3 + square * (1.0 / 5 + square * (1.0 / 7 + square * (1.0 / 9))));
    return (double)exponent * 0.6931471805599453 + 2 * z * series;
}

// Bytes until the next sampled one; `mean` on average, at least 1.
static inline uint64_t tm_sample_draw(uint64_t *state, uint64_t mean) {
    double uniform = ((double)(tm_sample_random(state) >> 11) + 0.5) * 0x1p-53;  // never 0, never 1
    double bytes = -tm_sample_log(uniform) * (double)mean;
    return bytes < 0x1p62 ? (uint64_t)bytes + 1 : UINT64_C(1) << 62;
}

#endif

#include "RandomKernels.h"

#include <math.h>
#include <string.h>

// Fused and unfused products round differently; a seed has to give the same model on every CPU. So it is written down
// which are fused.
#pragma clang fp contract(off)

static inline __attribute__((always_inline)) double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// An integer below 2^52 as a double: 2^52 + n has n as its fraction.
static inline __attribute__((always_inline)) double exact(uint64_t n) {
    return as_double(n | 0x4330000000000000u) - 0x1p52;
}

// a b + c, rounded once.
static inline __attribute__((always_inline)) double fused(double a, double b, double c) {
    return __builtin_elementwise_fma(a, b, c);
}

// The nearest integer, for |x| < 2^51.
static inline __attribute__((always_inline)) double nearest(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

// log(u) for 2^-66 < u <= 1: u = 2^e m with m in sqrt(1/2)...sqrt(2), log m = 2 atanh((m - 1) / (m + 1)).
static inline __attribute__((always_inline)) double natural_log(double u) {
    uint64_t shifted = as_bits(u) - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u;
    double exponent = exact(shifted >> 52) - 1023.0;
    double m = as_double((shifted & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
    double s = (m - 1.0) / (m + 1.0);
    double s2 = s * s;
    double s4 = s2 * s2, s8 = s4 * s4;
    double low = fused(s4, fused(s2, 1.0 / 9, 1.0 / 7), fused(s2, 1.0 / 5, 1.0 / 3));
    double middle = fused(s4, fused(s2, 1.0 / 17, 1.0 / 15), fused(s2, 1.0 / 13, 1.0 / 11));
    double series = fused(s8, fused(s8, fused(s2, 1.0 / 21, 1.0 / 19), middle), low);
    return fused(exponent, 0x1.62e42fefa39efp-1, 2.0 * fused(s * s2, series, s));
}

// Planes of `pairs` 64-bit words: radius, angle. Planes of `pairs` normals: cosines, sines.
static inline __attribute__((always_inline)) void box_muller(const uint64_t *restrict bits, size_t pairs,
                                                              double *restrict normals) {
    for (size_t i = 0; i < pairs; i++) {
        // The word plus one half, over 2^64: neither 0 nor rounded where it is small.
        uint64_t word = bits[i];
        double u = exact(word >> 32) * 0x1p-32 + (exact(word & 0xffffffffu) + 0.5) * 0x1p-64;
        double radius = __builtin_elementwise_sqrt(-2.0 * natural_log(u));
        // Two bits choose a quarter of the circle, 52 an angle of -pi/4...pi/4 about its middle.
        uint64_t turn = bits[pairs + i];
        double x = (exact(turn & 0x000fffffffffffffu) - (0x1p51 - 0.5)) * (M_PI_4 * 0x1p-51);
        double x2 = x * x;
        double x4 = x2 * x2, x8 = x4 * x4;
        double low = fused(x4, fused(x2, 1.0 / 362880, -1.0 / 5040), fused(x2, 1.0 / 120, -1.0 / 6));
        double high = fused(x4, fused(x2, 1.0 / 355687428096000, -1.0 / 1307674368000),
                            fused(x2, 1.0 / 6227020800, -1.0 / 39916800));
        double sine = fused(x * x2, fused(x8, high, low), x);
        low = fused(x4, fused(x2, -1.0 / 3628800, 1.0 / 40320), fused(x2, -1.0 / 720, 1.0 / 24));
        high = fused(x4, fused(x2, -1.0 / 6402373705728000, 1.0 / 20922789888000),
                     fused(x2, -1.0 / 87178291200, 1.0 / 479001600));
        double cosine = fused(x4, fused(x8, high, low), fused(x2, -0.5, 1.0));
        // A quarter turn swaps the two; which quarter decides their signs.
        uint64_t swap = 0u - (turn >> 62 & 1u);
        uint64_t c = as_bits(cosine), s = as_bits(sine);
        uint64_t first = (c & ~swap) | (s & swap), second = (s & ~swap) | (c & swap);
        uint64_t sign = turn & 0x8000000000000000u;
        normals[i] = radius * as_double(first ^ sign ^ (swap & 0x8000000000000000u));
        normals[pairs + i] = radius * as_double(second ^ sign);
    }
}

static inline __attribute__((always_inline)) void release(const double *restrict normals, double scale, double step,
                                                          size_t count, float *restrict sums) {
    double inverse = 1.0 / step;
    for (size_t i = 0; i < count; i++) {
        double noise = nearest(normals[i] * scale);
        sums[i] = (float)((nearest((double)sums[i] * inverse) + noise) * step);
    }
}

void vk_correlate(double *values, double scale, double gain, const double *coefficients, const int32_t *const *history,
                  size_t lags, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] *= scale;
    for (size_t k = 0; k < lags; k++) {
        double coefficient = coefficients[k];
        const int32_t *restrict earlier = history[k];
        for (size_t i = 0; i < count; i++) values[i] -= coefficient * (double)earlier[i];
    }
    for (size_t i = 0; i < count; i++) values[i] *= gain;
}

void vk_release_kept(const double *values, double step, size_t count, int32_t *kept, float *sums) {
    double inverse = 1.0 / step;
    for (size_t i = 0; i < count; i++) {
        double noise = nearest(values[i]);
        kept[i] = (int32_t)noise;
        sums[i] = (float)((nearest((double)sums[i] * inverse) + noise) * step);
    }
}

void vk_normals_generic(const uint64_t *bits, size_t pairs, double *normals) {
    box_muller(bits, pairs, normals);
}

#if defined(__x86_64__)
#define VK_AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,fma")))
#define VK_AVX2 __attribute__((target("avx2,fma")))

VK_AVX512 static void normals_avx512(const uint64_t *bits, size_t pairs, double *normals) {
    box_muller(bits, pairs, normals);
}

VK_AVX2 static void normals_avx2(const uint64_t *bits, size_t pairs, double *normals) {
    box_muller(bits, pairs, normals);
}

VK_AVX512 static void release_avx512(const double *normals, double scale, double step, size_t count, float *sums) {
    release(normals, scale, step, count, sums);
}

VK_AVX2 static void release_avx2(const double *normals, double scale, double step, size_t count, float *sums) {
    release(normals, scale, step, count, sums);
}

static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
#define normals_avx512 vk_normals_generic
#define normals_avx2 vk_normals_generic
#define release_avx512 release
#define release_avx2 release
static int has_avx512(void) { return 0; }
static int has_avx2(void) { return 0; }
#endif

void vk_normals(const uint64_t *bits, size_t pairs, double *normals) {
    if (has_avx512()) {
        normals_avx512(bits, pairs, normals);
    } else if (has_avx2()) {
        normals_avx2(bits, pairs, normals);
    } else {
        vk_normals_generic(bits, pairs, normals);
    }
}

void vk_release_on_grid(const double *normals, double scale, double step, size_t count, float *sums) {
    if (has_avx512()) {
        release_avx512(normals, scale, step, count, sums);
    } else if (has_avx2()) {
        release_avx2(normals, scale, step, count, sums);
    } else {
        release(normals, scale, step, count, sums);
    }
}

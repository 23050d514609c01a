#include "RandomKernels.h"

#include <math.h>
#include <string.h>

// Fused and unfused products round differently; a seed has to give the same model on every CPU.
#pragma clang fp contract(off)

static inline __attribute__((always_inline)) float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) uint32_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The 64-bit number high:low + 1/2, over 2^64, in (0, 1]. Pieces of at most 24 bits convert without rounding.
static inline __attribute__((always_inline)) float unit_interval(uint32_t high, uint32_t low) {
    float a = (float)(int32_t)(high >> 8);
    float b = (float)(int32_t)((high & 0xff) << 16 | low >> 16);
    float c = (float)(int32_t)(low & 0xffff);
    return a * 0x1p-24f + (b * 0x1p-48f + (c * 0x1p-64f + 0x1p-65f));
}

// log(u) for a normal u: u = 2^e m with m about in sqrt(1/2)...sqrt(2), log m = 2 atanh((m - 1) / (m + 1)).
static inline __attribute__((always_inline)) float natural_log(float u) {
    uint32_t shifted = as_bits(u) - 0x3f3504f3u;
    float exponent = (float)((int32_t)shifted >> 23);
    float m = as_float((shifted & 0x007fffffu) + 0x3f3504f3u);
    float s = (m - 1.0f) / (m + 1.0f);
    float s2 = s * s;
    float series = s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
    return exponent * 0.693147181f + 2.0f * (s + s * series);
}

// Planes of `pairs` words: radius high, radius low, angle. Planes of `pairs` normals: cosines, sines.
static inline __attribute__((always_inline)) void box_muller(const uint32_t *restrict bits, size_t pairs,
                                                              float *restrict normals) {
    for (size_t i = 0; i < pairs; i++) {
        float radius = __builtin_elementwise_sqrt(-2.0f * natural_log(unit_interval(bits[i], bits[pairs + i])));
        // Two bits choose a quarter of the circle, thirty an angle of -pi/4...pi/4 about its middle.
        uint32_t word = bits[2 * pairs + i];
        int32_t offset = (int32_t)(word << 2) >> 2;
        float x = ((float)offset + 0.5f) * (float)(M_PI_4 / 0x1p29);
        float x2 = x * x;
        float sine = x + x * x2 * (-1.0f / 6 + x2 * (1.0f / 120 + x2 * (-1.0f / 5040 + x2 * (1.0f / 362880))));
        float cosine = 1.0f + x2 * (-1.0f / 2 + x2 * (1.0f / 24 + x2 * (-1.0f / 720 + x2 * (1.0f / 40320))));
        // A quarter turn swaps the two; which quarter decides their signs.
        uint32_t swap = 0u - (word >> 30 & 1u);
        uint32_t c = as_bits(cosine), s = as_bits(sine);
        uint32_t first = (c & ~swap) | (s & swap), second = (s & ~swap) | (c & swap);
        uint32_t sign = word & 0x80000000u;
        normals[i] = radius * as_float(first ^ sign ^ (swap & 0x80000000u));
        normals[pairs + i] = radius * as_float(second ^ sign);
    }
}

void vk_normals_generic(const uint32_t *bits, size_t pairs, float *normals) { box_muller(bits, pairs, normals); }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void normals_avx2(const uint32_t *bits, size_t pairs, float *normals) {
    box_muller(bits, pairs, normals);
}

void vk_normals(const uint32_t *bits, size_t pairs, float *normals) {
    if (__builtin_cpu_supports("avx2")) {
        normals_avx2(bits, pairs, normals);
    } else {
        box_muller(bits, pairs, normals);
    }
}
#else
void vk_normals(const uint32_t *bits, size_t pairs, float *normals) { box_muller(bits, pairs, normals); }
#endif

void vk_scale_normals(const float *normals, float scale, size_t count, float *output) {
    for (size_t i = 0; i < count; i++) output[i] = scale * normals[i];
}

void vk_add_scaled_normals(const float *normals, float scale, size_t count, float *output) {
    for (size_t i = 0; i < count; i++) output[i] += scale * normals[i];
}

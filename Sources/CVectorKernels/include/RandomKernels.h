/// Random numbers: entropy from the operating system, and normals from uniform bits.
#ifndef RANDOM_KERNELS_H
#define RANDOM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Fills `bytes` from getrandom(2), blocking until the system's generator is seeded. 0, or the errno of the failure.
int vk_system_entropy(void *bytes, size_t count);

/// Turns 3 * `pairs` random words into 2 * `pairs` independent standard normals by the Box-Muller transform.
///
/// The radius of a pair uses 64 bits, so that tails reach 9.4 standard deviations; the angle uses 32. Every CPU
/// gives the same bits: the arithmetic has no fused multiplications and no reordered sums.
void vk_normals(const uint32_t *bits, size_t pairs, float *normals);

/// The same in instructions that every CPU of the architecture has, to compare `vk_normals` with.
void vk_normals_generic(const uint32_t *bits, size_t pairs, float *normals);

/// output[i] = scale * normals[i].
void vk_scale_normals(const float *normals, float scale, size_t count, float *output);

/// output[i] += scale * normals[i].
void vk_add_scaled_normals(const float *normals, float scale, size_t count, float *output);

#endif

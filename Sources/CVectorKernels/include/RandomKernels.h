/// Random numbers: entropy from the operating system, and normals from uniform bits.
#ifndef RANDOM_KERNELS_H
#define RANDOM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Fills `bytes` from getrandom(2), blocking until the system's generator is seeded. 0, or the errno of the failure.
int vk_system_entropy(void *bytes, size_t count);

/// Turns 2 * `pairs` random words into 2 * `pairs` independent standard normals in double precision, by the Box-Muller
/// transform.
///
/// The radius of a pair uses 64 bits, so that tails reach 9.4 standard deviations; the angle uses 54. Every CPU gives
/// the same bits: the arithmetic has no fused multiplications and no reordered sums.
void vk_normals(const uint64_t *bits, size_t pairs, double *normals);

/// The same in instructions that every CPU of the architecture has, to compare `vk_normals` with.
void vk_normals_generic(const uint64_t *bits, size_t pairs, double *normals);

/// sums[i] = step (nearest(sums[i] / step) + nearest(scale normals[i])), for a `step` that is a power of two and
/// quotients less than 2^51.
void vk_release_on_grid(const double *normals, double scale, double step, size_t count, float *sums);

/// values[i] = scale values[i], less coefficients[k] history[k][i] for every k of `lags`, all times `gain`.
void vk_correlate(double *values, double scale, double gain, const double *coefficients, const int32_t *const *history,
                  size_t lags, size_t count);

/// kept[i] = nearest(values[i]) and sums[i] = step (nearest(sums[i] / step) + kept[i]), for values less than 2^31.
void vk_release_kept(const double *values, double step, size_t count, int32_t *kept, float *sums);

#endif

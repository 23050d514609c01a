// The kernels for x86-64 processors with AVX-512.
#if defined(__x86_64__)
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "VectorKernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#define VK_NAME avx512
#define VK_LANES 16
#define VK_TILE_ROWS 12
#include "bodies/table.h"
#pragma clang attribute pop
#endif

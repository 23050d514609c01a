// The kernels for x86-64 processors with AVX2, FMA and F16C. The pragma, rather than a compiler flag, sets the
// target: a package that passes unsafe flags cannot be depended on.
#if defined(__x86_64__)
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "VectorKernels.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define VK_NAME avx2
#include "bodies/table.h"
#pragma clang attribute pop
#endif

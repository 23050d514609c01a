// Picks the table of kernels that this processor runs best.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "VectorKernels.h"

extern const vk_table vk_table_generic;
#if defined(__x86_64__)
extern const vk_table vk_table_avx2;
extern const vk_table vk_table_avx512;
#endif

const vk_table *vk_named(const char *name) {
    if (strcmp(name, "generic") == 0) return &vk_table_generic;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (strcmp(name, "avx2") == 0 && has_avx2) return &vk_table_avx2;
    if (strcmp(name, "avx512") == 0 && has_avx2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return &vk_table_avx512;
    }
#endif
    return NULL;
}

const vk_table *vk_active(void) {
    const char *asked = getenv("DPONNX_CPU");
    if (asked && *asked) {
        const vk_table *table = vk_named(asked);
        if (table) return table;
        fprintf(stderr,
                "dponnx: DPONNX_CPU=%s names no kernels that this processor runs; use generic, avx2 or avx512\n", asked);
        exit(64);
    }
    const vk_table *table = vk_named("avx512");
    if (!table) table = vk_named("avx2");
    return table ? table : &vk_table_generic;
}

double vk_reduce_identity(int op) {
    switch (op) {
        case VK_MAXIMUM: return -__builtin_inf();
        case VK_MINIMUM: return __builtin_inf();
        case VK_PRODUCT: return 1.0;
        default: return 0.0;
    }
}

// Reductions into double accumulators, so that the order of additions hardly matters.

// Additions may be reordered: the sums are double, far finer than the floats that go in.
#define VK_REORDER _Pragma("clang fp reassociate(on)")

#define VK_ROW_SUM(code, expression)                 \
    case code: {                                     \
        double s = 0.0;                              \
        for (int64_t i = 0; i < n; i++) {            \
            double v = (double)x[i];                 \
            s += (expression);                       \
        }                                            \
        *accumulator += s;                           \
        break;                                       \
    }

/// The extreme of a run with 16 independent lanes; a NaN anywhere is the result. `beats` compares v with m.
#define VK_ROW_EXTREME(code, start, beats)                                      \
    case code: {                                                                \
        float lanes[16];                                                        \
        for (int j = 0; j < 16; j++) lanes[j] = (start);                        \
        int64_t i = 0;                                                          \
        for (; i + 16 <= n; i += 16) {                                          \
            for (int j = 0; j < 16; j++) {                                      \
                float v = x[i + j], m = lanes[j];                               \
                lanes[j] = v beats m || v != v ? v : m;                         \
            }                                                                   \
        }                                                                       \
        float m = lanes[0];                                                     \
        for (int j = 1; j < 16; j++) m = lanes[j] beats m || lanes[j] != lanes[j] ? lanes[j] : m; \
        for (; i < n; i++) m = x[i] beats m || x[i] != x[i] ? x[i] : m;         \
        double old = *accumulator;                                              \
        *accumulator = (double)m beats old || m != m ? (double)m : old;         \
        break;                                                                  \
    }

static void reduce_row(int op, const float *x, int64_t n, double *accumulator, float shift) {
    VK_REORDER
    switch (op) {
        VK_ROW_SUM(VK_SUM, v)
        VK_ROW_SUM(VK_SUM_SQUARE, v * v)
        VK_ROW_SUM(VK_SUM_ABS, v < 0.0 ? -v : v)
        VK_ROW_SUM(VK_SUM_EXP, (double)exp_f((float)v - shift))
        VK_ROW_EXTREME(VK_MAXIMUM, -__builtin_inff(), >)
        VK_ROW_EXTREME(VK_MINIMUM, __builtin_inff(), <)
        case VK_PRODUCT: {
            double p = 1.0;
            for (int64_t i = 0; i < n; i++) p *= (double)x[i];
            *accumulator *= p;
            break;
        }
    }
}

#define VK_COLUMNS(code, expression)                          \
    case code:                                                \
        for (int64_t r = 0; r < rows; r++) {                  \
            const float *row = x + r * stride;                \
            VK_LOOP {                                         \
                double v = (double)row[i], m = sums[i];       \
                sums[i] = (expression);                       \
            }                                                 \
        }                                                     \
        break;

static void reduce_columns(int op, const float *x, int64_t rows, int64_t n, int64_t stride, double *sums,
                           const float *shifts) {
    switch (op) {
        VK_COLUMNS(VK_SUM, m + v)
        VK_COLUMNS(VK_SUM_SQUARE, m + v * v)
        VK_COLUMNS(VK_SUM_ABS, m + (v < 0.0 ? -v : v))
        VK_COLUMNS(VK_SUM_EXP, m + (double)exp_f((float)v - shifts[i]))
        VK_COLUMNS(VK_MAXIMUM, v > m || v != v ? v : m)
        VK_COLUMNS(VK_MINIMUM, v < m || v != v ? v : m)
        VK_COLUMNS(VK_PRODUCT, m * v)
    }
}

// Unary functions, their derivatives, and elementwise losses: one loop per function.

// The compiler is told that iterations are independent, which holds for out == x too.
#define VK_LOOP _Pragma("clang loop vectorize(assume_safety)") for (int64_t i = 0; i < n; i++)

#define VK_MAP(code, expression)        \
    case code: {                        \
        VK_LOOP {                       \
            float v = x[i];             \
            out[i] = (expression);      \
        }                               \
        break;                          \
    }

#define VK_MAP_LIBM(code, expression)            \
    case code: {                                 \
        for (int64_t i = 0; i < n; i++) {        \
            float v = x[i];                      \
            out[i] = (expression);               \
        }                                        \
        break;                                   \
    }

static void unary(int op, const float *x, float *out, int64_t n, float a, float b) {
    switch (op) {
        VK_MAP(VK_NEG, -v)
        VK_MAP(VK_ABS, absolute(v))
        VK_MAP(VK_RECIPROCAL, 1.0f / v)
        VK_MAP(VK_EXP, exp_f(v))
        VK_MAP(VK_LOG, log_f(v))
        VK_MAP(VK_SQRT, square_root(v))
        VK_MAP(VK_RSQRT, 1.0f / square_root(v))
        VK_MAP(VK_SQUARE, v * v)
        VK_MAP(VK_RELU, v <= 0.0f ? 0.0f : v)
        VK_MAP(VK_LEAKY_RELU, v > 0.0f ? v : a * v)
        VK_MAP(VK_ELU, v > 0.0f ? v : a * expm1_negative(v > 0.0f ? 0.0f : v))
        VK_MAP(VK_SELU, b * (v > 0.0f ? v : a * expm1_negative(v > 0.0f ? 0.0f : v)))
        VK_MAP(VK_CELU, v > 0.0f ? v : a * expm1_negative((v > 0.0f ? 0.0f : v) / a))
        VK_MAP(VK_SIGMOID, sigmoid_f(v))
        VK_MAP(VK_TANH, tanh_f(v))
        VK_MAP(VK_SOFTPLUS, softplus_f(v))
        VK_MAP(VK_SOFTSIGN, absolute(v) == __builtin_inff() ? with_sign(1.0f, v) : v / (1.0f + absolute(v)))
        VK_MAP(VK_HARD_SWISH, gated(v, clamp(v / 6.0f + 0.5f, 0.0f, 1.0f)))
        VK_MAP(VK_HARD_SIGMOID, clamp(a * v + b, 0.0f, 1.0f))
        VK_MAP(VK_GELU, gated(v, normal_cdf(v)))
        VK_MAP(VK_GELU_TANH, gated(v, sigmoid_f(gelu_argument(v))))
        VK_MAP(VK_ERF, erf_f(v))
        VK_MAP(VK_SILU, gated(v, sigmoid_f(v)))
        VK_MAP(VK_MISH, gated(v, mish_exponent(v) / (mish_exponent(v) + 2.0f)))
        VK_MAP(VK_THRESHOLDED_RELU, v <= a ? 0.0f : v)
        VK_MAP_LIBM(VK_SIN, sinf(v))
        VK_MAP_LIBM(VK_COS, cosf(v))
        VK_MAP_LIBM(VK_TAN, tanf(v))
        VK_MAP_LIBM(VK_ASIN, asinf(v))
        VK_MAP_LIBM(VK_ACOS, acosf(v))
        VK_MAP_LIBM(VK_ATAN, atanf(v))
        VK_MAP_LIBM(VK_SINH, sinhf(v))
        VK_MAP_LIBM(VK_COSH, coshf(v))
        VK_MAP_LIBM(VK_ASINH, asinhf(v))
        VK_MAP_LIBM(VK_ACOSH, acoshf(v))
        VK_MAP_LIBM(VK_ATANH, atanhf(v))
        VK_MAP(VK_SIGN, signum(v))
        VK_MAP_LIBM(VK_FLOOR, __builtin_elementwise_floor(v))
        VK_MAP_LIBM(VK_CEIL, __builtin_elementwise_ceil(v))
        VK_MAP_LIBM(VK_ROUND, __builtin_elementwise_roundeven(v))
        VK_MAP(VK_CLIP, clamp(v, a, b))
        VK_MAP(VK_AFFINE, a * v + b)
    }
}

#define VK_SLOPE(code, expression)        \
    case code: {                          \
        VK_LOOP {                         \
            float v = x[i];               \
            (void)v;                      \
            out[i] = g[i] * (expression); \
        }                                 \
        break;                            \
    }

#define VK_SLOPE_LIBM(code, expression)     \
    case code: {                            \
        for (int64_t i = 0; i < n; i++) {   \
            float v = x[i];                 \
            out[i] = g[i] * (expression);   \
        }                                   \
        break;                              \
    }

/// A gradient that passes or stops: what is stopped is an exact zero even where g is not finite.
#define VK_GATE(code, stopped, slope)                     \
    case code: {                                          \
        VK_LOOP {                                         \
            float v = x[i];                               \
            out[i] = (stopped) ? 0.0f : g[i] * (slope);   \
        }                                                 \
        break;                                            \
    }

static void derivative(int op, const float *x, const float *g, float *out, int64_t n, float a, float b) {
    switch (op) {
        VK_SLOPE(VK_NEG, -1.0f)
        VK_SLOPE(VK_ABS, signum(v))
        VK_SLOPE(VK_RECIPROCAL, -1.0f / (v * v))
        VK_SLOPE(VK_EXP, exp_f(v))
        VK_SLOPE(VK_LOG, 1.0f / v)
        VK_SLOPE(VK_SQRT, 0.5f / square_root(v))
        VK_SLOPE(VK_RSQRT, -0.5f / (v * square_root(v)))
        VK_SLOPE(VK_SQUARE, 2.0f * v)
        VK_GATE(VK_RELU, v <= 0.0f, 1.0f)
        VK_SLOPE(VK_LEAKY_RELU, v > 0.0f ? 1.0f : a)
        VK_SLOPE(VK_ELU, v > 0.0f ? 1.0f : a * exp_f(v))
        VK_SLOPE(VK_SELU, b * (v > 0.0f ? 1.0f : a * exp_f(v)))
        VK_SLOPE(VK_CELU, v > 0.0f ? 1.0f : exp_f(v / a))
        VK_SLOPE(VK_SIGMOID, sigmoid_slope(v))
        VK_SLOPE(VK_TANH, tanh_slope(v))
        VK_SLOPE(VK_SOFTPLUS, sigmoid_f(v))
        VK_SLOPE(VK_SOFTSIGN, 1.0f / ((1.0f + absolute(v)) * (1.0f + absolute(v))))
        VK_GATE(VK_HARD_SWISH, v <= -3.0f, v < 3.0f ? v / 3.0f + 0.5f : v >= 3.0f ? 1.0f : v)
        VK_GATE(VK_HARD_SIGMOID, a * v + b <= 0.0f || a * v + b >= 1.0f, v == v ? a : v)
        VK_SLOPE(VK_GELU, normal_cdf(v) + gated(v, normal_pdf(v)))
        VK_SLOPE(
            VK_GELU_TANH,
            sigmoid_f(gelu_argument(v))
                + gated(v * (1.59576912f + 0.214064449f * v * v), sigmoid_slope(gelu_argument(v))))
        VK_SLOPE(VK_ERF, 1.12837917f * exp_f(-v * v))
        VK_SLOPE(VK_SILU, sigmoid_f(v) + gated(v, sigmoid_slope(v)))
        VK_SLOPE(VK_MISH, mish_slope(v))
        VK_GATE(VK_THRESHOLDED_RELU, v <= a, 1.0f)
        VK_SLOPE_LIBM(VK_SIN, cosf(v))
        VK_SLOPE_LIBM(VK_COS, -sinf(v))
        VK_SLOPE_LIBM(VK_TAN, 1.0f + tanf(v) * tanf(v))
        VK_SLOPE(VK_ASIN, 1.0f / square_root((1.0f - v) * (1.0f + v)))
        VK_SLOPE(VK_ACOS, -1.0f / square_root((1.0f - v) * (1.0f + v)))
        VK_SLOPE(VK_ATAN, 1.0f / (1.0f + v * v))
        VK_SLOPE_LIBM(VK_SINH, coshf(v))
        VK_SLOPE_LIBM(VK_COSH, sinhf(v))
        VK_SLOPE(VK_ASINH, 1.0f / square_root(1.0f + v * v))
        VK_SLOPE(VK_ACOSH, 1.0f / square_root((v - 1.0f) * (v + 1.0f)))
        VK_SLOPE(VK_ATANH, 1.0f / ((1.0f - v) * (1.0f + v)))
        VK_GATE(VK_SIGN, v == v, v)
        VK_GATE(VK_FLOOR, v == v, v)
        VK_GATE(VK_CEIL, v == v, v)
        VK_GATE(VK_ROUND, v == v, v)
        VK_GATE(VK_CLIP, v <= a || v >= b, v == v ? 1.0f : v)
        VK_SLOPE(VK_AFFINE, a)
    }
}

static void derivative_from_output(int op, const float *x, const float *g, float *out, int64_t n) {
    switch (op) {
        VK_SLOPE(VK_EXP, v)
        VK_SLOPE(VK_SQRT, 0.5f / v)
        VK_SLOPE(VK_RECIPROCAL, -v * v)
        VK_SLOPE(VK_RSQRT, -0.5f * v * v * v)
        VK_SLOPE(VK_SIGMOID, v * (1.0f - v))
        VK_SLOPE(VK_TANH, (1.0f - v) * (1.0f + v))
        VK_GATE(VK_RELU, v <= 0.0f, 1.0f)
    }
}

#define VK_LOSS(code, expression)                    \
    case code: {                                     \
        VK_LOOP {                                    \
            float v = x[i], y = t[i], d = v - y;     \
            (void)d;                                 \
            out[i] = (expression);                   \
        }                                            \
        break;                                       \
    }

static void loss(int op, const float *x, const float *t, float *out, int64_t n, float a) {
    switch (op) {
        VK_LOSS(VK_LOSS_BCE_LOGITS, (v > 0.0f ? v : 0.0f) - v * y + log1p_unit(exp_f(-absolute(v))))
        VK_LOSS(VK_LOSS_SQUARED, d * d)
        VK_LOSS(VK_LOSS_ABSOLUTE, absolute(d))
        VK_LOSS(VK_LOSS_HUBER, absolute(d) <= a ? 0.5f * d * d : a * (absolute(d) - 0.5f * a))
    }
}

#define VK_LOSS_SLOPE(code, expression)                \
    case code: {                                       \
        if (g) {                                       \
            VK_LOOP {                                  \
                float v = x[i], y = t[i], d = v - y;   \
                (void)d;                               \
                out[i] = g[i] * (expression);          \
            }                                          \
        } else {                                       \
            VK_LOOP {                                  \
                float v = x[i], y = t[i], d = v - y;   \
                (void)d;                               \
                out[i] = (expression);                 \
            }                                          \
        }                                              \
        break;                                         \
    }

static void loss_gradient(
    int op, const float *x, const float *t, const float *g, float *out, int64_t n, float a) {
    switch (op) {
        VK_LOSS_SLOPE(VK_LOSS_BCE_LOGITS, sigmoid_f(v) - y)
        VK_LOSS_SLOPE(VK_LOSS_SQUARED, 2.0f * d)
        VK_LOSS_SLOPE(VK_LOSS_ABSOLUTE, signum(d))
        VK_LOSS_SLOPE(VK_LOSS_HUBER, clamp(d, -a, a))
    }
}

static void add_scaled(const float *x, float *y, float scale, int64_t n) {
    VK_LOOP y[i] += scale * x[i];
}

// Functions of two operands over a rows x columns block; a column stride of 0 or 1 gets a loop of its own.

#define VK_BLOCK(element, result, expression)                                               \
    for (int64_t r = 0; r < block.rows; r++) {                                              \
        const element *pa = a + r * block.a_row, *pb = b + r * block.b_row;                 \
        result *po = out + r * block.columns;                                               \
        int64_t n = block.columns, sa = block.a_column, sb = block.b_column;                \
        if (sa == 1 && sb == 1) {                                                           \
            VK_LOOP {                                                                       \
                element u = pa[i], v = pb[i];                                               \
                po[i] = (expression);                                                       \
            }                                                                               \
        } else if (sa == 1 && sb == 0) {                                                    \
            element v = pb[0];                                                              \
            VK_LOOP {                                                                       \
                element u = pa[i];                                                          \
                po[i] = (expression);                                                       \
            }                                                                               \
        } else if (sa == 0 && sb == 1) {                                                    \
            element u = pa[0];                                                              \
            VK_LOOP {                                                                       \
                element v = pb[i];                                                          \
                po[i] = (expression);                                                       \
            }                                                                               \
        } else {                                                                            \
            for (int64_t i = 0; i < n; i++) {                                               \
                element u = pa[i * sa], v = pb[i * sb];                                     \
                po[i] = (expression);                                                       \
            }                                                                               \
        }                                                                                   \
    }                                                                                       \
    break;

#define VK_BLOCK_LIBM(element, result, expression)                                          \
    for (int64_t r = 0; r < block.rows; r++) {                                              \
        const element *pa = a + r * block.a_row, *pb = b + r * block.b_row;                 \
        result *po = out + r * block.columns;                                               \
        for (int64_t i = 0; i < block.columns; i++) {                                       \
            element u = pa[i * block.a_column], v = pb[i * block.b_column];                 \
            po[i] = (expression);                                                           \
        }                                                                                   \
    }                                                                                       \
    break;

/// fmodf moved to the sign of the divisor.
VK_INLINE float floored_mod(float u, float v) {
    float m = fmodf(u, v);
    return m != 0.0f && (m < 0.0f) != (v < 0.0f) ? m + v : m;
}

/// One row of powers with a common exponent; false if the exponent has no short form.
static int power_row(const float *x, int64_t stride, float exponent, float *out, int64_t n) {
    if (stride != 1) return 0;
    if (exponent == 2.0f) {
        VK_LOOP out[i] = x[i] * x[i];
    } else if (exponent == 3.0f) {
        VK_LOOP out[i] = x[i] * x[i] * x[i];
    } else if (exponent == 0.5f) {
        // pow(-inf, 0.5) is +inf and pow(-0, 0.5) is +0, unlike the square root.
        VK_LOOP out[i] = x[i] == -__builtin_inff() ? __builtin_inff() : square_root(x[i] + 0.0f);
    } else if (exponent == 1.0f) {
        VK_LOOP out[i] = x[i];
    } else if (exponent == -1.0f) {
        VK_LOOP out[i] = 1.0f / x[i];
    } else {
        return 0;
    }
    return 1;
}

static void power_f32(const float *a, const float *b, float *out, vk_block block) {
    for (int64_t r = 0; r < block.rows; r++) {
        const float *pa = a + r * block.a_row, *pb = b + r * block.b_row;
        float *po = out + r * block.columns;
        if (block.b_column == 0 && power_row(pa, block.a_column, pb[0], po, block.columns)) continue;
        for (int64_t i = 0; i < block.columns; i++) po[i] = powf(pa[i * block.a_column], pb[i * block.b_column]);
    }
}

static void binary_f32(int op, const float *a, const float *b, float *out, vk_block block) {
    switch (op) {
        case VK_ADD: VK_BLOCK(float, float, u + v)
        case VK_SUB: VK_BLOCK(float, float, u - v)
        case VK_MUL: VK_BLOCK(float, float, u * v)
        case VK_DIV: VK_BLOCK(float, float, u / v)
        case VK_POW: power_f32(a, b, out, block); break;
        // A NaN on either side is the result.
        case VK_MIN: VK_BLOCK(float, float, u != u ? u : (u < v ? u : v))
        case VK_MAX: VK_BLOCK(float, float, u != u ? u : (u > v ? u : v))
        case VK_MOD: VK_BLOCK_LIBM(float, float, floored_mod(u, v))
        case VK_FMOD: VK_BLOCK_LIBM(float, float, fmodf(u, v))
        case VK_PRELU: VK_BLOCK(float, float, u > 0.0f ? u : u * v)
    }
}

// Integer arithmetic wraps, and a division by zero gives 0: neither may stop the process.
VK_INLINE int64_t wrapped_add(int64_t u, int64_t v) { return (int64_t)((uint64_t)u + (uint64_t)v); }
VK_INLINE int64_t wrapped_sub(int64_t u, int64_t v) { return (int64_t)((uint64_t)u - (uint64_t)v); }
VK_INLINE int64_t wrapped_mul(int64_t u, int64_t v) { return (int64_t)((uint64_t)u * (uint64_t)v); }

VK_INLINE int64_t quotient(int64_t u, int64_t v) {
    return v == 0 ? 0 : v == -1 ? wrapped_sub(0, u) : u / v;
}

VK_INLINE int64_t truncated_mod(int64_t u, int64_t v) { return v == 0 || v == -1 ? 0 : u % v; }

VK_INLINE int64_t floored_mod_i64(int64_t u, int64_t v) {
    int64_t m = truncated_mod(u, v);
    return m != 0 && (m < 0) != (v < 0) ? m + v : m;
}

static int64_t power_i64(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    int64_t result = 1;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) result = wrapped_mul(result, base);
        base = wrapped_mul(base, base);
    }
    return result;
}

static void binary_i64(int op, const int64_t *a, const int64_t *b, int64_t *out, vk_block block) {
    switch (op) {
        case VK_ADD: VK_BLOCK(int64_t, int64_t, wrapped_add(u, v))
        case VK_SUB: VK_BLOCK(int64_t, int64_t, wrapped_sub(u, v))
        case VK_MUL: VK_BLOCK(int64_t, int64_t, wrapped_mul(u, v))
        case VK_DIV: VK_BLOCK_LIBM(int64_t, int64_t, quotient(u, v))
        case VK_POW: VK_BLOCK_LIBM(int64_t, int64_t, power_i64(u, v))
        case VK_MIN: VK_BLOCK(int64_t, int64_t, u < v ? u : v)
        case VK_MAX: VK_BLOCK(int64_t, int64_t, u > v ? u : v)
        case VK_MOD: VK_BLOCK_LIBM(int64_t, int64_t, floored_mod_i64(u, v))
        case VK_FMOD: VK_BLOCK_LIBM(int64_t, int64_t, truncated_mod(u, v))
        case VK_PRELU: VK_BLOCK_LIBM(int64_t, int64_t, u > 0 ? u : wrapped_mul(u, v))
    }
}

#define VK_COMPARISON(suffix, element)                                                                  \
    static void compare_##suffix(int op, const element *a, const element *b, uint8_t *out, vk_block block) { \
        switch (op) {                                                                                   \
            case VK_EQUAL: VK_BLOCK(element, uint8_t, u == v)                                           \
            case VK_LESS: VK_BLOCK(element, uint8_t, u < v)                                             \
            case VK_LESS_EQUAL: VK_BLOCK(element, uint8_t, u <= v)                                      \
            case VK_GREATER: VK_BLOCK(element, uint8_t, u > v)                                          \
            case VK_GREATER_EQUAL: VK_BLOCK(element, uint8_t, u >= v)                                   \
        }                                                                                               \
    }

VK_COMPARISON(f32, float)
VK_COMPARISON(i64, int64_t)
VK_COMPARISON(u8, uint8_t)

static void logical(int op, const uint8_t *a, const uint8_t *b, uint8_t *out, vk_block block) {
    switch (op) {
        case VK_AND: VK_BLOCK(uint8_t, uint8_t, (u != 0) & (v != 0))
        case VK_OR: VK_BLOCK(uint8_t, uint8_t, (u != 0) | (v != 0))
        case VK_XOR: VK_BLOCK(uint8_t, uint8_t, (u != 0) ^ (v != 0))
    }
}

static void logical_not(const uint8_t *a, uint8_t *out, int64_t n) {
    VK_LOOP out[i] = a[i] == 0;
}

#define VK_SELECT(element)                                                                          \
    static void select_##element(const uint8_t *condition, int64_t condition_row, int64_t sc,       \
                                 const element *a, const element *b, element *out, vk_block block) { \
        int64_t n = block.columns, sa = block.a_column, sb = block.b_column;                        \
        for (int64_t r = 0; r < block.rows; r++) {                                                  \
            const uint8_t *pc = condition + r * condition_row;                                      \
            const element *pa = a + r * block.a_row, *pb = b + r * block.b_row;                     \
            element *po = out + r * n;                                                              \
            if (sc == 1 && sa == 1 && sb == 1) {                                                    \
                VK_LOOP {                                                                           \
                    element u = pa[i], v = pb[i];                                                   \
                    po[i] = pc[i] ? u : v;                                                          \
                }                                                                                   \
            } else if (sc == 1 && sa == 0 && sb == 1) {                                             \
                element u = pa[0];                                                                  \
                VK_LOOP {                                                                           \
                    element v = pb[i];                                                              \
                    po[i] = pc[i] ? u : v;                                                          \
                }                                                                                   \
            } else if (sc == 1 && sa == 1 && sb == 0) {                                             \
                element v = pb[0];                                                                  \
                VK_LOOP {                                                                           \
                    element u = pa[i];                                                              \
                    po[i] = pc[i] ? u : v;                                                          \
                }                                                                                   \
            } else {                                                                                \
                for (int64_t i = 0; i < n; i++) po[i] = pc[i * sc] ? pa[i * sa] : pb[i * sb];       \
            }                                                                                       \
        }                                                                                           \
    }

VK_SELECT(uint8_t)
VK_SELECT(uint32_t)
VK_SELECT(uint64_t)

static void select_any(int size, const uint8_t *condition, int64_t condition_row, int64_t condition_column,
                       const void *a, const void *b, void *out, vk_block block) {
    switch (size) {
        case 1: select_uint8_t(condition, condition_row, condition_column, a, b, out, block); break;
        case 4: select_uint32_t(condition, condition_row, condition_column, a, b, out, block); break;
        case 8: select_uint64_t(condition, condition_row, condition_column, a, b, out, block); break;
    }
}

// Transposes in tiles and rounding to the shorter float formats.

#define VK_TRANSPOSE(element, tile)                                                                     \
    static void transpose_##element(const element *x, int64_t xs, element *out, int64_t os, int64_t rows, \
                                    int64_t columns) {                                                  \
        for (int64_t r0 = 0; r0 < rows; r0 += tile) {                                                   \
            int64_t r1 = r0 + tile < rows ? r0 + tile : rows;                                           \
            for (int64_t c0 = 0; c0 < columns; c0 += tile) {                                            \
                int64_t c1 = c0 + tile < columns ? c0 + tile : columns;                                 \
                for (int64_t c = c0; c < c1; c++) {                                                     \
                    for (int64_t r = r0; r < r1; r++) out[c * os + r] = x[r * xs + c];                  \
                }                                                                                       \
            }                                                                                           \
        }                                                                                               \
    }

VK_TRANSPOSE(uint8_t, 32)
VK_TRANSPOSE(uint32_t, 16)
VK_TRANSPOSE(uint64_t, 8)

static void transpose(int size, const void *x, int64_t x_stride, void *out, int64_t out_stride, int64_t rows,
                      int64_t columns) {
    switch (size) {
        case 1: transpose_uint8_t(x, x_stride, out, out_stride, rows, columns); break;
        case 4: transpose_uint32_t(x, x_stride, out, out_stride, rows, columns); break;
        case 8: transpose_uint64_t(x, x_stride, out, out_stride, rows, columns); break;
    }
}

static void round_bfloat16(const float *x, float *out, int64_t n) {
    VK_LOOP {
        uint32_t u = bits_of(x[i]);
        uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
        out[i] = x[i] == x[i] ? float_of(rounded) : x[i];
    }
}

static void round_float16(const float *x, float *out, int64_t n) {
    VK_LOOP {
        float t = absolute(x[i]);
        uint32_t u = bits_of(t);
        // Normal halves keep 10 mantissa bits; below 2^-14 the grid is 2^-24, which adding 1/2 exposes.
        float normal = float_of((u + 0x0fffu + ((u >> 13) & 1u)) & 0xffffe000u);
        float subnormal = (t + 0.5f) - 0.5f;
        float y = t < 6.10351562e-05f ? subnormal : normal;
        y = t >= 65520.0f ? __builtin_inff() : y;
        out[i] = t == t ? with_sign(y, x[i]) : x[i];
    }
}

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
VK_TRANSPOSE(uint64_t, 8)

typedef float vk_square __attribute__((vector_size(32)));
typedef float vk_square_unaligned __attribute__((vector_size(32), aligned(4)));

/// Transposes eight rows of eight floats in registers: pairs, pairs of pairs, halves.
VK_INLINE void transpose_square(const float *x, int64_t xs, float *out, int64_t os) {
    vk_square r[8], s[8];
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) r[i] = *(const vk_square_unaligned *)(x + i * xs);
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            r[i + j] = __builtin_shufflevector(s[i + j], s[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            r[i + j + 2] = __builtin_shufflevector(s[i + j], s[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
        *(vk_square_unaligned *)(out + j * os) = __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(vk_square_unaligned *)(out + (j + 4) * os) =
            __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/// In blocks that lie within a few pages on either side.
static void transpose_floats(const float *x, int64_t xs, float *out, int64_t os, int64_t rows, int64_t columns) {
    int64_t squares = rows / 8 * 8, end = columns / 8 * 8;
    for (int64_t r0 = 0; r0 < squares; r0 += 16) {
        int64_t r1 = r0 + 16 < squares ? r0 + 16 : squares;
        for (int64_t c = 0; c < end; c += 8) {
            for (int64_t r = r0; r < r1; r += 8) transpose_square(x + r * xs + c, xs, out + c * os + r, os);
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = c < end ? squares : 0; r < rows; r++) out[c * os + r] = x[r * xs + c];
    }
}

static void transpose(int size, const void *x, int64_t x_stride, void *out, int64_t out_stride, int64_t rows,
                      int64_t columns) {
    switch (size) {
        case 1: transpose_uint8_t(x, x_stride, out, out_stride, rows, columns); break;
        case 4: transpose_floats(x, x_stride, out, out_stride, rows, columns); break;
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

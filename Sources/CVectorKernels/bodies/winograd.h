// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016): 16 outputs of a 3x3 kernel from 36 multiplications.
//
// The interpolation points are 0, 2/3, -2/3, 3/2, -3/2 and infinity: symmetric, so that sums are shared, and of
// product one, which keeps the rounding near that of direct summation (a third of that of 0, 1, -1, 2, -2).

/// The same element of eight tiles or kernels.
typedef float vk_eight __attribute__((vector_size(32)));
typedef float vk_eight_unaligned __attribute__((vector_size(32), aligned(4)));
typedef float vk_four_unaligned __attribute__((vector_size(16), aligned(4)));

#define VK_W_A (2.0f / 3.0f)
#define VK_W_B 1.5f
#define VK_W_A2 (4.0f / 9.0f)
#define VK_W_B2 2.25f
/// a^2 + b^2
#define VK_W_S (97.0f / 36.0f)

/// Transforms six vectors, `s` apart in x, into six, `t` apart in out: B^T x.
#define VK_W_INPUT(x, s, out, t)                                                      \
    {                                                                                 \
        vk_eight x0 = (x)[0], x1 = (x)[s], x2 = (x)[2 * (s)], x3 = (x)[3 * (s)],         \
              x4 = (x)[4 * (s)], x5 = (x)[5 * (s)];                                   \
        vk_eight even_a = x4 - VK_W_B2 * x2, odd_a = VK_W_A * x3 - (VK_W_A * VK_W_B2) * x1; \
        vk_eight even_b = x4 - VK_W_A2 * x2, odd_b = VK_W_B * x3 - (VK_W_B * VK_W_A2) * x1; \
        (out)[0] = x0 - VK_W_S * x2 + x4;                                             \
        (out)[t] = even_a + odd_a;                                                    \
        (out)[2 * (t)] = even_a - odd_a;                                              \
        (out)[3 * (t)] = even_b + odd_b;                                              \
        (out)[4 * (t)] = even_b - odd_b;                                              \
        (out)[5 * (t)] = x1 - VK_W_S * x3 + x5;                                       \
    }

/// Transforms six vectors into four: A^T x.
#define VK_W_OUTPUT(x, s, out, t)                                                     \
    {                                                                                 \
        vk_eight sum_a = (x)[s] + (x)[2 * (s)], difference_a = (x)[s] - (x)[2 * (s)];    \
        vk_eight sum_b = (x)[3 * (s)] + (x)[4 * (s)], difference_b = (x)[3 * (s)] - (x)[4 * (s)]; \
        (out)[0] = (x)[0] + sum_a + sum_b;                                            \
        (out)[t] = VK_W_A * difference_a + VK_W_B * difference_b;                     \
        (out)[2 * (t)] = VK_W_A2 * sum_a + VK_W_B2 * sum_b;                           \
        (out)[3 * (t)] = (VK_W_A * VK_W_A2) * difference_a + (VK_W_B * VK_W_B2) * difference_b + (x)[5 * (s)]; \
    }

/// Transforms three vectors into six: G x.
#define VK_W_WEIGHT(x0, x1, x2, out, t)                                               \
    {                                                                                 \
        const float fa = 0.5f / (VK_W_A2 * (VK_W_A2 - VK_W_B2)), fb = 0.5f / (VK_W_B2 * (VK_W_B2 - VK_W_A2)); \
        vk_eight even_a = ((x0) + VK_W_A2 * (x2)) * fa, odd_a = (VK_W_A * fa) * (x1);    \
        vk_eight even_b = ((x0) + VK_W_B2 * (x2)) * fb, odd_b = (VK_W_B * fb) * (x1);    \
        (out)[0] = (x0);                                                              \
        (out)[t] = even_a + odd_a;                                                    \
        (out)[2 * (t)] = even_a - odd_a;                                              \
        (out)[3 * (t)] = even_b + odd_b;                                              \
        (out)[4 * (t)] = even_b - odd_b;                                              \
        (out)[5 * (t)] = (x2);                                                        \
    }

/// Transforms four vectors into six: A x, the adjoint of the output's transform.
#define VK_W_OUTPUT_ADJOINT(x, s, out, t)                                             \
    {                                                                                 \
        vk_eight x0 = (x)[0], x1 = (x)[s], x2 = (x)[2 * (s)], x3 = (x)[3 * (s)];      \
        vk_eight even_a = x0 + VK_W_A2 * x2, odd_a = VK_W_A * x1 + (VK_W_A * VK_W_A2) * x3; \
        vk_eight even_b = x0 + VK_W_B2 * x2, odd_b = VK_W_B * x1 + (VK_W_B * VK_W_B2) * x3; \
        (out)[0] = x0;                                                                \
        (out)[t] = even_a + odd_a;                                                    \
        (out)[2 * (t)] = even_a - odd_a;                                              \
        (out)[3 * (t)] = even_b + odd_b;                                              \
        (out)[4 * (t)] = even_b - odd_b;                                              \
        (out)[5 * (t)] = x3;                                                          \
    }

/// Transforms six vectors into three: G^T x, the adjoint of the kernel's transform.
#define VK_W_WEIGHT_ADJOINT(x, s, out, t)                                             \
    {                                                                                 \
        const float fa = 0.5f / (VK_W_A2 * (VK_W_A2 - VK_W_B2)), fb = 0.5f / (VK_W_B2 * (VK_W_B2 - VK_W_A2)); \
        vk_eight sum_a = fa * ((x)[s] + (x)[2 * (s)]), difference_a = fa * ((x)[s] - (x)[2 * (s)]); \
        vk_eight sum_b = fb * ((x)[3 * (s)] + (x)[4 * (s)]), difference_b = fb * ((x)[3 * (s)] - (x)[4 * (s)]); \
        (out)[0] = (x)[0] + sum_a + sum_b;                                            \
        (out)[t] = VK_W_A * difference_a + VK_W_B * difference_b;                     \
        (out)[2 * (t)] = VK_W_A2 * sum_a + VK_W_B2 * sum_b + (x)[5 * (s)];            \
    }

/// Tiles or kernels transformed at a time.
#define VK_W_LANES 8

/// Interleaves the halves of a and b four lanes at a time: the first pairs of each half, or the last.
#define VK_W_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define VK_W_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define VK_W_FIRST(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define VK_W_SECOND(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define VK_W_LOWER(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define VK_W_UPPER(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/// columns[c] = lane c of each of the eight rows, for the first six lanes.
static inline __attribute__((always_inline)) void winograd_transpose(const vk_eight *rows, vk_eight *columns) {
    vk_eight a0 = VK_W_LOW(rows[0], rows[1]), a1 = VK_W_HIGH(rows[0], rows[1]);
    vk_eight a2 = VK_W_LOW(rows[2], rows[3]), a3 = VK_W_HIGH(rows[2], rows[3]);
    vk_eight a4 = VK_W_LOW(rows[4], rows[5]), a5 = VK_W_HIGH(rows[4], rows[5]);
    vk_eight a6 = VK_W_LOW(rows[6], rows[7]), a7 = VK_W_HIGH(rows[6], rows[7]);
    vk_eight b0 = VK_W_FIRST(a0, a2), b1 = VK_W_SECOND(a0, a2), b2 = VK_W_FIRST(a1, a3), b3 = VK_W_SECOND(a1, a3);
    vk_eight b4 = VK_W_FIRST(a4, a6), b5 = VK_W_SECOND(a4, a6), b6 = VK_W_FIRST(a5, a7), b7 = VK_W_SECOND(a5, a7);
    columns[0] = VK_W_LOWER(b0, b4);
    columns[1] = VK_W_LOWER(b1, b5);
    columns[2] = VK_W_LOWER(b2, b6);
    columns[3] = VK_W_LOWER(b3, b7);
    columns[4] = VK_W_UPPER(b0, b4);
    columns[5] = VK_W_UPPER(b1, b5);
}

/// Stores up to eight lanes.
static inline __attribute__((always_inline)) void winograd_store(float *out, const vk_eight *value, int64_t count) {
    if (count == VK_W_LANES) {
        *(vk_eight_unaligned *)out = *value;
    } else {
        for (int64_t i = 0; i < count; i++) out[i] = (*value)[i];
    }
}

static void winograd_weights(const float *w, int64_t stride, int flipped, float *out, int64_t plane, int64_t n) {
    for (int64_t first = 0; first < n; first += VK_W_LANES) {
        int64_t count = n - first < VK_W_LANES ? n - first : VK_W_LANES;
        vk_eight kernel[9] = {{0}}, half[18], whole[36];
        for (int64_t i = 0; i < count; i++) {
            const float *source = w + (first + i) * stride;
            for (int k = 0; k < 9; k++) kernel[k][i] = source[flipped ? 8 - k : k];
        }
        for (int column = 0; column < 3; column++) {
            VK_W_WEIGHT(kernel[column], kernel[3 + column], kernel[6 + column], half + column, 3)
        }
        for (int row = 0; row < 6; row++) {
            VK_W_WEIGHT(half[3 * row], half[3 * row + 1], half[3 * row + 2], whole + 6 * row, 1)
        }
        for (int k = 0; k < 36; k++) winograd_store(out + k * plane + first, whole + k, count);
    }
}

/// Where a tile's rows can be read eight floats at a time, and how far apart they are: in x itself, or, for a tile at
/// the border, in `cut`.
static inline __attribute__((always_inline)) const float *winograd_rows(const float *x, int64_t height, int64_t width,
                                                                        vk_tile tile, float *cut, int64_t *step) {
    const float *source = x + tile.offset + tile.y * width + tile.x;
    // The last row is read two floats further than the tile goes.
    if (tile.y >= 0 && tile.x >= 0 && tile.y + 6 <= height && tile.x + 8 <= width) {
        *step = width;
        return source;
    }
    int64_t top = tile.y < 0 ? -tile.y : 0, left = tile.x < 0 ? -tile.x : 0;
    int64_t bottom = height - tile.y < 6 ? height - tile.y : 6, right = width - tile.x < 6 ? width - tile.x : 6;
    memset(cut, 0, 48 * sizeof *cut);
    for (int64_t row = top; row < bottom; row++) {
        const float *from = source + row * width;
        float *to = cut + 8 * row;
        if (right - left >= 4) {
            // Four from either end: they may overlap.
            memcpy(to + left, from + left, 16);
            memcpy(to + right - 4, from + right - 4, 16);
        } else {
            for (int64_t column = left; column < right; column++) to[column] = from[column];
        }
    }
    *step = 8;
    return cut;
}

static void winograd_input(const float *x, int64_t height, int64_t width, const vk_tile *tiles, int64_t n, float *out,
                           int64_t plane) {
    float cut[VK_W_LANES][48];
    for (int64_t first = 0; first < n; first += VK_W_LANES) {
        int64_t count = n - first < VK_W_LANES ? n - first : VK_W_LANES;
        const float *sources[VK_W_LANES];
        int64_t steps[VK_W_LANES];
        // Missing tiles repeat the last one.
        for (int64_t i = 0; i < VK_W_LANES; i++) {
            vk_tile tile = tiles[first + (i < count ? i : count - 1)];
            sources[i] = winograd_rows(x, height, width, tile, cut[i], steps + i);
        }
        vk_eight patch[36], half[36], whole[6];
        for (int row = 0; row < 6; row++) {
            vk_eight rows[VK_W_LANES];
            for (int i = 0; i < VK_W_LANES; i++) rows[i] = *(const vk_eight_unaligned *)(sources[i] + row * steps[i]);
            winograd_transpose(rows, patch + 6 * row);
        }
        for (int column = 0; column < 6; column++) VK_W_INPUT(patch + column, 6, half + column, 6)
        for (int row = 0; row < 6; row++) {
            VK_W_INPUT(half + 6 * row, 1, whole, 1)
            for (int k = 0; k < 6; k++) winograd_store(out + (6 * row + k) * plane + first, whole + k, count);
        }
    }
}

static void winograd_output(const float *x, int64_t plane, const vk_tile *tiles, int64_t n, float bias, float *out,
                            int64_t height, int64_t width) {
    for (int64_t first = 0; first < n; first += VK_W_LANES) {
        int64_t count = n - first < VK_W_LANES ? n - first : VK_W_LANES;
        vk_eight patch[36], half[24], whole[4];
        for (int k = 0; k < 36; k++) {
            const float *source = x + k * plane + first;
            if (count == VK_W_LANES) {
                patch[k] = *(const vk_eight_unaligned *)source;
            } else {
                for (int64_t i = 0; i < VK_W_LANES; i++) patch[k][i] = i < count ? source[i] : 0.0f;
            }
        }
        for (int column = 0; column < 6; column++) VK_W_OUTPUT(patch + column, 6, half + column, 6)
        float rows[4][VK_W_LANES][4];
        for (int row = 0; row < 4; row++) {
            VK_W_OUTPUT(half + 6 * row, 1, whole, 1)
            for (int k = 0; k < 4; k++) whole[k] += bias;
            vk_eight a = VK_W_LOW(whole[0], whole[1]), b = VK_W_HIGH(whole[0], whole[1]);
            vk_eight c = VK_W_LOW(whole[2], whole[3]), d = VK_W_HIGH(whole[2], whole[3]);
            vk_eight pairs[4] = {VK_W_FIRST(a, c), VK_W_SECOND(a, c), VK_W_FIRST(b, d), VK_W_SECOND(b, d)};
            for (int k = 0; k < 4; k++) {
                memcpy(rows[row][k], &pairs[k], 16);
                memcpy(rows[row][k + 4], (const char *)&pairs[k] + 16, 16);
            }
        }
        for (int64_t i = 0; i < count; i++) {
            vk_tile tile = tiles[first + i];
            float *target = out + tile.offset + tile.y * width + tile.x;
            int64_t height_left = height - tile.y, columns = width - tile.x < 4 ? width - tile.x : 4;
            for (int64_t row = 0; row < 4 && row < height_left; row++) {
                if (columns == 4) {
                    *(vk_four_unaligned *)(target + row * width) = *(const vk_four_unaligned *)rows[row][i];
                } else {
                    for (int64_t column = 0; column < columns; column++) target[row * width + column] = rows[row][i][column];
                }
            }
        }
    }
}

static void winograd_output_adjoint(const float *g, int64_t height, int64_t width, const vk_tile *tiles, int64_t n,
                                    float *out, int64_t plane) {
    for (int64_t first = 0; first < n; first += VK_W_LANES) {
        int64_t count = n - first < VK_W_LANES ? n - first : VK_W_LANES;
        vk_eight patch[16] = {{0}}, half[24], whole[6];
        for (int64_t i = 0; i < count; i++) {
            vk_tile tile = tiles[first + i];
            const float *source = g + tile.offset + tile.y * width + tile.x;
            int64_t rows = height - tile.y < 4 ? height - tile.y : 4, columns = width - tile.x < 4 ? width - tile.x : 4;
            for (int64_t row = 0; row < rows; row++) {
                for (int64_t column = 0; column < columns; column++) {
                    patch[4 * row + column][i] = source[row * width + column];
                }
            }
        }
        for (int column = 0; column < 4; column++) VK_W_OUTPUT_ADJOINT(patch + column, 4, half + column, 4)
        for (int row = 0; row < 6; row++) {
            VK_W_OUTPUT_ADJOINT(half + 4 * row, 1, whole, 1)
            for (int k = 0; k < 6; k++) winograd_store(out + (6 * row + k) * plane + first, whole + k, count);
        }
    }
}

static void winograd_weights_adjoint(const float *x, int64_t plane, float *out, int64_t n) {
    for (int64_t first = 0; first < n; first += VK_W_LANES) {
        int64_t count = n - first < VK_W_LANES ? n - first : VK_W_LANES;
        vk_eight transformed[36], half[18], kernel[9];
        for (int k = 0; k < 36; k++) {
            const float *source = x + k * plane + first;
            if (count == VK_W_LANES) {
                transformed[k] = *(const vk_eight_unaligned *)source;
            } else {
                for (int64_t i = 0; i < VK_W_LANES; i++) transformed[k][i] = i < count ? source[i] : 0.0f;
            }
        }
        for (int column = 0; column < 6; column++) VK_W_WEIGHT_ADJOINT(transformed + column, 6, half + column, 6)
        for (int row = 0; row < 3; row++) VK_W_WEIGHT_ADJOINT(half + 6 * row, 1, kernel + 3 * row, 1)
        for (int64_t i = 0; i < count; i++) {
            for (int k = 0; k < 9; k++) out[(first + i) * 9 + k] = kernel[k][i];
        }
    }
}

// Products with a matrix that is packed once and used for many: the recurrent weights of every time step. The method is
// that of Goto & van de Geijn 2008: panels of B are read one after another, tiles of C are summed up in registers.

/// Floats of a register, and rows of a tile: twelve of sixteen registers hold sums, or twenty-four of thirty-two, which
/// leaves room for what is multiplied.
#ifndef VK_LANES
#define VK_LANES 8
#define VK_TILE_ROWS 6
#endif
/// A panel is as wide as two registers: what a tile reads of one row of B.
#define VK_PANEL (2 * VK_LANES)
/// Rows of a panel that are worked on at a time: they stay in the level-1 cache while the rows of A pass.
#define VK_PANEL_DEPTH 256

typedef float vk_lane __attribute__((vector_size(4 * VK_LANES)));
typedef float vk_lane_unaligned __attribute__((vector_size(4 * VK_LANES), aligned(4)));

/// `rows` rows of C by `vectors` registers of columns, of which `columns` are stored; A's elements lie a_row and a_column
/// apart. The counts are constants where this is inlined, so that the sums stay in registers.
VK_INLINE void tile_product(int rows, int vectors, const float *a, int64_t a_row, int64_t a_column, const float *b,
                            int64_t k, float *c, int64_t c_row, int64_t columns, int adds) {
    vk_lane sums[VK_TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = (vk_lane){0};
// Unrolled, the loads ahead would drive sums out of the registers.
#pragma clang loop unroll(disable)
    for (int64_t p = 0; p < k; p++) {
        vk_lane first = *(const vk_lane_unaligned *)(b + p * VK_PANEL), second = first;
        if (vectors == 2) second = *(const vk_lane_unaligned *)(b + p * VK_PANEL + VK_LANES);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            float factor = a[i * a_row + p * a_column];
            sums[i][0] += factor * first;
            if (vectors == 2) sums[i][1] += factor * second;
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        float *out = c + i * c_row;
        if (columns == vectors * VK_LANES) {
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                vk_lane_unaligned *part = (vk_lane_unaligned *)(out + v * VK_LANES);
                *part = adds ? *part + sums[i][v] : sums[i][v];
            }
        } else {
            float last[VK_PANEL];
            memcpy(last, sums[i], sizeof last);
            for (int64_t j = 0; j < columns; j++) out[j] = (adds ? out[j] : 0.0f) + last[j];
        }
    }
}

/// A tile of any size from A whose elements lie `a_row` and `a_column` apart.
#define VK_TILE_CASE(n, a_row, a_column)                                                                  \
    case n: tile_product(n, 2, a, a_row, a_column, b, k, c, c_row, columns, adds); break;                 \
    case -n: tile_product(n, 1, a, a_row, a_column, b, k, c, c_row, columns, adds); break;
#define VK_TILE_CASES_TO_6(a_row, a_column)                                                               \
    VK_TILE_CASE(1, a_row, a_column) VK_TILE_CASE(2, a_row, a_column) VK_TILE_CASE(3, a_row, a_column)    \
    VK_TILE_CASE(4, a_row, a_column) VK_TILE_CASE(5, a_row, a_column) VK_TILE_CASE(6, a_row, a_column)
#if VK_TILE_ROWS > 6
#define VK_TILE_CASES(a_row, a_column)                                                                    \
    VK_TILE_CASES_TO_6(a_row, a_column)                                                                   \
    VK_TILE_CASE(7, a_row, a_column) VK_TILE_CASE(8, a_row, a_column) VK_TILE_CASE(9, a_row, a_column)    \
    VK_TILE_CASE(10, a_row, a_column) VK_TILE_CASE(11, a_row, a_column) VK_TILE_CASE(12, a_row, a_column)
#else
#define VK_TILE_CASES VK_TILE_CASES_TO_6
#endif

static void tile(int64_t rows, const float *a, int64_t a_row, const float *b, int64_t k, float *c, int64_t c_row,
                 int64_t columns, int adds) {
    switch (columns > VK_LANES ? rows : -rows) { VK_TILE_CASES(a_row, 1) }
}

static void pack_panels(const float *b, int64_t b_row, int64_t b_column, int64_t k, int64_t n, float *packed) {
    for (int64_t first = 0; first < n; first += VK_PANEL) {
        int64_t columns = n - first < VK_PANEL ? n - first : VK_PANEL;
        const float *from = b + first * b_column;
        float *to = packed + first * k;
        if (columns < VK_PANEL) memset(to, 0, sizeof(float) * VK_PANEL * k);
        if (b_row == 1) {
            transpose_floats(from, b_column, to, VK_PANEL, columns, k);
        } else if (b_column == 1) {
            for (int64_t p = 0; p < k; p++) {
                for (int64_t j = 0; j < columns; j++) to[p * VK_PANEL + j] = from[p * b_row + j];
            }
        } else {
            for (int64_t p = 0; p < k; p++) {
                for (int64_t j = 0; j < columns; j++) to[p * VK_PANEL + j] = from[p * b_row + j * b_column];
            }
        }
    }
}

static void product_packed(const float *a, int64_t a_row, const float *packed, float *c, int64_t c_row, int64_t m,
                           int64_t n, int64_t k, int adds) {
    // Tiles are of even height: one of a single row would wait for its own sums.
    int64_t tiles = (m + VK_TILE_ROWS - 1) / VK_TILE_ROWS;
    for (int64_t from = 0; from < k; from += VK_PANEL_DEPTH) {
        int64_t depth = k - from < VK_PANEL_DEPTH ? k - from : VK_PANEL_DEPTH;
        for (int64_t first = 0; first < n; first += VK_PANEL) {
            int64_t columns = n - first < VK_PANEL ? n - first : VK_PANEL;
            for (int64_t index = 0; index < tiles; index++) {
                int64_t row = index * m / tiles, end = (index + 1) * m / tiles;
                tile(end - row, a + row * a_row + from, a_row, packed + first * k + from * VK_PANEL, depth,
                     c + row * c_row + first, c_row, columns, adds || from > 0);
            }
        }
    }
}

/// A tile of a Gram matrix: `a` points to its first row's entry in a panel.
static void gram_tile(int64_t rows, const float *a, const float *b, int64_t k, float *c, int64_t c_row,
                      int64_t columns, int adds) {
    switch (columns > VK_LANES ? rows : -rows) { VK_TILE_CASES(1, VK_PANEL) }
}

static void gram(const float *left, int64_t rows, const float *right, int64_t columns, int64_t k, float *out,
                 int64_t out_row, int upper, int adds) {
    // Vanishing gradients have products below the least normal number, at which the processor stops for a hundred cycles.
    uint32_t control = flush_denormals();
    for (int64_t first = 0; first < columns; first += VK_PANEL) {
        int64_t width = columns - first < VK_PANEL ? columns - first : VK_PANEL;
        int64_t end = upper && rows > first + width ? first + width : rows;
        for (int64_t top = 0; top < end; top += VK_PANEL) {
            int64_t height = end - top < VK_PANEL ? end - top : VK_PANEL;
            int64_t tiles = (height + VK_TILE_ROWS - 1) / VK_TILE_ROWS;
            for (int64_t index = 0; index < tiles; index++) {
                int64_t row = index * height / tiles, last = (index + 1) * height / tiles;
                gram_tile(last - row, left + top * k + row, right + first * k, k, out + (top + row) * out_row + first,
                          out_row, width, adds);
            }
        }
    }
    restore_denormals(control);
}

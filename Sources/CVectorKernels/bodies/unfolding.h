// The rows of an unfolded image (im2col) and back. Rows of small images are shorter than a register; where what follows
// is written later anyway, a whole register saves the loop.

typedef float vk_quarter __attribute__((vector_size(16), aligned(4)));

static void unfold(const float *plane, const int64_t *elements, int64_t element_count, const vk_stretch *rows,
                   int64_t row_count, int64_t positions, float *columns, int64_t stride) {
    for (int64_t e = 0; e < element_count; e++) {
        float *out = columns + e * stride;
        int64_t left = positions;
        for (int64_t r = 0; r < row_count; r++) {
            const float *in = plane + elements[e] + rows[r].offset;
            int64_t n = rows[r].count, i = 0;
            for (; i < n && left - i >= VK_LANES; i += VK_LANES) {
                *(vk_lane_unaligned *)(out + i) = *(const vk_lane_unaligned *)(in + i);
            }
            for (; i < n; i++) out[i] = in[i];
            out += n;
            left -= n;
        }
    }
}

static void fold_add(const float *columns, int64_t stride, const int64_t *elements, int64_t element_count,
                     const vk_stretch *rows, int64_t row_count, float *plane) {
    for (int64_t e = 0; e < element_count; e++) {
        const float *in = columns + e * stride;
        for (int64_t r = 0; r < row_count; r++) {
            float *out = plane + elements[e] + rows[r].offset;
            int64_t n = rows[r].count;
            int64_t i = 0;
            for (; i + VK_LANES <= n; i += VK_LANES) {
                *(vk_lane_unaligned *)(out + i) += *(const vk_lane_unaligned *)(in + i);
            }
            for (; i + 4 <= n; i += 4) *(vk_quarter *)(out + i) += *(const vk_quarter *)(in + i);
            for (; i < n; i++) out[i] += in[i];
            in += n;
        }
    }
}

// The largest entries of windows that lie side by side.

/// `lanes` windows, whose first entries lie `step` apart. The best so far and its tap stay in registers.
VK_INLINE void max_lanes(const float *x, int64_t step, const int32_t *taps, const int32_t *marks, int64_t count,
                         float *out, int32_t *winners, int lanes) {
    float best[16];
    int32_t winner[16];
    for (int j = 0; j < lanes; j++) {
        best[j] = x[taps[0] + j * step];
        winner[j] = marks[0];
    }
    for (int64_t t = 1; t < count; t++) {
        const float *values = x + taps[t];
        int32_t mark = marks[t];
        for (int j = 0; j < lanes; j++) {
            float v = values[j * step];
            int wins = v > best[j] || v != v;
            best[j] = wins ? v : best[j];
            winner[j] = wins ? mark : winner[j];
        }
    }
    for (int j = 0; j < lanes; j++) {
        out[j] = best[j];
        winners[j] = winner[j];
    }
}

VK_INLINE void max_windows_by(const float *x, int64_t step, const int32_t *taps, const int32_t *marks, int64_t count,
                              float *out, int32_t *winners, int64_t n) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) max_lanes(x + i * step, step, taps, marks, count, out + i, winners + i, 16);
    if (i + 8 <= n) {
        max_lanes(x + i * step, step, taps, marks, count, out + i, winners + i, 8);
        i += 8;
    }
    if (i + 4 <= n) {
        max_lanes(x + i * step, step, taps, marks, count, out + i, winners + i, 4);
        i += 4;
    }
    for (; i < n; i++) max_lanes(x + i * step, step, taps, marks, count, out + i, winners + i, 1);
}

static void max_windows(const float *x, int64_t step, const int32_t *taps, const int32_t *marks, int64_t count,
                        float *out, int32_t *winners, int64_t n) {
    // Loads at a distance that is known are shuffles, others are gathered.
    if (step == 1) {
        max_windows_by(x, 1, taps, marks, count, out, winners, n);
    } else if (step == 2) {
        max_windows_by(x, 2, taps, marks, count, out, winners, n);
    } else {
        max_windows_by(x, step, taps, marks, count, out, winners, n);
    }
}

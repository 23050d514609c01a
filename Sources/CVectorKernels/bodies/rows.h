// Softmax, normalisation and cross-entropy over rows, and over columns where the axis is not the last one.

#define VK_TILE 128 // columns worked on at a time where the axis is not the last one

VK_INLINE float row_maximum(const float *x, int64_t n) {
    double m = -(double)__builtin_inff();
    reduce_row(VK_MAXIMUM, x, n, &m, 0.0f);
    return (float)m;
}

/// out = exp(x - m) where asked for, and its sum.
static float exponentials(const float *x, float *out, int64_t n, float m) {
    VK_REORDER
    float sum = 0.0f;
    double total = 0.0;
    // Short float sums into one double: as fast as floats and as good as doubles.
    for (int64_t start = 0; start < n; start += 512) {
        int64_t end = start + 512 < n ? start + 512 : n;
        sum = 0.0f;
        if (out) {
#pragma clang loop vectorize(assume_safety)
            for (int64_t i = start; i < end; i++) {
                float e = exp_f(x[i] - m);
                out[i] = e;
                sum += e;
            }
        } else {
            for (int64_t i = start; i < end; i++) sum += exp_f(x[i] - m);
        }
        total += (double)sum;
    }
    return (float)total;
}

static void softmax(const float *x, float *out, int64_t rows, int64_t n, int log) {
    for (int64_t r = 0; r < rows; r++, x += n, out += n) {
        float m = row_maximum(x, n);
        if (log) {
            float shift = logf(exponentials(x, NULL, n, m));
            VK_LOOP out[i] = (x[i] - m) - shift;
        } else {
            float scale = 1.0f / exponentials(x, out, n, m);
            VK_LOOP out[i] *= scale;
        }
    }
}

/// sum of a[i] (and of a[i] * b[i] where b is given), in double.
static double dot(const float *a, const float *b, int64_t n) {
    VK_REORDER
    double s = 0.0;
    if (b) {
        for (int64_t i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
    } else {
        for (int64_t i = 0; i < n; i++) s += (double)a[i];
    }
    return s;
}

static int is_zero(const float *g, int64_t n, int64_t stride) {
    for (int64_t i = 0; i < n; i++) {
        if (g[i * stride] != 0.0f) return 0;
    }
    return 1;
}

/// A row that was masked throughout is NaN, but where the graph replaces it no gradient comes back, and none goes on.
static void softmax_gradient(const float *y, const float *g, float *out, int64_t rows, int64_t n, int log) {
    for (int64_t r = 0; r < rows; r++, y += n, g += n, out += n) {
        if (log) {
            float s = (float)dot(g, NULL, n);
            VK_LOOP out[i] = g[i] - exp_f(y[i]) * s;
        } else {
            float s = (float)dot(g, y, n);
            if (s != s && is_zero(g, n, 1)) {
                VK_LOOP out[i] = 0.0f;
                continue;
            }
            VK_LOOP out[i] = y[i] * (g[i] - s);
        }
    }
}

/// Column maxima and sums of exponentials of an [n, columns] section, columns <= VK_TILE.
static void column_statistics(const float *x, int64_t classes, int64_t n, int64_t stride, float *maxima, float *sums) {
    double wide[VK_TILE];
    VK_LOOP wide[i] = -(double)__builtin_inff();
    reduce_columns(VK_MAXIMUM, x, classes, n, stride, wide, NULL);
    VK_LOOP maxima[i] = (float)wide[i];
    VK_LOOP wide[i] = 0.0;
    reduce_columns(VK_SUM_EXP, x, classes, n, stride, wide, maxima);
    VK_LOOP sums[i] = (float)wide[i];
}

static void softmax_columns(const float *x, float *out, int64_t classes, int64_t columns, int64_t stride, int log) {
    for (int64_t start = 0; start < columns; start += VK_TILE) {
        int64_t n = columns - start < VK_TILE ? columns - start : VK_TILE;
        float maxima[VK_TILE], sums[VK_TILE];
        column_statistics(x + start, classes, n, stride, maxima, sums);
        if (log) {
            for (int64_t i = 0; i < n; i++) sums[i] = logf(sums[i]);
        } else {
            VK_LOOP sums[i] = 1.0f / sums[i];
        }
        for (int64_t k = 0; k < classes; k++) {
            const float *row = x + start + k * stride;
            float *result = out + start + k * stride;
            if (log) {
                VK_LOOP result[i] = (row[i] - maxima[i]) - sums[i];
            } else {
                VK_LOOP result[i] = exp_f(row[i] - maxima[i]) * sums[i];
            }
        }
    }
}

static void softmax_gradient_columns(const float *y, const float *g, float *out, int64_t classes, int64_t columns,
                                     int64_t stride, int log) {
    for (int64_t start = 0; start < columns; start += VK_TILE) {
        int64_t n = columns - start < VK_TILE ? columns - start : VK_TILE;
        double wide[VK_TILE];
        float sums[VK_TILE];
        VK_LOOP wide[i] = 0.0;
        for (int64_t k = 0; k < classes; k++) {
            const float *yk = y + start + k * stride, *gk = g + start + k * stride;
            if (log) {
                VK_LOOP wide[i] += (double)gk[i];
            } else {
                VK_LOOP wide[i] += (double)gk[i] * (double)yk[i];
            }
        }
        VK_LOOP sums[i] = (float)wide[i];
        int isUnused[VK_TILE];
        for (int64_t i = 0; i < n; i++) isUnused[i] = sums[i] != sums[i] && !log && is_zero(g + start + i, classes, stride);
        for (int64_t k = 0; k < classes; k++) {
            const float *yk = y + start + k * stride, *gk = g + start + k * stride;
            float *result = out + start + k * stride;
            if (log) {
                VK_LOOP result[i] = gk[i] - exp_f(yk[i]) * sums[i];
            } else {
                VK_LOOP result[i] = isUnused[i] ? 0.0f : yk[i] * (gk[i] - sums[i]);
            }
        }
    }
}

/// sum of (x - m)^2 in double.
static double squared_deviation(const float *x, int64_t n, double m) {
    VK_REORDER
    double s = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - m;
        s += d * d;
    }
    return s;
}

static void normalize(const float *x, float *xhat, float *rstd, float *mean, int64_t rows, int64_t n, float epsilon,
                      int centered) {
    for (int64_t r = 0; r < rows; r++, x += n) {
        double m = centered ? dot(x, NULL, n) / (double)n : 0.0;
        double scale = 1.0 / sqrt(squared_deviation(x, n, m) / (double)n + (double)epsilon);
        rstd[r] = (float)scale;
        if (mean) mean[r] = (float)m;
        if (!xhat) continue;
        // A mean far larger than the spread would lose digits as one float: subtract it in two parts.
        float high = (float)m, low = (float)(m - (double)high), s = (float)scale;
        low = absolute(high) == __builtin_inff() ? 0.0f : low;
        VK_LOOP xhat[i] = ((x[i] - high) - low) * s;
        xhat += n;
    }
}

static void normalize_gradient(const float *g, const float *xhat, const float *rstd, float *out, int64_t rows,
                               int64_t n, int centered) {
    for (int64_t r = 0; r < rows; r++, g += n, xhat += n, out += n) {
        float projection = (float)(dot(g, xhat, n) / (double)n);
        float average = centered ? (float)(dot(g, NULL, n) / (double)n) : 0.0f;
        float s = rstd[r];
        VK_LOOP out[i] = s * ((g[i] - average) - xhat[i] * projection);
    }
}

static void cross_entropy(const float *x, const int64_t *targets, float *losses, vk_classes shape) {
    int64_t classes = shape.classes, inner = shape.inner;
    for (int64_t o = 0; o < shape.outer; o++, x += classes * inner, targets += inner, losses += inner) {
        if (inner == 1) {
            if (targets[0] == shape.ignored) {
                losses[0] = 0.0f;
                continue;
            }
            float m = row_maximum(x, classes);
            losses[0] = logf(exponentials(x, NULL, classes, m)) - (x[targets[0]] - m);
            continue;
        }
        for (int64_t start = 0; start < shape.columns; start += VK_TILE) {
            int64_t n = shape.columns - start < VK_TILE ? shape.columns - start : VK_TILE;
            float maxima[VK_TILE], sums[VK_TILE];
            column_statistics(x + start, classes, n, inner, maxima, sums);
            for (int64_t i = 0; i < n; i++) {
                int64_t t = targets[start + i];
                losses[start + i] =
                    t == shape.ignored ? 0.0f : logf(sums[i]) - (x[t * inner + start + i] - maxima[i]);
            }
        }
    }
}

static void cross_entropy_gradient(const float *x, const int64_t *targets, const float *weights, float *out,
                                   vk_classes shape) {
    int64_t classes = shape.classes, inner = shape.inner;
    for (int64_t o = 0; o < shape.outer; o++, x += classes * inner, out += classes * inner, targets += inner) {
        const float *w = weights ? weights + o * inner : NULL;
        if (inner == 1) {
            float weight = targets[0] == shape.ignored ? 0.0f : w ? w[0] : 1.0f;
            if (weight == 0.0f) {
                memset(out, 0, (size_t)classes * sizeof(float));
                continue;
            }
            float scale = weight / exponentials(x, out, classes, row_maximum(x, classes));
            int64_t n = classes;
            VK_LOOP out[i] *= scale;
            out[targets[0]] -= weight;
            continue;
        }
        for (int64_t start = 0; start < shape.columns; start += VK_TILE) {
            int64_t n = shape.columns - start < VK_TILE ? shape.columns - start : VK_TILE;
            float maxima[VK_TILE], scales[VK_TILE], weight[VK_TILE];
            column_statistics(x + start, classes, n, inner, maxima, scales);
            for (int64_t i = 0; i < n; i++) {
                weight[i] = targets[start + i] == shape.ignored ? 0.0f : w ? w[start + i] : 1.0f;
                scales[i] = weight[i] / scales[i];
            }
            for (int64_t k = 0; k < classes; k++) {
                const float *row = x + start + k * inner;
                float *result = out + start + k * inner;
                VK_LOOP result[i] = weight[i] == 0.0f ? 0.0f : exp_f(row[i] - maxima[i]) * scales[i];
            }
            for (int64_t i = 0; i < n; i++) {
                if (weight[i] != 0.0f) out[targets[start + i] * inner + start + i] -= weight[i];
            }
        }
    }
}

/// Elementwise, row-wise, reducing and moving kernels over contiguous memory, compiled once per
/// instruction set and picked at run time. Nothing here allocates, blocks or keeps state.
/// Unless said otherwise an output may be the same memory as an input, but may not overlap it partly.
#ifndef VECTORKERNELS_H
#define VECTORKERNELS_H

#include <stdint.h>

#pragma clang assume_nonnull begin

/// Functions of one float. `a` and `b` in the comments are the two parameters of the call.
enum {
    VK_NEG, VK_ABS, VK_RECIPROCAL, VK_EXP, VK_LOG, VK_SQRT, VK_RSQRT, VK_SQUARE, VK_RELU,
    VK_LEAKY_RELU,       ///< slope a
    VK_ELU,              ///< alpha a
    VK_SELU,             ///< alpha a, gamma b
    VK_CELU,             ///< alpha a
    VK_SIGMOID, VK_TANH, VK_SOFTPLUS, VK_SOFTSIGN, VK_HARD_SWISH,
    VK_HARD_SIGMOID,     ///< max(0, min(1, a x + b))
    VK_GELU, VK_GELU_TANH, VK_ERF, VK_SILU, VK_MISH,
    VK_THRESHOLDED_RELU, ///< threshold a
    VK_SIN, VK_COS, VK_TAN, VK_ASIN, VK_ACOS, VK_ATAN,
    VK_SINH, VK_COSH, VK_ASINH, VK_ACOSH, VK_ATANH,
    VK_SIGN, VK_FLOOR, VK_CEIL, VK_ROUND,
    VK_CLIP,             ///< max(a, min(b, x))
    VK_AFFINE,           ///< a x + b
    VK_UNARY_COUNT
};

/// Arithmetic functions of two operands.
enum {
    VK_ADD, VK_SUB, VK_MUL, VK_DIV, VK_POW, VK_MIN, VK_MAX,
    VK_MOD,   ///< remainder with the sign of the divisor
    VK_FMOD,  ///< remainder with the sign of the dividend
    VK_PRELU, ///< a where a > 0, else a * b
    VK_BINARY_COUNT
};

enum { VK_EQUAL, VK_LESS, VK_LESS_EQUAL, VK_GREATER, VK_GREATER_EQUAL, VK_COMPARE_COUNT };
enum { VK_AND, VK_OR, VK_XOR, VK_LOGICAL_COUNT };

/// What a reduction accumulates; all accumulators are double.
enum {
    VK_SUM, VK_SUM_SQUARE, VK_SUM_ABS, VK_MAXIMUM, VK_MINIMUM, VK_PRODUCT,
    VK_SUM_EXP, ///< exp(x - shift), the shift given for each output
    VK_REDUCE_COUNT
};

/// Losses of one prediction x and one target t.
enum {
    VK_LOSS_BCE_LOGITS, VK_LOSS_SQUARED, VK_LOSS_ABSOLUTE,
    VK_LOSS_HUBER, ///< threshold a
    VK_LOSS_COUNT
};

/// A rows x columns block read by two strides (in elements) and written densely, row by row.
typedef struct {
    int64_t rows, columns;
    int64_t a_row, a_column;
    int64_t b_row, b_column;
} vk_block;

/// Logits [outer, classes, inner] with a target for every (outer, inner). Sections of `inner` may be cut
/// out: `columns` of them are worked on, the pointers already moved to the first.
typedef struct {
    int64_t outer, classes, inner, columns;
    int64_t ignored; ///< the target value that asks for no loss
} vk_classes;

/// One tile of a plane: the element offset of the plane it lies in, and its first row and column, which may lie outside.
typedef struct {
    int64_t offset;
    int32_t y, x;
} vk_tile;

/// A row of outputs: where its first input lies, and how many outputs it has.
typedef struct {
    int64_t offset, count;
} vk_stretch;

typedef struct {
    const char *name;

    void (*unary)(int op, const float *x, float *out, int64_t n, float a, float b);
    /// out = g f'(x)
    void (*derivative)(int op, const float *x, const float *g, float *out, int64_t n, float a, float b);
    /// out = g f'(x) from y = f(x); only for VK_EXP, VK_SQRT, VK_RECIPROCAL, VK_RSQRT, VK_SIGMOID, VK_TANH, VK_RELU.
    void (*derivative_from_output)(int op, const float *y, const float *g, float *out, int64_t n);

    void (*binary_f32)(int op, const float *a, const float *b, float *out, vk_block block);
    void (*binary_i64)(int op, const int64_t *a, const int64_t *b, int64_t *out, vk_block block);
    void (*compare_f32)(int op, const float *a, const float *b, uint8_t *out, vk_block block);
    void (*compare_i64)(int op, const int64_t *a, const int64_t *b, uint8_t *out, vk_block block);
    void (*compare_u8)(int op, const uint8_t *a, const uint8_t *b, uint8_t *out, vk_block block);
    void (*logical)(int op, const uint8_t *a, const uint8_t *b, uint8_t *out, vk_block block);
    void (*logical_not)(const uint8_t *a, uint8_t *out, int64_t n);
    /// out = condition ? a : b on elements of `size` 1, 4 or 8 bytes; the strides are in elements.
    void (*select)(int size, const uint8_t *condition, int64_t condition_row, int64_t condition_column,
                   const void *a, const void *b, void *out, vk_block block);
    /// y += scale * x
    void (*add_scaled)(const float *x, float *y, float scale, int64_t n);

    /// Reduces one contiguous run into *accumulator, which starts at vk_reduce_identity.
    void (*reduce_row)(int op, const float *x, int64_t n, double *accumulator, float shift);
    /// Reduces `rows` rows of `columns` elements, `stride` apart, column by column.
    void (*reduce_columns)(int op, const float *x, int64_t rows, int64_t columns, int64_t stride,
                           double *accumulators, const float *_Nullable shifts);

    void (*softmax)(const float *x, float *out, int64_t rows, int64_t n, int log);
    void (*softmax_gradient)(const float *y, const float *g, float *out, int64_t rows, int64_t n, int log);
    /// The same along the rows of an [n, columns] section whose rows are `stride` apart.
    void (*softmax_columns)(const float *x, float *out, int64_t n, int64_t columns, int64_t stride, int log);
    void (*softmax_gradient_columns)(const float *y, const float *g, float *out, int64_t n, int64_t columns,
                                     int64_t stride, int log);

    /// xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + epsilon); without centring the mean is 0 and the
    /// variance is the mean square.
    void (*normalize)(const float *x, float *_Nullable xhat, float *rstd, float *_Nullable mean, int64_t rows,
                      int64_t n, float epsilon, int centered);
    void (*normalize_gradient)(const float *g, const float *xhat, const float *rstd, float *out, int64_t rows,
                               int64_t n, int centered);

    /// losses[outer, inner] = logsumexp(x) - x[target], 0 where the target is ignored.
    void (*cross_entropy)(const float *x, const int64_t *targets, float *losses, vk_classes shape);
    /// out = (softmax(x) - onehot(target)) weight; exact zeros where the weight is 0 or the target ignored.
    void (*cross_entropy_gradient)(const float *x, const int64_t *targets, const float *_Nullable weights,
                                   float *out, vk_classes shape);

    void (*loss)(int op, const float *x, const float *t, float *out, int64_t n, float a);
    /// out = g dloss/dx, g = 1 where absent
    void (*loss_gradient)(int op, const float *x, const float *t, const float *_Nullable g, float *out, int64_t n,
                          float a);

    /// out[columns, rows] = transpose of x[rows, columns], elements of 1, 4 or 8 bytes, leading dimensions in
    /// elements; out may not be x.
    void (*transpose)(int size, const void *x, int64_t x_stride, void *out, int64_t out_stride, int64_t rows,
                      int64_t columns);
    /// Values rounded to the nearest float16 / bfloat16, ties to even, kept as float.
    void (*round_float16)(const float *x, float *out, int64_t n);
    void (*round_bfloat16)(const float *x, float *out, int64_t n);

    /// Columns of a panel, 16 or 32.
    int64_t panel_width;
    /// Copies B [k, n], whose elements [p, j] lie at b[p * b_row + j * b_column], into the form that `product_packed`
    /// reads: panels one after another, k floats for every column of each, zeros for those that are missing.
    void (*pack_panels)(const float *b, int64_t b_row, int64_t b_column, int64_t k, int64_t n, float *packed);
    /// C [m, n] = A B, or C += A B if `adds`, for A [m, k] whose rows are `a_row` apart.
    void (*product_packed)(const float *a, int64_t a_row, const float *packed, float *c, int64_t c_row, int64_t m,
                           int64_t n, int64_t k, int adds);
    /// out [rows, columns] = L^T R, or out += L^T R if `adds`, for L [k, rows] and R [k, columns] that `pack_panels` has
    /// packed. If `upper` nothing but the upper triangle is meaningful, and less is computed.
    void (*gram)(const float *left, int64_t rows, const float *right, int64_t columns, int64_t k, float *out,
                 int64_t out_row, int upper, int adds);

    /// One time step of an LSTM with n hidden features. `gates` holds i, o, f, c, n each: x W^T + b before, activated
    /// after; `recurrent` is h_{t-1} R^T; `state` is c_{t-1} before and c_t after, as `cell`; `hidden` and `output`
    /// become h_t.
    void (*lstm_step)(float *gates, const float *recurrent, float *state, float *cell, float *hidden, float *output,
                      int64_t n);
    /// `out` = gradients of the four pre-activations from those of h_t (`dh`, 0 afterwards) and c_t (`dc`, that of
    /// c_{t-1} afterwards); `cell` is c_t, `previous` c_{t-1}. `out` may be `gates`.
    void (*lstm_step_gradient)(const float *gates, const float *cell, const float *previous, float *dh, float *dc,
                               float *out, int64_t n);
    /// One time step of a GRU whose reset gate works behind the recurrent weights, with n hidden features. `gates`
    /// holds z, r, h, n each: x W^T + b before, activated after; `recurrent` is h_{t-1} R^T + b_R, of which
    /// `candidates` keeps the last n; `state` is h_{t-1} before and h_t after, as `output`.
    void (*gru_step)(float *gates, const float *recurrent, float *state, float *candidates, float *output, int64_t n);
    /// `out` = gradients of x W^T + b, `recurrent` those of h_{t-1} R^T + b_R, from that of h_t (`dh`), which becomes
    /// that of h_{t-1} but for the recurrent weights; `previous` is h_{t-1}. `out` may be `gates`.
    void (*gru_step_gradient)(const float *gates, const float *candidates, const float *previous, float *dh, float *out,
                              float *recurrent, int64_t n);

    /// out[i] = the largest of x[i * step + taps[t]], t below `count`, winners[i] = marks[t] of the first largest; a NaN
    /// wins over every number, the last one over all.
    void (*max_windows)(const float *x, int64_t step, const int32_t *taps, const int32_t *marks, int64_t count,
                        float *out, int32_t *winners, int64_t n);
    /// columns[e * stride ...] = the rows from plane + elements[e] on, one after another, `positions` in all. Reads up to
    /// 15 floats behind the last row.
    void (*unfold)(const float *plane, const int64_t *elements, int64_t element_count, const vk_stretch *rows,
                   int64_t row_count, int64_t positions, float *columns, int64_t stride);
    /// The adjoint: adds columns[e * stride ...] to the rows from plane + elements[e] on.
    void (*fold_add)(const float *columns, int64_t stride, const int64_t *elements, int64_t element_count,
                     const vk_stretch *rows, int64_t row_count, float *plane);

    /// Winograd's F(4x4, 3x3). Transforms n kernels of nine weights, `stride` apart, rotated by half a turn if
    /// `flipped`; element k of kernel i goes to out[k * plane + i], 36 of each.
    void (*winograd_weights)(const float *w, int64_t stride, int flipped, float *out, int64_t plane, int64_t n);
    /// Transforms the 6x6 inputs of n tiles, whose places are those of their first input: out[k * plane + i]. What
    /// lies outside of height x width is zero.
    void (*winograd_input)(const float *x, int64_t height, int64_t width, const vk_tile *tiles, int64_t n, float *out,
                           int64_t plane);
    /// The 4x4 outputs of n tiles from x[k * plane + i], plus bias; the places are those of their first output. What
    /// lies outside of height x width is left out.
    void (*winograd_output)(const float *x, int64_t plane, const vk_tile *tiles, int64_t n, float bias, float *out,
                            int64_t height, int64_t width);
    /// Transforms the 4x4 output gradients of n tiles by the adjoint of winograd_output: out[k * plane + i]. What lies
    /// outside of height x width is zero.
    void (*winograd_output_adjoint)(const float *g, int64_t height, int64_t width, const vk_tile *tiles, int64_t n,
                                    float *out, int64_t plane);
    /// The gradients of n kernels of nine weights, one after another in out, from those of their transforms,
    /// x[k * plane + i].
    void (*winograd_weights_adjoint)(const float *x, int64_t plane, float *out, int64_t n);
} vk_table;

/// The table in use: the best that this processor runs, or the one named by DPONNX_CPU (`generic`, `avx2`, `avx512`). A name
/// that is unknown, or that this processor cannot run, ends the process with a message.
const vk_table *vk_active(void);
/// The table of that name, or null if there is none or this processor cannot run it.
const vk_table *_Nullable vk_named(const char *name);
/// What an accumulator of this reduction starts from.
double vk_reduce_identity(int op);

#pragma clang assume_nonnull end
#endif

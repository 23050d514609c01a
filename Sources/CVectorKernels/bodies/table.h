// The table of the kernels above, named by VK_NAME.

// Sanitizers and unoptimised builds keep the loops scalar, and need not say so for each.
#pragma clang diagnostic ignored "-Wpass-failed"

#include "scalar.h"
#include "unary.h"
#include "binary.h"
#include "reduce.h"
#include "rows.h"
#include "layout.h"
#include "packed.h"
#include "recurrence.h"
#include "pooling.h"
#include "unfolding.h"
#include "winograd.h"

#define VK_STRING_OF(x) #x
#define VK_STRING(x) VK_STRING_OF(x)
#define VK_JOIN_OF(a, b) a##b
#define VK_JOIN(a, b) VK_JOIN_OF(a, b)

const vk_table VK_JOIN(vk_table_, VK_NAME) = {
    .name = VK_STRING(VK_NAME),
    .unary = unary,
    .derivative = derivative,
    .derivative_from_output = derivative_from_output,
    .binary_f32 = binary_f32,
    .binary_i64 = binary_i64,
    .compare_f32 = compare_f32,
    .compare_i64 = compare_i64,
    .compare_u8 = compare_u8,
    .logical = logical,
    .logical_not = logical_not,
    .select = select_any,
    .add_scaled = add_scaled,
    .reduce_row = reduce_row,
    .reduce_columns = reduce_columns,
    .softmax = softmax,
    .softmax_gradient = softmax_gradient,
    .softmax_columns = softmax_columns,
    .softmax_gradient_columns = softmax_gradient_columns,
    .normalize = normalize,
    .normalize_gradient = normalize_gradient,
    .cross_entropy = cross_entropy,
    .cross_entropy_gradient = cross_entropy_gradient,
    .loss = loss,
    .loss_gradient = loss_gradient,
    .transpose = transpose,
    .round_float16 = round_float16,
    .round_bfloat16 = round_bfloat16,
    .panel_width = VK_PANEL,
    .pack_panels = pack_panels,
    .product_packed = product_packed,
    .gram = gram,
    .lstm_step = lstm_step,
    .lstm_step_gradient = lstm_step_gradient,
    .gru_step = gru_step,
    .gru_step_gradient = gru_step_gradient,
    .max_windows = max_windows,
    .unfold = unfold,
    .fold_add = fold_add,
    .winograd_weights = winograd_weights,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .winograd_output_adjoint = winograd_output_adjoint,
    .winograd_weights_adjoint = winograd_weights_adjoint,
};

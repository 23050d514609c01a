/* A program in C that uses libdponnx through its header alone. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "dponnx.h"

/* Samples for a model with one float input "x". */
typedef struct {
    const char *model;
    int64_t samples;
    int64_t features;
    const float *x;        /* [samples, features] */
    const int64_t *labels; /* [samples] */
} program_data;

/* Each returns 0, or the line of program.c at which it found something else than it should; `failure`, of 512 bytes, then
 * says what libdponnx said last. */
int program_errors(const program_data *data, const char *mixing_model, char *failure);
int program_single_step(
    const program_data *data, const char *options, const char *parameter, float *before, float *after, size_t count,
    char *failure);
int program_training(const program_data *data, const char *output, char *failure);
/* reference: the model's float32 tensors under names of another program, matrices turned around; the parameters of its
 * first layer come first, weight [in, out] and bias, whose values after one step are written. */
int program_state(
    const program_data *data, const char *options, dponnx_tensor *reference, size_t count, float *weight, float *bias,
    char *failure);
int program_threads(const program_data *data, char *failure);

#endif

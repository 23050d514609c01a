#include "program.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                          \
    do {                                                           \
        if (!(condition)) {                                        \
            snprintf(failure, 512, "%s", dponnx_last_error());     \
            return __LINE__;                                       \
        }                                                          \
    } while (0)

/* DLPack's tensor, as its documentation lays it out. */
typedef struct {
    void *data;
    struct { int32_t type, number; } device;
    int32_t ndim;
    struct { uint8_t code, bits; uint16_t lanes; } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;

/* Rows of the data as they lie there. */
typedef struct {
    int64_t x_shape[2], labels_shape[1];
    dponnx_tensor tensors[2];
} rows_of_data;

static void take_rows(rows_of_data *rows, const program_data *data, int64_t first, int64_t count) {
    rows->x_shape[0] = rows->labels_shape[0] = count;
    rows->x_shape[1] = data->features;
    rows->tensors[0] =
        (dponnx_tensor){"x", DPONNX_FLOAT32, 2, rows->x_shape, NULL, data->x + first * data->features};
    rows->tensors[1] = (dponnx_tensor){"labels", DPONNX_INT64, 1, rows->labels_shape, NULL, data->labels + first};
}

int program_errors(const program_data *data, const char *mixing_model, char *failure) {
    dponnx_session *session = NULL;
    EXPECT(dponnx_abi_version() == DPONNX_ABI_VERSION);
    EXPECT(dponnx_open("no such file.onnx", NULL, &session) == DPONNX_MISSING && session == NULL);
    EXPECT(strstr(dponnx_last_error(), "no such file.onnx"));
    EXPECT(dponnx_open(data->model, "{\"epsilom\": 1}", &session) == DPONNX_USAGE);
    EXPECT(strstr(dponnx_last_error(), "epsilom"));
    EXPECT(dponnx_open(data->model, "[1]", &session) == DPONNX_USAGE);
    EXPECT(dponnx_open(data->model, "{\"epsilon\": 1}", &session) == DPONNX_USAGE);
    EXPECT(dponnx_open(data->model, "{\"epsilon\": 1, \"delta\": 1e-5}", &session) == DPONNX_USAGE);
    EXPECT(strstr(dponnx_last_error(), "dataset_size"));
    EXPECT(dponnx_open(data->model, "{\"batch_size\": \"many\"}", &session) == DPONNX_USAGE);
    EXPECT(dponnx_open(data->model, "{\"trainable\": [\"no*\"]}", &session) == DPONNX_USAGE);
    EXPECT(dponnx_open(NULL, NULL, &session) == DPONNX_USAGE);
    EXPECT(dponnx_open(data->model, "{\"clipping_style\": \"grouped\"}", &session) == DPONNX_USAGE);
    const char *groups = "{\"clipping_style\": \"grouped\", \"clip_groups\": {\"0.*\": 1, \"2.*\": 0.5}}";
    EXPECT(dponnx_open(data->model, groups, &session) == DPONNX_USAGE && strstr(dponnx_last_error(), "4."));
    EXPECT(dponnx_describe(NULL, NULL) == DPONNX_USAGE);

    char *json = NULL;
    EXPECT(dponnx_open(mixing_model, NULL, &session) == DPONNX_OK);
    EXPECT(dponnx_check(session, &json) == DPONNX_CHECK_FAILED);
    EXPECT(json && strstr(json, "\"can_train_privately\":false"));
    dponnx_free(json);
    dponnx_close(session);

    EXPECT(dponnx_open(data->model, NULL, &session) == DPONNX_OK);
    EXPECT(dponnx_check(session, NULL) == DPONNX_OK);
    EXPECT(dponnx_describe(session, &json) == DPONNX_OK && strstr(json, "\"name\":\"x\""));
    dponnx_free(json);
    rows_of_data rows;
    take_rows(&rows, data, 0, data->samples);
    /* Nobody said how private. */
    EXPECT(dponnx_step(session, rows.tensors, 2, NULL) == DPONNX_USAGE);
    dponnx_close(session);

    const char *options = "{\"noise_multiplier\": 1, \"delta\": 1e-5, \"rows\": 5, \"batch_size\": 2, \"steps\": 2}";
    EXPECT(dponnx_open(data->model, options, &session) == DPONNX_OK);
    EXPECT(dponnx_finish_step(session, NULL) == DPONNX_USAGE);
    EXPECT(dponnx_save(session, "unsaved.onnx") == DPONNX_USAGE);
    EXPECT(dponnx_accumulate(session, rows.tensors, 1) == DPONNX_BAD_INPUT);
    EXPECT(strstr(dponnx_last_error(), "labels"));
    rows.x_shape[1] -= 1;
    EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_BAD_INPUT);
    rows.x_shape[1] = -1;
    EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_BAD_INPUT);
    take_rows(&rows, data, 0, data->samples);
    rows.tensors[0].type = 99;
    EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_BAD_INPUT);
    double epsilon = -1;
    EXPECT(dponnx_epsilon(session, 0, &epsilon) == DPONNX_USAGE);
    EXPECT(dponnx_epsilon(session, 1e-5, &epsilon) == DPONNX_OK && epsilon == 0);
    dponnx_close(session);
    return 0;
}

/* One step on all samples, in two parts: the first through DLPack, whose memory holds the features' axis outermost, the
 * second with every number as float64. */
int program_single_step(
    const program_data *data, const char *options, const char *parameter, float *before, float *after, size_t count,
    char *failure)
{
    dponnx_session *session;
    EXPECT(dponnx_open(data->model, options, &session) == DPONNX_OK);
    EXPECT(dponnx_weights(session, parameter, before, count) == DPONNX_OK);
    EXPECT(dponnx_weights(session, parameter, before, count + 1) == DPONNX_USAGE);
    int64_t first = 2, rest = data->samples - first;

    float *columns = malloc(sizeof(float) * (size_t)(1 + first * data->features));
    for (int64_t row = 0; row < first; row++) {
        for (int64_t column = 0; column < data->features; column++) {
            columns[1 + column * first + row] = data->x[row * data->features + column];
        }
    }
    int64_t shape[2] = {first, data->features}, strides[2] = {1, first};
    dl_tensor lent = {columns, {1, 0}, 2, {2, 32, 1}, shape, strides, sizeof(float)};
    rows_of_data rows;
    take_rows(&rows, data, 0, first);
    EXPECT(dponnx_tensor_from_dlpack("x", &lent, &rows.tensors[0]) == DPONNX_OK);
    EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_OK);
    free(columns);
    lent.device.type = 2;
    EXPECT(dponnx_tensor_from_dlpack("x", &lent, &rows.tensors[0]) == DPONNX_BAD_INPUT);

    double *wide = malloc(sizeof(double) * (size_t)(rest * data->features));
    for (int64_t i = 0; i < rest * data->features; i++) wide[i] = data->x[first * data->features + i];
    take_rows(&rows, data, first, rest);
    rows.tensors[0].type = DPONNX_FLOAT64;
    rows.tensors[0].data = wide;
    EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_OK);
    free(wide);

    dponnx_report report;
    EXPECT(dponnx_finish_step(session, &report) == DPONNX_OK);
    EXPECT(report.step == 1 && report.sample_count == data->samples && report.excluded == 0);
    EXPECT(report.loss > 0 && report.clipped_share >= 0);
    EXPECT(dponnx_weights(session, parameter, after, count) == DPONNX_OK);
    dponnx_close(session);
    return 0;
}

/* Trains as a caller should, then once more with rows that were not drawn. */
int program_training(const program_data *data, const char *output, char *failure) {
    const char *options =
        "{\"noise_multiplier\": 1, \"delta\": 1e-5, \"dataset_size\": 5, \"batch_size\": 2, \"steps\": 6}";
    double spent[2], epsilon;
    for (int foreign = 0; foreign < 2; foreign++) {
        dponnx_session *session;
        EXPECT(dponnx_open(data->model, options, &session) == DPONNX_OK);
        rows_of_data rows;
        take_rows(&rows, data, 0, 1);
        EXPECT(dponnx_prepare(session, rows.tensors, 2) == DPONNX_OK);
        for (int step = 0; step < 6; step++) {
            int64_t *drawn = NULL;
            size_t count = 0;
            dponnx_report report;
            EXPECT(dponnx_draw(session, &drawn, &count) == DPONNX_OK);
            for (size_t i = 0; i < count; i++) {
                EXPECT(drawn[i] >= 0 && drawn[i] < 5 && (i == 0 || drawn[i] > drawn[i - 1]));
                take_rows(&rows, data, drawn[i], 1);
                EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_OK);
            }
            if (foreign && step == 3) {
                EXPECT(dponnx_accumulate(session, rows.tensors, 2) == DPONNX_OK);
            }
            dponnx_free(drawn);
            EXPECT(dponnx_finish_step(session, &report) == DPONNX_OK && report.step == step + 1);
            if (step == 2) EXPECT(dponnx_epsilon(session, 1e-5, &spent[0]) == DPONNX_OK);
        }
        int64_t *drawn;
        size_t count;
        EXPECT(dponnx_draw(session, &drawn, &count) == DPONNX_USAGE);
        EXPECT(dponnx_finish_step(session, NULL) == DPONNX_USAGE);
        char *json;
        EXPECT(dponnx_epsilon(session, 1e-5, &epsilon) == DPONNX_OK);
        EXPECT(dponnx_describe(session, &json) == DPONNX_OK);
        if (foreign) {
            EXPECT(isinf(epsilon) && strstr(json, "1 of 6 steps"));
        } else {
            spent[1] = epsilon;
            EXPECT(spent[0] > 0 && spent[1] > spent[0] && isfinite(spent[1]));
            EXPECT(strstr(json, "\"reasons_not_private\":[]"));
            EXPECT(dponnx_save(session, data->model) == DPONNX_CANNOT_CREATE);
            EXPECT(dponnx_save(session, output) == DPONNX_OK);
        }
        dponnx_free(json);
        dponnx_close(session);
    }
    return 0;
}

static size_t element_count(const dponnx_tensor *tensor) {
    size_t count = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++) count *= (size_t)tensor->shape[axis];
    return count;
}

/* The state of a session before and after a step, the bias under a second name too. */
int program_state(
    const program_data *data, const char *options, dponnx_tensor *reference, size_t count, float *weight, float *bias,
    char *failure)
{
    dponnx_session *session;
    EXPECT(dponnx_open(data->model, options, &session) == DPONNX_OK);
    dponnx_tensor tensors[16];
    void *values[16] = {NULL};
    EXPECT(count + 2 <= 16);
    memcpy(tensors, reference, count * sizeof *reference);
    int64_t calls = 41, counted = -1;
    tensors[count] = (dponnx_tensor){"calls", DPONNX_INT64, 0, NULL, NULL, &calls};
    values[count] = &counted;
    tensors[count + 1] = reference[1];
    tensors[count + 1].name = "same.bias";
    float *other_bias = malloc(sizeof(float) * element_count(&reference[1]));
    values[count + 1] = other_bias;

    /* Before the first step all values are the reference's own. */
    values[0] = weight;
    char *report = NULL;
    EXPECT(dponnx_state(session, tensors, count + 2, values, 0, &report) == DPONNX_OK);
    EXPECT(report && strstr(report, "\"missing\":[]") && strstr(report, "does not train") && counted == calls);
    dponnx_free(report);
    /* Of the reference the first axis lies innermost. */
    int64_t rows = reference[0].shape[0], columns = reference[0].shape[1];
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            EXPECT(weight[row * columns + column] == ((const float *)reference[0].data)[column * rows + row]);
        }
    }

    rows_of_data batch;
    take_rows(&batch, data, 0, data->samples);
    EXPECT(dponnx_step(session, batch.tensors, 2, NULL) == DPONNX_OK);
    values[1] = bias;
    EXPECT(dponnx_state(session, tensors, count + 2, values, 0, NULL) == DPONNX_OK);
    EXPECT(memcmp(bias, other_bias, sizeof(float) * element_count(&reference[1])) == 0);
    EXPECT(dponnx_state(session, tensors, count + 2, NULL, 0, NULL) == DPONNX_OK);

    /* Without a tensor that trained there is nowhere to put its values. */
    float untouched = weight[0];
    weight[0] = -99;
    EXPECT(dponnx_state(session, tensors + 2, count, values + 2, 0, &report) == DPONNX_CHECK_FAILED);
    EXPECT(report && strstr(dponnx_last_error(), "0.weight"));
    dponnx_free(report);
    EXPECT(dponnx_state(session, tensors + 1, count + 1, values + 1, 1, NULL) == DPONNX_CHECK_FAILED);
    EXPECT(weight[0] == -99);
    weight[0] = untouched;

    EXPECT(dponnx_state(session, NULL, 0, NULL, 0, &report) == DPONNX_USAGE && report == NULL);
    EXPECT(dponnx_state(session, tensors, 0, NULL, 0, NULL) == DPONNX_BAD_INPUT);
    tensors[1].name = tensors[0].name;
    EXPECT(dponnx_state(session, tensors, count, NULL, 0, NULL) == DPONNX_BAD_INPUT);
    EXPECT(strstr(dponnx_last_error(), tensors[0].name));
    tensors[1].name = "b";
    tensors[1].data = NULL;
    EXPECT(dponnx_state(session, tensors, count, NULL, 0, NULL) == DPONNX_BAD_INPUT);
    free(other_bias);
    dponnx_close(session);
    return 0;
}

typedef struct {
    const program_data *data;
    dponnx_session *session;
    float weights[48];
    int64_t samples;
    int line;
    char failure[512];
} worker;

static const char *const reproducible =
    "{\"noise_multiplier\": 1, \"delta\": 1e-5, \"dataset_size\": 5, \"batch_size\": 2, \"steps\": 20, \"seed\": 7, "
    "\"threads\": 2}";

/* A whole training in a session of its own. */
static int train_alone(worker *worker) {
    char *failure = worker->failure;
    dponnx_session *session;
    EXPECT(dponnx_open(worker->data->model, reproducible, &session) == DPONNX_OK);
    for (int step = 0; step < 20; step++) {
        rows_of_data rows;
        take_rows(&rows, worker->data, step % 4, 2);
        EXPECT(dponnx_step(session, rows.tensors, 2, NULL) == DPONNX_OK);
    }
    EXPECT(dponnx_weights(session, "0.weight", worker->weights, 48) == DPONNX_OK);
    dponnx_close(session);
    return 0;
}

/* Evaluations in a session that others use too, and failures, whose messages are the thread's own. */
static int evaluate_shared(worker *worker) {
    char *failure = worker->failure;
    for (int round = 0; round < 50; round++) {
        rows_of_data rows;
        take_rows(&rows, worker->data, 0, worker->samples);
        EXPECT(dponnx_evaluate(worker->session, rows.tensors, 2) == DPONNX_OK);
        char name[32];
        snprintf(name, sizeof name, "absent %d", (int)worker->samples);
        EXPECT(dponnx_weights(worker->session, name, worker->weights, 48) == DPONNX_USAGE);
        EXPECT(strstr(dponnx_last_error(), name));
    }
    return 0;
}

static void *start_alone(void *argument) {
    ((worker *)argument)->line = train_alone(argument);
    return NULL;
}

static void *start_shared(void *argument) {
    ((worker *)argument)->line = evaluate_shared(argument);
    return NULL;
}

int program_threads(const program_data *data, char *failure) {
    dponnx_session *shared;
    EXPECT(dponnx_open(data->model, NULL, &shared) == DPONNX_OK);
    worker workers[6] = {0};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        workers[i].data = data;
        workers[i].session = shared;
        workers[i].samples = i < 3 ? 0 : i - 1;
        EXPECT(pthread_create(&threads[i], NULL, i < 3 ? start_alone : start_shared, &workers[i]) == 0);
    }
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 6; i++) {
        if (workers[i].line) {
            memcpy(failure, workers[i].failure, 512);
            return workers[i].line;
        }
    }
    EXPECT(memcmp(workers[0].weights, workers[1].weights, sizeof workers[0].weights) == 0);
    EXPECT(memcmp(workers[0].weights, workers[2].weights, sizeof workers[0].weights) == 0);
    dponnx_metrics metrics;
    EXPECT(dponnx_finish_evaluation(shared, &metrics) == DPONNX_OK);
    EXPECT(metrics.sample_count == 50 * (2 + 3 + 4) && metrics.loss > 0 && isnan(metrics.mse));
    EXPECT(dponnx_finish_evaluation(shared, &metrics) == DPONNX_OK && metrics.sample_count == 0);
    dponnx_close(shared);
    return 0;
}

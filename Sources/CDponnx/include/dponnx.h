/* Private fine-tuning of ONNX models: the C interface of libdponnx.
 *
 *     dponnx_session *session;
 *     int status = dponnx_open("model.onnx",
 *         "{\"epsilon\": 3, \"delta\": 1e-6, \"dataset_size\": 50000, \"batch_size\": 512, \"epochs\": 10}", &session);
 *     while (status == DPONNX_OK && steps_are_left) {
 *         int64_t *rows; size_t count;
 *         dponnx_draw(session, &rows, &count);          // a Poisson sample of 0 ... 49999
 *         dponnx_tensor batch[] = { ... };              // those rows of every input, and of "labels"
 *         status = count > 0 ? dponnx_step(session, batch, 2, NULL) : dponnx_finish_step(session, NULL);
 *         dponnx_free(rows);
 *     }
 *     if (status == DPONNX_OK) status = dponnx_save(session, "private.onnx");
 *     if (status != DPONNX_OK) fprintf(stderr, "%s\n", dponnx_last_error());
 *     dponnx_close(session);
 *
 * Epsilon holds for batches that dponnx_draw has drawn, stepped on in the order of drawing; see dponnx_epsilon.
 *
 * Threads: sessions are independent of each other. Calls on one session from several threads take turns, each of them
 * whole; a step that is accumulated in parts should come from one thread. dponnx_close must be the last call.
 *
 * Memory: what a call is given is only read, and not kept after it returns. What a call allocates is freed with
 * dponnx_free. Text is UTF-8.
 *
 * Stability: functions and fields keep their meaning while dponnx_abi_version() stays the same; new JSON keys and new
 * functions may come without a change of it.
 */
#ifndef DPONNX_H
#define DPONNX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DPONNX_ABI_VERSION 1

/* The number that the library was built with; a program should compare it with DPONNX_ABI_VERSION. */
int32_t dponnx_abi_version(void);

/* Results of all calls that return int32_t; the same numbers as the command line's exit statuses. */
enum {
    DPONNX_OK = 0,
    DPONNX_CHECK_FAILED = 1,  /* the model cannot be trained privately */
    DPONNX_USAGE = 64,        /* options or calls contradict each other */
    DPONNX_BAD_INPUT = 65,    /* a bad model or bad data */
    DPONNX_MISSING = 66,      /* a file is not there */
    DPONNX_UNSUPPORTED = 69,  /* an operator or what is asked of it is not supported */
    DPONNX_INTERNAL = 70,
    DPONNX_CANNOT_CREATE = 73,
    DPONNX_IO = 74
};

/* One line about the last call of this thread that failed: what, where, and what to do. Valid until the thread's next
 * failure. Never NULL. */
const char *dponnx_last_error(void);

/* Frees what a call has allocated; NULL is fine. */
void dponnx_free(void *memory);

typedef struct dponnx_session dponnx_session;

/* Opens a model.
 *
 * options: a JSON object, or NULL for none. Unknown keys are errors. Names and defaults are those of `dponnx train`:
 *   privacy       epsilon, delta, noise_multiplier (in place of epsilon), dataset_size (N as declared), rows (rows that
 *                 batches are drawn from; default N), batch_size, epochs, steps, sampler ("poisson", "truncated-poisson",
 *                 "full"), largest_batch, accountant ("pld", "rdp"), seed (NOT PRIVATE), adaptive_clipping (a quantile),
 *                 adaptive_clipping_rate, count_noise
 *   groups        group_by (an array of integers in every batch: its rows of one value form one sample, which is drawn,
 *                 clipped and protected as one), largest_group (the most rows that one has); dataset_size, rows and
 *                 dponnx_draw then count groups
 *   the account   ledger, dataset_id, dataset_budget (most that all runs on the data set may spend), checkpoint (a
 *                 folder; see dponnx_checkpoint), resume (true to go on with the run in that folder)
 *   clipping      clipping_mode, clipping_function, clipping_style, clip_norm, clip_gamma, clip_bound,
 *                 clip_groups (an object: pattern to norm)
 *   optimization  optimizer, learning_rate, schedule, warmup_steps, momentum, beta1, beta2, weight_decay, ema,
 *                 adam_bias_correction (a boolean), adam_floor
 *   what trains   trainable, frozen (lists of names, patterns and the presets all, bias, last-layer, norm), adapter (as
 *                 "lora:rank=8", or a list), keep_adapter, untie, retie (booleans)
 *   the model     loss, logits, class_axis, target, batch_axes, dimensions (objects of integers)
 *   resources     threads, physical_batch_size, memory_limit (bytes)
 * Dropout that was exported in training mode draws its masks in steps, and is off in evaluations.
 * Without epsilon, noise_multiplier or "clipping_mode": "non-private" the session can look at the model and evaluate it,
 * but not train it. Calibrating the noise to epsilon takes up to some seconds.
 */
int32_t dponnx_open(const char *model_path, const char *options, dponnx_session **session);

void dponnx_close(dponnx_session *session);

/* What the session is: a JSON object with inputs, outputs, trainable (name, shape), tensors (names of all floating
 * ones), other_names, notes, steps_taken, steps_left, foreign_steps, reasons_not_private and, once known, mechanism,
 * physical_batch_size and unreached. To be freed. */
int32_t dponnx_describe(dponnx_session *session, char **json);

/* Whether the model can be trained privately: DPONNX_OK, or DPONNX_CHECK_FAILED with the problems in json (as `dponnx
 * check --json` prints them) and the first of them in dponnx_last_error. json may be NULL; to be freed in both cases. */
int32_t dponnx_check(dponnx_session *session, char **json);

/* Element types of tensors. */
typedef enum {
    DPONNX_BOOL,
    DPONNX_INT8,
    DPONNX_INT16,
    DPONNX_INT32,
    DPONNX_INT64,
    DPONNX_UINT8,
    DPONNX_UINT16,
    DPONNX_UINT32,
    DPONNX_UINT64,
    DPONNX_FLOAT16,
    DPONNX_BFLOAT16,
    DPONNX_FLOAT32,
    DPONNX_FLOAT64
} dponnx_type;

/* A tensor of a batch, in the caller's memory: samples lie on its first axis. */
typedef struct {
    const char *name;       /* of a model's input, or of the targets */
    int32_t type;           /* a dponnx_type; numbers are converted to what the input takes, where no value is lost */
    int32_t rank;
    const int64_t *shape;   /* [rank] */
    const int64_t *strides; /* [rank], in elements; NULL for row-major without gaps */
    const void *data;       /* of the element at index 0 on every axis */
} dponnx_tensor;

/* Fills in a tensor from a DLTensor (DLPack), whose memory it goes on borrowing: data must be on the CPU, one lane per
 * element. `name` is kept as a pointer. */
int32_t dponnx_tensor_from_dlpack(const char *name, const void *dl_tensor, dponnx_tensor *tensor);

/* Draws the rows of the next logical batch, or its groups of rows, ascending. It may be empty: that is a step too, of noise only, to be taken by
 * dponnx_finish_step. rows is to be freed. DPONNX_USAGE once batches for all planned steps have been drawn. */
int32_t dponnx_draw(dponnx_session *session, int64_t **rows, size_t *count);

/* Forgets batches that were drawn and not stepped on. They cost nothing. */
int32_t dponnx_forget_draws(dponnx_session *session);

/* Compiles the step for samples shaped like those of the example, whose values are not looked at. The first batch does
 * it too; needed only if a training's first batches are empty. */
int32_t dponnx_prepare(dponnx_session *session, const dponnx_tensor *example, size_t count);

/* What happened in a step. Computed without noise, so NOT covered by epsilon. */
typedef struct {
    int64_t step;          /* counted from 1 */
    int64_t sample_count;
    int64_t excluded;      /* samples left out because loss or gradient is not finite */
    double learning_rate;
    double loss;           /* mean over samples; NaN if there is none */
    double clipped_share;  /* of the samples; NaN if there is none */
} dponnx_report;

/* Adds rows to the logical batch of the step under way. Rows come in parts of any size; if one is refused, all parts of
 * the step are forgotten. All samples of a session have one shape. */
int32_t dponnx_accumulate(dponnx_session *session, const dponnx_tensor *batch, size_t count);

/* Writes a checkpoint of the last whole step to the folder given on opening. A session opened on it with resume, the same
 * model and the same options goes on from there; steps after the checkpoint have been paid for all the same. */
int32_t dponnx_checkpoint(dponnx_session *session);

/* Forgets the rows of the step under way. */
int32_t dponnx_discard(dponnx_session *session);

/* Ends the step under way: noise is added once, the weights move. report may be NULL. */
int32_t dponnx_finish_step(dponnx_session *session, dponnx_report *report);

/* dponnx_accumulate and dponnx_finish_step. */
int32_t dponnx_step(dponnx_session *session, const dponnx_tensor *batch, size_t count, dponnx_report *report);

/* Metrics of the weights that dponnx_save would write; NaN where one does not fit the loss. NOT covered by epsilon if
 * the rows are private. */
typedef struct {
    int64_t sample_count;
    double loss;
    double accuracy;
    double top5;
    double perplexity;
    double auc;
    double mse;
    double mae;
} dponnx_metrics;

/* Adds rows to the evaluation under way; no step may come in between. */
int32_t dponnx_evaluate(dponnx_session *session, const dponnx_tensor *batch, size_t count);

/* Ends the evaluation under way. */
int32_t dponnx_finish_evaluation(dponnx_session *session, dponnx_metrics *metrics);

/* What the steps taken so far cost at delta: an upper bound of epsilon. Infinite where nothing is guaranteed, with the
 * reasons in dponnx_describe: because of a step whose batch dponnx_draw had not drawn, say. If private data had a say in
 * when to stop, what holds is the epsilon of all planned steps, which the saved file states. */
int32_t dponnx_epsilon(dponnx_session *session, double delta, double *epsilon);

/* Copies a trainable tensor, row by row, as dponnx_save would write it; count is its number of elements. */
int32_t dponnx_weights(dponnx_session *session, const char *name, float *values, size_t count);

/* The trained weights under the names, shapes and types of the program that the model was exported from, as `dponnx
 * convert` writes them.
 *
 * reference: the state_dict that the model was exported from, with the values it had then: any ranks and types, all of
 * its tensors. Those that share their memory, such as a head tied to an embedding, are one tensor with several names.
 * Tensors are recognised by their values, transposed, reordered and joined as exporters do, and by what the exporter
 * says where values are equal.
 * values: for each tensor of the reference, memory for as many elements of its type, to be filled row by row; an element
 * may be NULL, and so may values, where nothing is wanted.
 * partial: whether a tensor whose new values cannot be told gets those of the reference. Without it, nothing is filled if
 * there is one.
 * report: a JSON object with mapped (name, tensors of the graph, layout), kept and missing (name, reason), as `dponnx
 * convert --json` prints it; to be freed; may be NULL.
 *
 * DPONNX_CHECK_FAILED, with a report, if the new values of a tensor cannot be told: what the exporter has folded into
 * something else. The reason says which flag of the export avoids it. */
int32_t dponnx_state(
    dponnx_session *session, const dponnx_tensor *reference, size_t count, void *const *values, int32_t partial,
    char **report);

/* Writes the model with its trained weights and its privacy statement. */
int32_t dponnx_save(dponnx_session *session, const char *path);

#ifdef __cplusplus
}
#endif

#endif

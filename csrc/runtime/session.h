/*
 * One model loaded by librknnrt and run, through the general API (rknn_inputs_set, rknn_run, rknn_outputs_get) or the zero-copy API
 * (rknn_create_mem, rknn_set_io_mem, rknn_run). The same core drives a board, the emulated runtime and the test double.
 *
 * Every function returns 0, or -1 with `error` filled. A session belongs to one thread at a time. Sizes are checked here because the
 * library does not: a buffer too large is answered with success and not copied, or overflows with pass_through (evidence
 * 160_err_size_big, 160_err_pt1_*); an output memory too small is accepted (evidence 160_zc_out_small).
 */
#ifndef RKPARITY_RUNTIME_SESSION_H
#define RKPARITY_RUNTIME_SESSION_H

#include "runtime/loader.h"

typedef struct rkrt_session rkrt_session;

/* One input as the caller has it: `nbytes` bytes of `type` in layout `fmt`. */
typedef struct rkrt_input {
    const void *data;
    uint64_t nbytes;
    int type;
    int fmt;
    int pass_through;
} rkrt_input;

/* The shape of one input, in the order of its attributes: NHWC for 4-D. */
typedef struct rkrt_shape {
    uint32_t n_dims;
    uint32_t dims[RKABI_MAX_DIMS];
} rkrt_shape;

/*
 * How one output is wanted. General API: `want_float` and `prealloc` (the caller's buffer instead of the library's). Zero-copy:
 * `native` takes the native attributes (NC1HWC2) as they are; otherwise `type` and `fmt` override the plain attributes unless they are
 * -1, and `want_float` asks for FLOAT32 where `type` is -1 (int64 stays int64).
 */
typedef struct rkrt_output_request {
    int want_float;
    int prealloc;
    int native;
    int type;
    int fmt;
} rkrt_output_request;

/*
 * One output as the library gave it; `data` stays valid until the next run, binding or close. `untouched`: the memory still held
 * the pattern it was filled with before the run, so the library wrote nothing (only known for memory of our own).
 */
typedef struct rkrt_output_view {
    const void *data;
    uint64_t nbytes;
    int type;
    int fmt;
    uint32_t n_dims;
    uint32_t dims[RKABI_MAX_DIMS];
    int untouched;
} rkrt_output_view;

/* Opens `library` (NULL: by the linker's search) and loads the model file `model`; `perf` collects per-layer times. */
int rkrt_session_open(const char *library, const char *model, int perf, rkrt_session **session, rkrt_error *error);

/* Releases outputs, memories, context and library. NULL is harmless. */
void rkrt_session_close(rkrt_session *session);

/* The library file really loaded. */
const char *rkrt_session_library_path(const rkrt_session *session);

uint32_t rkrt_session_n_inputs(const rkrt_session *session);
uint32_t rkrt_session_n_outputs(const rkrt_session *session);

/*
 * Chooses the input shapes of a model built with dynamic_input, before inputs are given; outputs and memories of another shape are
 * given back. From then on attributes are those of the current shapes.
 */
int rkrt_session_set_shapes(rkrt_session *session, uint32_t n_inputs, const rkrt_shape *shapes, rkrt_error *error);

/*
 * Attributes by query command (RKABI_QUERY_INPUT_ATTR, ..._NATIVE_OUTPUT_ATTR and so on), after rkrt_session_set_shapes those of the
 * current shapes; `attr->name` is always terminated.
 */
int rkrt_session_attr(rkrt_session *session, int query, uint32_t index, rkabi_tensor_attr *attr, rkrt_error *error);

/* Version texts of library and driver. */
int rkrt_session_versions(rkrt_session *session, rkabi_sdk_version *versions, rkrt_error *error);

/* Memory the model uses. */
int rkrt_session_mem_size(rkrt_session *session, rkabi_mem_size *size, rkrt_error *error);

int rkrt_session_set_core_mask(rkrt_session *session, int mask, rkrt_error *error);

/* General API: hands over all inputs, in the model's order. The data must live until after the last run. */
int rkrt_session_set_inputs(rkrt_session *session, uint32_t n_inputs, const rkrt_input *inputs, rkrt_error *error);

/* Zero-copy API: makes the memory of one input, fills it (row by row where w_stride is larger than the width), binds it. */
int rkrt_session_bind_input(rkrt_session *session, uint32_t index, const rkrt_input *input, rkrt_error *error);

/* Zero-copy API: makes and binds the memory of one output. */
int rkrt_session_bind_output(rkrt_session *session, uint32_t index, const rkrt_output_request *request, rkrt_error *error);

/* One inference; syncs bound memories around it where the library can. `elapsed_us`: wall time of rknn_run alone. */
int rkrt_session_run(rkrt_session *session, int64_t *elapsed_us, rkrt_error *error);

/* General API: fetches all outputs; they are released by the next call of this function, the next run, or close. */
int rkrt_session_get_outputs(rkrt_session *session, uint32_t n_outputs, const rkrt_output_request *requests, rkrt_error *error);

/* One output after rkrt_session_get_outputs (general) or after rkrt_session_run (bound memory). */
int rkrt_session_output(rkrt_session *session, uint32_t index, rkrt_output_view *view, rkrt_error *error);

/* Times of the last run as the library measured them; `detail` belongs to the library and may be NULL for none. */
int rkrt_session_perf(rkrt_session *session, int64_t *run_us, const char **detail, uint64_t *detail_nbytes, rkrt_error *error);

#endif

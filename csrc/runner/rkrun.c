/*
 * rkrun: the device session as one small program, for boards without Python. The same events as the agent (docs/agent.md).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/folders.h"
#include "runner/json.h"
#include "runner/options.h"
#include "runtime/npy.h"
#include "runtime/session.h"
#include "runtime/tensor.h"

#ifndef RKPARITY_VERSION
#define RKPARITY_VERSION "unknown"
#endif
#define LOG_NAME "runtime.log"

/* Inputs as read; `data` is freed at the end. */
typedef struct loaded {
    rkrt_input inputs[MAX_INPUTS];
    void *data[MAX_INPUTS];
} loaded;

static int read_input(const input_option *option, const rkabi_tensor_attr *attr, rkrt_input *input, void **data,
                      rkrt_error *error)
{
    size_t length = strlen(option->file);
    rkrt_npy npy = {.type = -1};
    FILE *file;

    input->type = option->type;
    input->fmt = option->fmt >= 0 ? option->fmt : (int)(attr->n_dims == 4 ? RKABI_FMT_NHWC : RKABI_FMT_UNDEFINED);
    input->pass_through = option->pass_through;
    if (length > 4 && strcmp(option->file + length - 4, ".npy") == 0) {
        if (rkrt_npy_read_header(option->file, &npy, error) != 0) {
            return -1;
        }
        if (npy.fortran_order) {
            return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s: is in Fortran order; save it in C order", option->file);
        }
        input->type = input->type >= 0 ? input->type : npy.type;
    } else {
        file = fopen(option->file, "rbe");
        if (!file || fseeko(file, 0, SEEK_END) != 0) {
            return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be read: %s", option->file, strerror(errno));
        }
        npy.nbytes = (uint64_t)ftello(file);
        fclose(file);
    }
    if (input->type < 0) {
        rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s: its type is not known", option->file);
        return rkrt_hint(error, "name it: --input FILE:UINT8");
    }
    /* Refused before anything is allocated: no input is larger than 32 bits can say in the ABI. */
    if (npy.nbytes == 0 || npy.nbytes > UINT32_MAX / 2) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s: %llu bytes cannot be an input", option->file,
                         (unsigned long long)npy.nbytes);
    }
    *data = malloc((size_t)npy.nbytes);
    if (!*data) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for %s", option->file);
    }
    input->data = *data;
    input->nbytes = npy.nbytes;
    return rkrt_file_read(option->file, npy.data_offset, npy.nbytes, *data, error);
}

static int write_sdk(json *out, rkrt_session *session, rkrt_error *error)
{
    rkabi_sdk_version versions;

    if (rkrt_session_versions(session, &versions, error) != 0) {
        return -1;
    }
    json_text(out, "library", rkrt_session_library_path(session));
    json_begin(out, "sdk", '{');
    json_text(out, "api_version", versions.api_version);
    json_text(out, "driver_version", versions.drv_version);
    json_end(out, '}');
    json_flag(out, "emulated", strcasestr(versions.api_version, "emulat") != NULL);
    return 0;
}

/* A list of attributes; null when the query is not known to this version. */
static void write_attrs(json *out, rkrt_session *session, const char *key, int query, uint32_t count)
{
    rkabi_tensor_attr attr;
    rkrt_error ignored;

    if (count > 0 && rkrt_session_attr(session, query, 0, &attr, &ignored) != 0) {
        json_null(out, key);
        return;
    }
    json_begin(out, key, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (rkrt_session_attr(session, query, i, &attr, &ignored) == 0) {
            json_begin(out, NULL, '{');
            json_attr(out, &attr);
            json_end(out, '}');
        }
    }
    json_end(out, ']');
}

static int query(json *out, rkrt_session *session, rkrt_error *error)
{
    uint32_t n_inputs = rkrt_session_n_inputs(session), n_outputs = rkrt_session_n_outputs(session);
    rkabi_sdk_version versions;

    /* Asked once before the line begins: an event is written whole or not at all. */
    if (rkrt_session_versions(session, &versions, error) != 0) {
        return -1;
    }
    json_begin_event(out, "result");
    write_sdk(out, session, error);
    write_attrs(out, session, "inputs", RKABI_QUERY_INPUT_ATTR, n_inputs);
    write_attrs(out, session, "outputs", RKABI_QUERY_OUTPUT_ATTR, n_outputs);
    write_attrs(out, session, "native_inputs", RKABI_QUERY_NATIVE_INPUT_ATTR, n_inputs);
    write_attrs(out, session, "native_outputs", RKABI_QUERY_NATIVE_OUTPUT_ATTR, n_outputs);
    json_end_event(out);
    return 0;
}

static int give_inputs(const options *given, rkrt_session *session, loaded *inputs, rkrt_error *error)
{
    uint32_t n_inputs = rkrt_session_n_inputs(session);
    rkabi_tensor_attr attr;

    if (given->n_inputs != n_inputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%u inputs were given, the model has %u", given->n_inputs, n_inputs);
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        if (rkrt_session_attr(session, RKABI_QUERY_INPUT_ATTR, i, &attr, error) != 0 ||
            read_input(&given->inputs[i], &attr, &inputs->inputs[i], &inputs->data[i], error) != 0 ||
            (given->zero_copy && rkrt_session_bind_input(session, i, &inputs->inputs[i], error) != 0)) {
            return -1;
        }
    }
    return given->zero_copy ? 0 : rkrt_session_set_inputs(session, n_inputs, inputs->inputs, error);
}

static rkrt_output_request request_for(const options *given, uint32_t index)
{
    rkrt_output_request request = {0, 0, given->native_outputs, -1, -1};

    request.want_float = given->want_float[given->n_want_float > 1 ? index : 0];
    return request;
}

static int get_outputs(const options *given, rkrt_session *session, rkrt_error *error)
{
    uint32_t count = rkrt_session_n_outputs(session);
    rkrt_output_request *requests = calloc(count + 1u, sizeof *requests);
    int status;

    if (!requests) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for outputs");
    }
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = request_for(given, i);
    }
    status = rkrt_session_get_outputs(session, count, requests, error);
    free(requests);
    return status;
}

static int bind_output(const options *given, rkrt_session *session, uint32_t index, rkrt_error *error)
{
    rkrt_output_request request = request_for(given, index);

    return rkrt_session_bind_output(session, index, &request, error);
}

static int save_output(const options *given, rkrt_session *session, uint32_t index, rkrt_output_view *view, rkrt_error *error)
{
    char name[32], path[PATH_MAX];

    snprintf(name, sizeof name, "output%u.npy", index);
    if (rkrt_session_output(session, index, view, error) != 0 ||
        folder_join(path, sizeof path, given->output_dir, name, error) != 0) {
        return -1;
    }
    if (view->untouched) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "output %u: the library wrote nothing into its memory", index);
    }
    return rkrt_npy_write(path, view->type, view->n_dims, view->dims, view->data, view->nbytes, error);
}

static void write_output(json *out, const rkabi_tensor_attr *attr, const rkrt_output_view *view)
{
    bool quantized = (view->type == RKABI_TYPE_INT8 || view->type == RKABI_TYPE_UINT8) &&
                     (attr->type == RKABI_TYPE_INT8 || attr->type == RKABI_TYPE_UINT8) &&
                     attr->qnt_type == RKABI_QNT_AFFINE_ASYMMETRIC;
    rkabi_tensor_attr saved = *attr;
    char name[32], dtype[16];

    if (!quantized) {
        saved.scale = INFINITY; /* written as null */
    }
    snprintf(name, sizeof name, "output%u.npy", attr->index);
    snprintf(dtype, sizeof dtype, "%s", rkrt_type_name(view->type));
    for (char *at = dtype; *at; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    }
    json_begin(out, NULL, '{');
    json_attr(out, &saved);
    json_text(out, "file", name);
    json_text(out, "dtype", dtype);
    json_text(out, "layout", rkrt_fmt_name(view->fmt));
    json_begin(out, "shape", '[');
    for (uint32_t i = 0; i < view->n_dims; i++) {
        json_integer(out, NULL, view->dims[i]);
    }
    json_end(out, ']');
    if (quantized) {
        /* A UINT8 asked of an INT8 tensor is q + 128 (evidence 160_zc_out_native_u8). */
        json_integer(out, "zero_point",
                     attr->zp + (view->type == RKABI_TYPE_UINT8 && attr->type == RKABI_TYPE_INT8 ? 128 : 0));
    } else {
        json_null(out, "zero_point");
    }
    json_end(out, '}');
}

static int execute(json *out, const options *given, rkrt_session *session, loaded *inputs, rkrt_error *error)
{
    uint32_t n_outputs = rkrt_session_n_outputs(session);
    rkabi_sdk_version versions;
    rkabi_tensor_attr attr;
    rkrt_output_view view;
    int64_t *run_us;
    char log[PATH_MAX];

    if (given->core_mask && rkrt_session_set_core_mask(session, given->core_mask, error) != 0) {
        return -1;
    }
    if (given->n_shapes > 0 && rkrt_session_set_shapes(session, given->n_shapes, given->shapes, error) != 0) {
        return -1;
    }
    if (given->n_want_float > 1 && given->n_want_float != n_outputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "--want-float has %u entries, the model has %u outputs",
                         given->n_want_float, n_outputs);
    }
    json_progress(out, "inputs", 0, given->n_inputs);
    if (folder_join(log, sizeof log, given->output_dir, LOG_NAME, error) != 0 ||
        rkrt_session_versions(session, &versions, error) != 0 || give_inputs(given, session, inputs, error) != 0) {
        return -1;
    }
    for (uint32_t i = 0; given->zero_copy && i < n_outputs; i++) {
        if (bind_output(given, session, i, error) != 0) {
            return -1;
        }
    }
    run_us = calloc((size_t)given->repeat, sizeof *run_us);
    if (!run_us) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for %d times", given->repeat);
    }
    for (int i = 0; i < given->repeat; i++) {
        json_progress(out, "run", (uint32_t)i, (uint32_t)given->repeat);
        if (rkrt_session_run(session, &run_us[i], error) != 0) {
            free(run_us);
            return -1;
        }
    }
    json_progress(out, "outputs", 0, n_outputs);
    for (uint32_t i = 0; i < n_outputs; i++) {
        if ((i == 0 && !given->zero_copy && get_outputs(given, session, error) != 0) ||
            save_output(given, session, i, &view, error) != 0) {
            free(run_us);
            return -1;
        }
    }
    json_begin_event(out, "result");
    write_sdk(out, session, error);
    write_attrs(out, session, "inputs", RKABI_QUERY_INPUT_ATTR, given->n_inputs);
    json_begin(out, "outputs", '[');
    for (uint32_t i = 0; i < n_outputs; i++) {
        if (rkrt_session_attr(session, RKABI_QUERY_OUTPUT_ATTR, i, &attr, error) == 0 &&
            rkrt_session_output(session, i, &view, error) == 0) {
            write_output(out, &attr, &view);
        }
    }
    json_end(out, ']');
    json_begin(out, "run_us", '[');
    for (int i = 0; i < given->repeat; i++) {
        json_integer(out, NULL, run_us[i]);
    }
    json_end(out, ']');
    free(run_us);
    folder_write_listing(out, given->dump_dir);
    json_text(out, "log", log);
    json_end_event(out);
    return 0;
}

/* Variables librknnrt reads, set before it is opened; its prints go to the log file (run) or to stderr (query). */
static int prepare(const options *given, rkrt_error *error)
{
    char log[PATH_MAX];

    unsetenv("RKNN_DUMP_DIR");
    unsetenv("RKNN_DUMP_QUANT");
    unsetenv("RKNN_LOG_LEVEL");
    if (given->query) {
        return dup2(2, 1) == 1 ? 0 : rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "stdout: %s", strerror(errno));
    }
    if (folder_make_fresh(given->output_dir, error) != 0 || folder_join(log, sizeof log, given->output_dir, LOG_NAME, error) != 0) {
        return -1;
    }
    if (given->dump_dir) {
        if (folder_make_fresh(given->dump_dir, error) != 0) {
            return -1;
        }
        setenv("RKNN_DUMP_DIR", given->dump_dir, 1);
        setenv("RKNN_DUMP_QUANT", given->dump_quant ? given->dump_quant : "0", 1);
        setenv("RKNN_LOG_LEVEL", "5", 1);
    }
    if (!freopen(log, "a", stdout)) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be written: %s", log, strerror(errno));
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    return dup2(1, 2) == 2 ? 0 : rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "stderr: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    static options given;
    static loaded inputs;
    rkrt_session *session = NULL;
    rkrt_error error = {0};
    int events = dup(1), status, exit_code = 0;
    json out = {events >= 0 ? fdopen(events, "w") : NULL, false};

    if (!out.file) {
        fprintf(stderr, "rkrun: stdout cannot be used: %s\n", strerror(errno));
        return 3;
    }
    json_begin_event(&out, "start");
    json_text(&out, "agent_version", RKPARITY_VERSION);
    json_integer(&out, "pid", (int64_t)getpid());
    json_integer(&out, "time", (int64_t)time(NULL));
    json_end_event(&out);
    status = options_parse(argc, argv, &given, &error);
    if (status == 0) {
        status = prepare(&given, &error);
    }
    if (status == 0) {
        json_progress(&out, "init", 0, 1);
        status = rkrt_session_open(given.library ? given.library : getenv("RKPARITY_LIBRKNNRT"), given.model, 0, &session, &error);
    }
    if (status == 0) {
        status = given.query ? query(&out, session, &error) : execute(&out, &given, session, &inputs, &error);
    }
    if (status != 0) {
        exit_code = json_error(&out, &error);
    }
    rkrt_session_close(session);
    for (unsigned i = 0; i < MAX_INPUTS; i++) {
        free(inputs.data[i]);
    }
    if (fclose(out.file) != 0 && exit_code == 0) {
        exit_code = 3;
    }
    return exit_code;
}

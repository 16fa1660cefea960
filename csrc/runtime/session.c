#include "runtime/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/session_private.h"
#include "runtime/tensor.h"

/* More tensors than any model has: a larger answer means the library and this program disagree about the structure. */
#define MAX_TENSORS 4096u

static int check_attr(const rkrt_session *session, rkabi_tensor_attr *attr, rkrt_error *error)
{
    attr->name[RKABI_MAX_NAME_LEN - 1] = '\0';
    if (attr->n_dims > RKABI_MAX_DIMS) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, "rknn_query", "%s: tensor '%s' is said to have %u dimensions",
                         session->library.path, attr->name, attr->n_dims);
    }
    return 0;
}

/* The command that answers `query` for the shapes set last. */
static int current_query(int query)
{
    switch (query) {
    case RKABI_QUERY_INPUT_ATTR:
        return RKABI_QUERY_CURRENT_INPUT_ATTR;
    case RKABI_QUERY_OUTPUT_ATTR:
        return RKABI_QUERY_CURRENT_OUTPUT_ATTR;
    case RKABI_QUERY_NATIVE_INPUT_ATTR:
        return RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR;
    case RKABI_QUERY_NATIVE_OUTPUT_ATTR:
        return RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR;
    default:
        return query;
    }
}

int rkrt_session_attr(rkrt_session *session, int query, uint32_t index, rkabi_tensor_attr *attr, rkrt_error *error)
{
    int status;

    memset(attr, 0, sizeof *attr);
    attr->index = index;
    query = session->shapes_set ? current_query(query) : query;
    status = session->library.query(session->context, (rkabi_query)query, attr, (uint32_t)sizeof *attr);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_query", status);
    }
    return check_attr(session, attr, error);
}

static int query_all(rkrt_session *session, rkabi_query query, uint32_t count, rkabi_tensor_attr **attrs, rkrt_error *error)
{
    *attrs = calloc(count ? count : 1, sizeof **attrs);
    if (!*attrs) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for the attributes of %u tensors", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rkrt_session_attr(session, (int)query, i, &(*attrs)[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int load(rkrt_session *session, const char *model, int perf, rkrt_error *error)
{
    FILE *file;
    char *path;
    int status;

    /* The library reports a path it cannot open as an invalid model; reading one byte here says which of the two it is. */
    errno = 0;
    file = fopen(model, "rbe");
    if (!file || fgetc(file) == EOF) {
        int reason = errno;
        if (file) {
            fclose(file);
        }
        return rkrt_fail(error, RKRT_ERROR_FILE, reason, NULL, "%s: the model cannot be read: %s", model,
                         reason ? strerror(reason) : "the file is empty");
    }
    fclose(file);
    path = strdup(model);
    if (!path) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for a path");
    }
    /* Size 0: the model is given by path, so that its bytes are not held twice. */
    status = session->library.init(&session->context, path, 0, perf ? RKABI_FLAG_COLLECT_PERF : 0, NULL);
    free(path);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_init", status);
    }
    session->has_context = true;
    return 0;
}

static int describe(rkrt_session *session, rkrt_error *error)
{
    rkabi_in_out_num count = {0, 0};
    int status = session->library.query(session->context, RKABI_QUERY_IN_OUT_NUM, &count, (uint32_t)sizeof count);

    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_query", status);
    }
    if (count.n_input > MAX_TENSORS || count.n_output > MAX_TENSORS) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, "rknn_query", "%s: the model is said to have %u inputs and %u outputs",
                         session->library.path, count.n_input, count.n_output);
    }
    session->n_inputs = count.n_input;
    session->n_outputs = count.n_output;
    if (query_all(session, RKABI_QUERY_INPUT_ATTR, count.n_input, &session->input_attrs, error) != 0 ||
        query_all(session, RKABI_QUERY_OUTPUT_ATTR, count.n_output, &session->output_attrs, error) != 0) {
        return -1;
    }
    session->bound_inputs = calloc(count.n_input + 1u, sizeof *session->bound_inputs);
    session->bound_outputs = calloc(count.n_output + 1u, sizeof *session->bound_outputs);
    session->outputs = calloc(count.n_output + 1u, sizeof *session->outputs);
    session->own_buffers = calloc(count.n_output + 1u, sizeof *session->own_buffers);
    if (!session->bound_inputs || !session->bound_outputs || !session->outputs || !session->own_buffers) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for a session");
    }
    return 0;
}

static int requery(rkrt_session *session, rkrt_error *error)
{
    for (uint32_t i = 0; i < session->n_inputs; i++) {
        if (rkrt_session_attr(session, RKABI_QUERY_INPUT_ATTR, i, &session->input_attrs[i], error) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < session->n_outputs; i++) {
        if (rkrt_session_attr(session, RKABI_QUERY_OUTPUT_ATTR, i, &session->output_attrs[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

int rkrt_session_set_shapes(rkrt_session *session, uint32_t n_inputs, const rkrt_shape *shapes, rkrt_error *error)
{
    rkabi_tensor_attr *attrs;
    int status;

    if (rkrt_require(&session->library, session->library.set_input_shapes != NULL, "rknn_set_input_shapes", error) != 0 ||
        rkrt_release_outputs(session, error) != 0) {
        return -1;
    }
    if (n_inputs != session->n_inputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_input_shapes", "%u shapes were given, the model has %u inputs",
                         n_inputs, session->n_inputs);
    }
    attrs = calloc(n_inputs + 1u, sizeof *attrs);
    if (!attrs) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for the shapes of %u inputs", n_inputs);
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        attrs[i] = session->input_attrs[i];
        attrs[i].n_dims = shapes[i].n_dims < RKABI_MAX_DIMS ? shapes[i].n_dims : RKABI_MAX_DIMS;
        memcpy(attrs[i].dims, shapes[i].dims, sizeof attrs[i].dims);
    }
    status = session->library.set_input_shapes(session->context, n_inputs, attrs);
    free(attrs);
    if (status != RKABI_OK) {
        rkrt_fail_call(error, "rknn_set_input_shapes", status);
        return rkrt_hint(error, "the model must have been built with dynamic_input for these shapes; `rkparity inspect` lists them");
    }
    for (uint32_t i = 0; i < session->n_inputs; i++) {
        rkrt_unbind(session, &session->bound_inputs[i]);
    }
    for (uint32_t i = 0; i < session->n_outputs; i++) {
        rkrt_unbind(session, &session->bound_outputs[i]);
    }
    session->inputs_set = false;
    session->shapes_set = true;
    return requery(session, error);
}

int rkrt_session_open(const char *library, const char *model, int perf, rkrt_session **session, rkrt_error *error)
{
    rkrt_session *opened = calloc(1, sizeof *opened);

    *session = NULL;
    if (!opened) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for a session");
    }
    if (rkrt_library_open(library, &opened->library, error) != 0 || load(opened, model, perf, error) != 0 ||
        describe(opened, error) != 0) {
        rkrt_session_close(opened);
        return -1;
    }
    *session = opened;
    return 0;
}

void rkrt_session_close(rkrt_session *session)
{
    rkrt_error ignored;

    if (!session) {
        return;
    }
    if (session->has_context) {
        rkrt_release_outputs(session, &ignored);
        for (uint32_t i = 0; session->bound_inputs && i < session->n_inputs; i++) {
            rkrt_unbind(session, &session->bound_inputs[i]);
        }
        for (uint32_t i = 0; session->bound_outputs && i < session->n_outputs; i++) {
            rkrt_unbind(session, &session->bound_outputs[i]);
        }
        session->library.destroy(session->context);
    }
    /* The library stays mapped: it may have started threads of its own, which must not lose their code. */
    for (uint32_t i = 0; session->own_buffers && i < session->n_outputs; i++) {
        free(session->own_buffers[i]);
    }
    free(session->own_buffers);
    free(session->outputs);
    free(session->bound_inputs);
    free(session->bound_outputs);
    free(session->input_attrs);
    free(session->output_attrs);
    free(session);
}

const char *rkrt_session_library_path(const rkrt_session *session)
{
    return session->library.path;
}

uint32_t rkrt_session_n_inputs(const rkrt_session *session)
{
    return session->n_inputs;
}

uint32_t rkrt_session_n_outputs(const rkrt_session *session)
{
    return session->n_outputs;
}

int rkrt_session_versions(rkrt_session *session, rkabi_sdk_version *versions, rkrt_error *error)
{
    int status;

    memset(versions, 0, sizeof *versions);
    status = session->library.query(session->context, RKABI_QUERY_SDK_VERSION, versions, (uint32_t)sizeof *versions);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_query", status);
    }
    versions->api_version[sizeof versions->api_version - 1] = '\0';
    versions->drv_version[sizeof versions->drv_version - 1] = '\0';
    return 0;
}

int rkrt_session_mem_size(rkrt_session *session, rkabi_mem_size *size, rkrt_error *error)
{
    int status;

    memset(size, 0, sizeof *size);
    status = session->library.query(session->context, RKABI_QUERY_MEM_SIZE, size, (uint32_t)sizeof *size);
    return status == RKABI_OK ? 0 : rkrt_fail_call(error, "rknn_query", status);
}

int rkrt_session_set_core_mask(rkrt_session *session, int mask, rkrt_error *error)
{
    int status;

    if (rkrt_require(&session->library, session->library.set_core_mask != NULL, "rknn_set_core_mask", error) != 0) {
        return -1;
    }
    status = session->library.set_core_mask(session->context, (rkabi_core_mask)mask);
    return status == RKABI_OK ? 0 : rkrt_fail_call(error, "rknn_set_core_mask", status);
}

int rkrt_session_perf(rkrt_session *session, int64_t *run_us, const char **detail, uint64_t *detail_nbytes, rkrt_error *error)
{
    rkabi_perf_run perf = {0};
    rkabi_perf_detail text = {NULL, 0};
    int status = session->library.query(session->context, RKABI_QUERY_PERF_RUN, &perf, (uint32_t)sizeof perf);

    if (status == RKABI_OK) {
        status = session->library.query(session->context, RKABI_QUERY_PERF_DETAIL, &text, (uint32_t)sizeof text);
    }
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_query", status);
    }
    *run_us = perf.run_duration_us;
    *detail = text.data;
    *detail_nbytes = text.data ? text.length : 0;
    return 0;
}

/* The library runs on whatever memory holds when an input is missing, and returns success (evidence 160_err_run_noset). */
static int check_ready(const rkrt_session *session, rkrt_error *error)
{
    for (uint32_t i = 0; i < session->n_inputs; i++) {
        if (!session->inputs_set && !session->bound_inputs[i].mem) {
            return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_run", "input %u ('%s') was not given", i,
                             session->input_attrs[i].name);
        }
    }
    return 0;
}

static int sync(rkrt_session *session, rkrt_bound *bounds, uint32_t count, rkabi_sync mode, rkrt_error *error)
{
    if (!session->library.mem_sync) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        int status = bounds[i].mem ? session->library.mem_sync(session->context, bounds[i].mem, mode) : RKABI_OK;
        if (status != RKABI_OK) {
            return rkrt_fail_call(error, "rknn_mem_sync", status);
        }
    }
    return 0;
}

int rkrt_session_run(rkrt_session *session, int64_t *elapsed_us, rkrt_error *error)
{
    struct timespec start, end;
    int status;

    if (check_ready(session, error) != 0 || rkrt_release_outputs(session, error) != 0) {
        return -1;
    }
    for (uint32_t i = 0; i < session->n_outputs; i++) {
        rkabi_tensor_mem *mem = session->bound_outputs[i].mem;
        if (mem) {
            memset(mem->virt_addr, RKRT_PATTERN, mem->size);
        }
    }
    if (sync(session, session->bound_inputs, session->n_inputs, RKABI_SYNC_TO_DEVICE, error) != 0 ||
        sync(session, session->bound_outputs, session->n_outputs, RKABI_SYNC_TO_DEVICE, error) != 0) {
        return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    status = session->library.run(session->context, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_run", status);
    }
    *elapsed_us = (int64_t)(end.tv_sec - start.tv_sec) * 1000000 + (int64_t)(end.tv_nsec - start.tv_nsec) / 1000;
    return sync(session, session->bound_outputs, session->n_outputs, RKABI_SYNC_FROM_DEVICE, error);
}

bool rkrt_is_pattern(const void *data, uint64_t nbytes)
{
    const unsigned char *bytes = data;

    for (uint64_t i = 0; i < nbytes; i++) {
        if (bytes[i] != RKRT_PATTERN) {
            return false;
        }
    }
    return nbytes > 0;
}

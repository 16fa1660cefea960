/* The general API: rknn_inputs_set, rknn_outputs_get, rknn_outputs_release. */
#include <stdlib.h>
#include <string.h>

#include "runtime/session_private.h"
#include "runtime/tensor.h"

/* The bytes an input of the model may have, in the caller's type; with pass_through, the native size and that with strides. */
static int check_input(rkrt_session *session, uint32_t index, const rkrt_input *input, rkrt_error *error)
{
    const rkabi_tensor_attr *attr = &session->input_attrs[index];
    uint64_t least = 0, most;

    if (!input->data) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_inputs_set", "input %u ('%s') has no data", index, attr->name);
    }
    if (input->pass_through) {
        rkabi_tensor_attr native;
        rkrt_error ignored;
        if (rkrt_session_attr(session, RKABI_QUERY_NATIVE_INPUT_ATTR, index, &native, &ignored) != 0) {
            native = *attr;
        }
        least = native.size;
        most = native.size_with_stride > native.size ? native.size_with_stride : native.size;
    } else {
        if (!rkrt_multiply(attr->n_elems, rkrt_type_size(input->type), &least) || least == 0) {
            return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_inputs_set", "input %u ('%s') cannot be given as type %s", index,
                             attr->name, rkrt_type_name(input->type));
        }
        most = least;
    }
    if (input->nbytes < least || input->nbytes > most || input->nbytes > UINT32_MAX) {
        rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_inputs_set",
                  "input %u ('%s') has %llu bytes; %u elements of %s%s need %llu", index, attr->name,
                  (unsigned long long)input->nbytes, attr->n_elems, rkrt_type_name(input->type),
                  input->pass_through ? " passed through" : "", (unsigned long long)most);
        return rkrt_hint(error, "give the input in the model's shape and in the type declared for it");
    }
    return 0;
}

int rkrt_session_set_inputs(rkrt_session *session, uint32_t n_inputs, const rkrt_input *inputs, rkrt_error *error)
{
    rkabi_input *given;
    int status;

    if (rkrt_require(&session->library, session->library.inputs_set != NULL, "rknn_inputs_set", error) != 0) {
        return -1;
    }
    if (n_inputs != session->n_inputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_inputs_set", "%u inputs were given, the model has %u", n_inputs,
                         session->n_inputs);
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        if (check_input(session, i, &inputs[i], error) != 0) {
            return -1;
        }
    }
    given = calloc(n_inputs + 1u, sizeof *given);
    if (!given) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for %u inputs", n_inputs);
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        given[i].index = i;
        /* The ABI's pointer is not const, but rknn_inputs_set only reads. */
        memcpy(&given[i].buf, &inputs[i].data, sizeof given[i].buf);
        given[i].size = (uint32_t)inputs[i].nbytes;
        given[i].pass_through = inputs[i].pass_through ? 1 : 0;
        given[i].type = (rkabi_type)inputs[i].type;
        given[i].fmt = (rkabi_fmt)inputs[i].fmt;
    }
    status = session->library.inputs_set(session->context, n_inputs, given);
    free(given);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_inputs_set", status);
    }
    session->inputs_set = true;
    return 0;
}

int rkrt_release_outputs(rkrt_session *session, rkrt_error *error)
{
    int status;

    if (!session->outputs_held) {
        return 0;
    }
    session->outputs_held = false;
    if (!session->library.outputs_release) {
        return 0;
    }
    status = session->library.outputs_release(session->context, session->n_outputs, session->outputs);
    return status == RKABI_OK ? 0 : rkrt_fail_call(error, "rknn_outputs_release", status);
}

/* int64 outputs stay int64 with want_float (evidence 160_c25_*: their OutputOperator dumps are int64). */
static uint64_t element_size(const rkabi_tensor_attr *attr, int want_float)
{
    return want_float && attr->type != RKABI_TYPE_INT64 ? sizeof(float) : rkrt_type_size((int)attr->type);
}

static int prepare_buffer(rkrt_session *session, uint32_t index, int want_float, rkrt_error *error)
{
    const rkabi_tensor_attr *attr = &session->output_attrs[index];
    uint64_t nbytes;

    free(session->own_buffers[index]);
    session->own_buffers[index] = NULL;
    if (!rkrt_multiply(attr->n_elems, element_size(attr, want_float), &nbytes) || nbytes == 0 || nbytes > UINT32_MAX) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_outputs_get",
                         "output %u ('%s', %u elements of %s) cannot be preallocated", index, attr->name, attr->n_elems,
                         rkrt_type_name((int)attr->type));
    }
    session->own_buffers[index] = malloc((size_t)nbytes);
    if (!session->own_buffers[index]) {
        return rkrt_fail(error, RKRT_ERROR_MEMORY, 0, NULL, "no memory for output %u (%llu bytes)", index,
                         (unsigned long long)nbytes);
    }
    memset(session->own_buffers[index], RKRT_PATTERN, (size_t)nbytes);
    session->outputs[index].buf = session->own_buffers[index];
    session->outputs[index].size = (uint32_t)nbytes;
    return 0;
}

int rkrt_session_get_outputs(rkrt_session *session, uint32_t n_outputs, const rkrt_output_request *requests, rkrt_error *error)
{
    int status;

    if (rkrt_require(&session->library, session->library.outputs_get != NULL, "rknn_outputs_get", error) != 0 ||
        rkrt_release_outputs(session, error) != 0) {
        return -1;
    }
    if (n_outputs != session->n_outputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_outputs_get", "%u outputs were asked for, the model has %u",
                         n_outputs, session->n_outputs);
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        memset(&session->outputs[i], 0, sizeof session->outputs[i]);
        session->outputs[i].index = i;
        session->outputs[i].want_float = requests[i].want_float ? 1 : 0;
        session->outputs[i].is_prealloc = requests[i].prealloc ? 1 : 0;
        if (requests[i].prealloc) {
            if (prepare_buffer(session, i, requests[i].want_float, error) != 0) {
                return -1;
            }
        } else {
            free(session->own_buffers[i]);
            session->own_buffers[i] = NULL;
        }
    }
    status = session->library.outputs_get(session->context, n_outputs, session->outputs, NULL);
    if (status != RKABI_OK) {
        return rkrt_fail_call(error, "rknn_outputs_get", status);
    }
    session->outputs_held = true;
    return 0;
}

int rkrt_session_output(rkrt_session *session, uint32_t index, rkrt_output_view *view, rkrt_error *error)
{
    const rkabi_tensor_attr *attr;
    const rkabi_output *output;
    uint64_t as_float, as_type;

    memset(view, 0, sizeof *view);
    if (index >= session->n_outputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "output %u does not exist; the model has %u", index,
                         session->n_outputs);
    }
    if (session->bound_outputs[index].mem) {
        return rkrt_bound_output(session, index, view, error);
    }
    attr = &session->output_attrs[index];
    output = &session->outputs[index];
    if (!session->outputs_held || !output->buf) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, "rknn_outputs_get", "output %u ('%s') was not given by the library", index,
                         attr->name);
    }
    as_float = (uint64_t)attr->n_elems * sizeof(float);
    as_type = (uint64_t)attr->n_elems * rkrt_type_size((int)attr->type);
    view->type = output->want_float && output->size == as_float ? (int)RKABI_TYPE_FLOAT32 : (int)attr->type;
    if (output->size != as_type && view->type != (int)RKABI_TYPE_FLOAT32) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, "rknn_outputs_get",
                         "output %u ('%s') came with %u bytes; %u elements of %s need %llu", index, attr->name, output->size,
                         attr->n_elems, rkrt_type_name((int)attr->type), (unsigned long long)as_type);
    }
    view->data = output->buf;
    view->nbytes = output->size;
    view->fmt = (int)attr->fmt;
    view->n_dims = attr->n_dims;
    memcpy(view->dims, attr->dims, sizeof view->dims);
    view->untouched = output->is_prealloc && rkrt_is_pattern(output->buf, output->size);
    return 0;
}

/* The general API: rknn_inputs_set, rknn_outputs_get, rknn_outputs_release. */
#include <stddef.h>

#include "layer/call.h"
#include "layer/describe.h"
#include "layer/trace.h"

/* The name of a buffer to be kept, or NULL: the first N runs' buffers are. */
static const char *name_to_keep(const struct rkl_call *call, uint64_t run, const char *what, uint32_t place, char *name, size_t size)
{
    if (run >= rkl_settings()->buffers) {
        return NULL;
    }
    rkl_trace_name(name, size, call->seq, what, place);
    return name;
}

static void put_input(struct rkl_call *call, const rkabi_input *input, uint32_t place, uint64_t run)
{
    struct rkl_content content = {.taken = false};
    char name[RKL_NAME_SIZE];
    if (rkl_settings()->hash) {
        const char *keep = name_to_keep(call, run, "in", place, name, sizeof name);
        rkl_content_take(&content, input->buf, input->size, (int32_t)input->type, true, keep);
    }
    if (!input->buf || (content.unread && content.read == 0)) {
        rkl_doubt(call, "inputs", (int)place, input->buf);
    }
    rkl_open(&call->line, NULL, '{');
    rkl_put_uint(&call->line, "index", input->index);
    rkl_put_pointer(&call->line, "buf", input->buf);
    rkl_put_uint(&call->line, "size", input->size);
    rkl_put_uint(&call->line, "pass_through", input->pass_through);
    rkl_put_type(&call->line, "type", (int32_t)input->type);
    rkl_put_fmt(&call->line, "fmt", (int32_t)input->fmt);
    rkl_put_content(&call->line, "content", &content);
    rkl_close(&call->line, '}');
}

RKL_EXPORT int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[])
{
    struct rkl_call call;
    rkabi_input copies[RKL_MAX_LISTED];
    bool unreadable;
    uint32_t n;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_inputs_set, RKABI_ERR_FAIL, ctx, n_inputs, inputs);
    }
    rkl_begin(&call, "rknn_inputs_set", ctx, !rkl_real()->rknn_inputs_set);
    n = rkl_copy_array(copies, inputs, n_inputs, rkl_context_count(ctx, RKL_INPUTS), sizeof *copies, &unreadable);
    if (unreadable) {
        rkl_doubt(&call, "inputs", -1, inputs);
    }
    rkl_put_uint(&call.line, "n_inputs", n_inputs);
    rkl_open(&call.line, "inputs", '[');
    for (uint32_t i = 0; i < n; i++) {
        put_input(&call, &copies[i], i, rkl_context_runs(ctx, false));
    }
    rkl_close(&call.line, ']');
    rkl_put_bool(&call.line, "unreadable", unreadable);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_inputs_set, RKABI_ERR_FAIL, ctx, n_inputs, inputs));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

/* want_float gives float32; INT64 stays INT64 (evidence 160_c25_ids_*). */
static int64_t output_type(rkabi_context ctx, uint32_t place, const rkabi_output *output)
{
    rkabi_tensor_attr attr;
    if (!rkl_context_attr(ctx, RKL_OUTPUTS, place, &attr)) {
        return output->want_float ? RKABI_TYPE_FLOAT32 : RKL_TYPE_UNKNOWN;
    }
    return output->want_float && attr.type != RKABI_TYPE_INT64 ? RKABI_TYPE_FLOAT32 : (int64_t)attr.type;
}

static void put_output(struct rkl_call *call, const rkabi_output *before, const rkabi_output *after, uint32_t place, uint64_t run)
{
    struct rkl_content content = {.taken = false};
    char name[RKL_NAME_SIZE];
    if (rkl_settings()->hash && call->status == RKABI_OK) {
        const char *keep = name_to_keep(call, run, "out", place, name, sizeof name);
        rkl_content_take(&content, after->buf, after->size, output_type(call->handle, place, before), true, keep);
    }
    rkl_open(&call->line, NULL, '{');
    rkl_put_uint(&call->line, "index", before->index);
    rkl_put_uint(&call->line, "want_float", before->want_float);
    rkl_put_uint(&call->line, "is_prealloc", before->is_prealloc);
    rkl_put_pointer(&call->line, "buf_before", before->buf);
    rkl_put_uint(&call->line, "size_before", before->size);
    rkl_put_pointer(&call->line, "buf", after->buf);
    rkl_put_uint(&call->line, "size", after->size);
    rkl_put_content(&call->line, "content", &content);
    rkl_close(&call->line, '}');
}

RKL_EXPORT int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend)
{
    struct rkl_call call;
    rkabi_output before[RKL_MAX_LISTED];
    rkabi_output after[RKL_MAX_LISTED];
    bool unreadable, ignored;
    uint32_t known, n, m;
    uint64_t runs;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_outputs_get, RKABI_ERR_FAIL, ctx, n_outputs, outputs, extend);
    }
    rkl_begin(&call, "rknn_outputs_get", ctx, !rkl_real()->rknn_outputs_get);
    known = rkl_context_count(ctx, RKL_OUTPUTS);
    n = rkl_copy_array(before, outputs, n_outputs, known, sizeof *before, &unreadable);
    if (unreadable) {
        rkl_doubt(&call, "outputs", -1, outputs);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (before[i].is_prealloc && !before[i].buf) {
            rkl_doubt(&call, "outputs", (int)i, NULL);
        }
    }
    rkl_put_uint(&call.line, "n_outputs", n_outputs);
    if (extend && call.context > 0) {
        rkl_open(&call.line, "extend", '{');
        rkl_put_uint(&call.line, "frame_id", extend->frame_id);
        rkl_close(&call.line, '}');
    } else {
        rkl_put_null(&call.line, "extend");
    }
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_outputs_get, RKABI_ERR_FAIL, ctx, n_outputs, outputs, extend));
    m = rkl_copy_array(after, outputs, n, n_outputs <= known ? n : 0, sizeof *after, &ignored);
    runs = rkl_context_runs(ctx, false);
    rkl_open(&call.line, "outputs", '[');
    for (uint32_t i = 0; i < m; i++) {
        put_output(&call, &before[i], &after[i], i, runs > 0 ? runs - 1 : 0);
    }
    rkl_close(&call.line, ']');
    rkl_put_bool(&call.line, "unreadable", unreadable);
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[])
{
    struct rkl_call call;
    rkabi_output copies[RKL_MAX_LISTED];
    bool unreadable;
    uint32_t n;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_outputs_release, RKABI_ERR_FAIL, ctx, n_outputs, outputs);
    }
    rkl_begin(&call, "rknn_outputs_release", ctx, !rkl_real()->rknn_outputs_release);
    n = rkl_copy_array(copies, outputs, n_outputs, rkl_context_count(ctx, RKL_OUTPUTS), sizeof *copies, &unreadable);
    if (unreadable) {
        rkl_doubt(&call, "outputs", -1, outputs);
    }
    rkl_put_uint(&call.line, "n_outputs", n_outputs);
    rkl_open(&call.line, "outputs", '[');
    for (uint32_t i = 0; i < n; i++) {
        rkl_open(&call.line, NULL, '{');
        rkl_put_uint(&call.line, "index", copies[i].index);
        rkl_put_uint(&call.line, "want_float", copies[i].want_float);
        rkl_put_uint(&call.line, "is_prealloc", copies[i].is_prealloc);
        rkl_put_pointer(&call.line, "buf", copies[i].buf);
        rkl_put_uint(&call.line, "size", copies[i].size);
        rkl_close(&call.line, '}');
    }
    rkl_close(&call.line, ']');
    rkl_put_bool(&call.line, "unreadable", unreadable);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_outputs_release, RKABI_ERR_FAIL, ctx, n_outputs, outputs));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

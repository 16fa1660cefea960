/* rknn_init, rknn_dup_context, rknn_destroy, and what the layer asks about a new context. */
#include <stdlib.h>
#include <string.h>

#include "layer/call.h"
#include "layer/describe.h"
#include "layer/dumps.h"
#include "layer/model.h"
#include "layer/names.h"
#include "layer/readable.h"
#include "layer/trace.h"

struct question {
    enum rkl_attr_kind kind;
    rkabi_query command;
    const char *key;
    bool of_inputs;
};

static const struct question questions[RKL_ATTR_KINDS] = {
    {RKL_INPUTS, RKABI_QUERY_INPUT_ATTR, "inputs", true},
    {RKL_OUTPUTS, RKABI_QUERY_OUTPUT_ATTR, "outputs", false},
    {RKL_NATIVE_INPUTS, RKABI_QUERY_NATIVE_INPUT_ATTR, "native_inputs", true},
    {RKL_NATIVE_OUTPUTS, RKABI_QUERY_NATIVE_OUTPUT_ATTR, "native_outputs", false},
};

static void put_failure(struct rkl_text *failures, rkabi_query command, uint32_t index, int status)
{
    rkl_open(failures, NULL, '{');
    rkl_put_name(failures, "command", rkl_query_name(command), command);
    rkl_put_uint(failures, "index", index);
    rkl_put_int(failures, "ret", status);
    rkl_close(failures, '}');
}

/* Asks until the first refusal; the list holds what was answered. */
static void ask_attrs(rkabi_context handle, const struct question *question, uint32_t n, struct rkl_attrs *attrs,
                      struct rkl_text *failures)
{
    attrs->list = n > 0 && n <= RKL_MAX_TENSORS ? calloc(n, sizeof *attrs->list) : NULL;
    attrs->n = 0;
    for (uint32_t i = 0; attrs->list && i < n; i++) {
        int status;
        attrs->list[i].index = i;
        status = rkl_real()->rknn_query(handle, question->command, &attrs->list[i], sizeof attrs->list[i]);
        if (status != RKABI_OK) {
            put_failure(failures, question->command, i, status);
            break;
        }
        attrs->n++;
    }
}

static void ask(rkabi_context handle, struct rkl_attrs attrs[RKL_ATTR_KINDS], struct rkl_text *line)
{
    rkabi_in_out_num number = {0, 0};
    rkabi_sdk_version version;
    struct rkl_text failures;
    bool versioned = false;

    memset(attrs, 0, RKL_ATTR_KINDS * sizeof *attrs);
    rkl_text_init(&failures);
    rkl_open(&failures, "failed_queries", '[');
    if (rkl_settings()->query && rkl_real()->rknn_query) {
        int status;
        rkl_nest();
        memset(&version, 0, sizeof version);
        status = rkl_real()->rknn_query(handle, RKABI_QUERY_SDK_VERSION, &version, sizeof version);
        versioned = status == RKABI_OK;
        if (!versioned) {
            put_failure(&failures, RKABI_QUERY_SDK_VERSION, 0, status);
        }
        status = rkl_real()->rknn_query(handle, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number);
        if (status != RKABI_OK) {
            put_failure(&failures, RKABI_QUERY_IN_OUT_NUM, 0, status);
            number = (rkabi_in_out_num){0, 0};
        }
        for (int i = 0; i < RKL_ATTR_KINDS; i++) {
            ask_attrs(handle, &questions[i], questions[i].of_inputs ? number.n_input : number.n_output, &attrs[i], &failures);
        }
        rkl_unnest();
    }
    rkl_close(&failures, ']');
    if (versioned) {
        rkl_open(line, "sdk", '{');
        rkl_put_text(line, "api_version", version.api_version, sizeof version.api_version);
        rkl_put_text(line, "driver_version", version.drv_version, sizeof version.drv_version);
        rkl_close(line, '}');
    } else {
        rkl_put_null(line, "sdk");
    }
    for (int i = 0; i < RKL_ATTR_KINDS; i++) {
        rkl_put_attrs(line, questions[i].key, &attrs[i]);
    }
    rkl_append(line, &failures);
    rkl_text_free(&failures);
}

static void begin_context_line(struct rkl_text *line, const struct rkl_call *call, uint32_t flags)
{
    rkl_trace_begin(line, "context");
    rkl_put_uint(line, "seq", call->seq);
    rkl_put_hex(line, "handle", call->handle);
    rkl_put_uint(line, "flags", flags);
}

static void note_context(struct rkl_call *call, uint32_t flags, const struct rkl_model *model)
{
    struct rkl_attrs attrs[RKL_ATTR_KINDS];
    struct rkl_text line;
    begin_context_line(&line, call, flags);
    rkl_put_null(&line, "duplicated_from");
    rkl_put_model(&line, model);
    ask(call->handle, attrs, &line);
    call->context = rkl_context_add(call->handle, attrs);
    rkl_dumps_note(call->context, model->hashed ? model->sha256 : NULL);
    rkl_put_uint(&line, "context", call->context);
    rkl_trace_write(&line);
}

static void put_extend(struct rkl_text *text, const rkabi_init_extend *extend)
{
    if (!extend) {
        rkl_put_null(text, "extend");
        return;
    }
    rkl_open(text, "extend", '{');
    rkl_put_hex(text, "ctx", extend->ctx);
    rkl_put_int(text, "real_model_offset", extend->real_model_offset);
    rkl_put_uint(text, "real_model_size", extend->real_model_size);
    rkl_put_int(text, "model_buffer_fd", extend->model_buffer_fd);
    rkl_put_uint(text, "model_buffer_flags", extend->model_buffer_flags);
    rkl_close(text, '}');
}

RKL_EXPORT int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend)
{
    struct rkl_call call;
    struct rkl_model given;
    rkabi_init_extend extended;
    bool has_extend;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_init, RKABI_ERR_FAIL, ctx, model, size, flag, extend);
    }
    rkl_begin(&call, "rknn_init", 0, !rkl_real()->rknn_init);
    has_extend = extend && rkl_copy_proven(&extended, extend, sizeof extended) == sizeof extended;
    if (!model || !ctx) {
        rkl_doubt(&call, !model ? "model" : "context", -1, NULL);
    }
    rkl_model_take(&given, model, size, has_extend ? &extended : NULL, rkl_settings()->hash);
    rkl_put_model(&call.line, &given);
    rkl_put_uint(&call.line, "flags", flag);
    put_extend(&call.line, has_extend ? &extended : NULL);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_init, RKABI_ERR_FAIL, ctx, model, size, flag, extend));
    if (call.status == RKABI_OK && ctx) {
        call.handle = *ctx;
        note_context(&call, flag, &given);
    }
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_dup_context(rkabi_context *from, rkabi_context *to)
{
    struct rkl_call call;
    struct rkl_text line;
    rkabi_context source = 0;
    uint32_t number;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_dup_context, RKABI_ERR_FAIL, from, to);
    }
    if (from) {
        source = *from;
    }
    number = rkl_context_number(source);
    rkl_begin(&call, "rknn_dup_context", source, !rkl_real()->rknn_dup_context);
    rkl_put_uint(&call.line, "from", number);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_dup_context, RKABI_ERR_FAIL, from, to));
    if (call.status == RKABI_OK && to) {
        call.handle = *to;
        begin_context_line(&line, &call, 0);
        rkl_put_uint(&line, "duplicated_from", number);
        rkl_put_null(&line, "model");
        rkl_put_null(&line, "sdk");
        call.context = rkl_context_add_copy(call.handle, source);
        rkl_dumps_note_copy(call.context, number);
        for (int i = 0; i < RKL_ATTR_KINDS; i++) {
            rkabi_tensor_attr attr;
            rkl_open(&line, questions[i].key, '[');
            for (uint32_t k = 0; rkl_context_attr(call.handle, questions[i].kind, k, &attr); k++) {
                rkl_put_attr(&line, NULL, &attr);
            }
            rkl_close(&line, ']');
        }
        rkl_open(&line, "failed_queries", '[');
        rkl_close(&line, ']');
        rkl_put_uint(&line, "context", call.context);
        rkl_trace_write(&line);
    }
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_destroy(rkabi_context ctx)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_destroy, RKABI_ERR_FAIL, ctx);
    }
    rkl_begin(&call, "rknn_destroy", ctx, !rkl_real()->rknn_destroy);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_destroy, RKABI_ERR_FAIL, ctx));
    if (call.status == RKABI_OK) {
        rkl_context_remove(call.context);
    }
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

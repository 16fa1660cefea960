/* rknn_query and the settings that are one number or a list of shapes. */
#include <string.h>

#include "layer/call.h"
#include "layer/describe.h"
#include "layer/names.h"

static bool is_attr_command(rkabi_query command)
{
    switch (command) {
    case RKABI_QUERY_INPUT_ATTR:
    case RKABI_QUERY_OUTPUT_ATTR:
    case RKABI_QUERY_NATIVE_INPUT_ATTR:
    case RKABI_QUERY_NATIVE_OUTPUT_ATTR:
    case RKABI_QUERY_NATIVE_NHWC_INPUT_ATTR:
    case RKABI_QUERY_NATIVE_NHWC_OUTPUT_ATTR:
    case RKABI_QUERY_CURRENT_INPUT_ATTR:
    case RKABI_QUERY_CURRENT_OUTPUT_ATTR:
    case RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR:
    case RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR:
        return true;
    default:
        return false;
    }
}

RKL_EXPORT int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size)
{
    struct rkl_call call;
    rkabi_tensor_attr attr;
    uint32_t index = 0;
    bool has_index;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_query, RKABI_ERR_FAIL, ctx, command, info, size);
    }
    rkl_begin(&call, "rknn_query", ctx, !rkl_real()->rknn_query);
    has_index = is_attr_command(command) && info && size >= sizeof index && call.context > 0;
    if (has_index) {
        memcpy(&index, info, sizeof index);
    }
    if (!info) {
        rkl_doubt(&call, "info", -1, NULL);
    }
    rkl_put_name(&call.line, "command", rkl_query_name((int32_t)command), (int32_t)command);
    rkl_put_int(&call.line, "command_value", (int32_t)command);
    rkl_put_uint(&call.line, "info_len", size);
    rkl_put_bool(&call.line, "info_null", !info);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_query, RKABI_ERR_FAIL, ctx, command, info, size));
    if (has_index) {
        rkl_put_uint(&call.line, "index", index);
    } else {
        rkl_put_null(&call.line, "index");
    }
    if (has_index && call.status == RKABI_OK && size >= sizeof attr) {
        memcpy(&attr, info, sizeof attr);
        rkl_put_attr(&call.line, "attr", &attr);
    } else {
        rkl_put_null(&call.line, "attr");
    }
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

static void put_shapes(struct rkl_call *call, uint32_t n, const rkabi_tensor_attr *attrs)
{
    rkabi_tensor_attr attr;
    bool unreadable = false;
    uint32_t i = 0;
    rkl_put_uint(&call->line, "n_inputs", n);
    if (!attrs) {
        rkl_doubt(call, "attrs", -1, NULL);
    }
    rkl_open(&call->line, "attrs", '[');
    /* One at a time: 64 of them would be much for a thread's stack. */
    for (; i < n && i < RKL_MAX_LISTED; i++) {
        const uint32_t known = n <= rkl_context_count(call->handle, RKL_INPUTS) ? 1 : 0;
        if (rkl_copy_array(&attr, attrs ? attrs + i : NULL, 1, known, sizeof attr, &unreadable) == 0) {
            break;
        }
        rkl_put_attr(&call->line, NULL, &attr);
    }
    rkl_close(&call->line, ']');
    rkl_put_bool(&call->line, "unreadable", unreadable);
}

RKL_EXPORT int rknn_set_input_shape(rkabi_context ctx, rkabi_tensor_attr *attr)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_input_shape, RKABI_ERR_FAIL, ctx, attr);
    }
    rkl_begin(&call, "rknn_set_input_shape", ctx, !rkl_real()->rknn_set_input_shape);
    put_shapes(&call, 1, attr);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_input_shape, RKABI_ERR_FAIL, ctx, attr));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_set_input_shapes(rkabi_context ctx, uint32_t n_inputs, rkabi_tensor_attr attr[])
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_input_shapes, RKABI_ERR_FAIL, ctx, n_inputs, attr);
    }
    rkl_begin(&call, "rknn_set_input_shapes", ctx, !rkl_real()->rknn_set_input_shapes);
    put_shapes(&call, n_inputs, attr);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_input_shapes, RKABI_ERR_FAIL, ctx, n_inputs, attr));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_set_core_mask(rkabi_context ctx, rkabi_core_mask core_mask)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_core_mask, RKABI_ERR_FAIL, ctx, core_mask);
    }
    rkl_begin(&call, "rknn_set_core_mask", ctx, !rkl_real()->rknn_set_core_mask);
    rkl_put_int(&call.line, "core_mask", (int32_t)core_mask);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_core_mask, RKABI_ERR_FAIL, ctx, core_mask));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_set_batch_core_num(rkabi_context ctx, int core_num)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_batch_core_num, RKABI_ERR_FAIL, ctx, core_num);
    }
    rkl_begin(&call, "rknn_set_batch_core_num", ctx, !rkl_real()->rknn_set_batch_core_num);
    rkl_put_int(&call.line, "core_num", core_num);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_batch_core_num, RKABI_ERR_FAIL, ctx, core_num));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

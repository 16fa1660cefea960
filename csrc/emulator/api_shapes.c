/* rknn_set_input_shapes and its old form rknn_set_input_shape: which of a dynamic model's sets of shapes is computed. */
#include <stdio.h>
#include <string.h>

#include "emulator/attributes.h"
#include "emulator/export.h"
#include "emulator/log.h"

#define MAX_TEXT 256

static void write_dims(const rkabi_tensor_attr *attr, const char *separator, char *text, size_t size) {
    int at = snprintf(text, size, "[");
    for (uint32_t i = 0; i < attr->n_dims && i < RKABI_MAX_DIMS && (size_t)at < size; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%u", i > 0 ? separator : "", attr->dims[i]);
    if ((size_t)at < size)
        snprintf(text + at, size - (size_t)at, "]");
}

static const char *fmt_name(rkabi_fmt fmt) {
    static const char *const names[] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};
    return (unsigned)fmt < RKABI_FMT_COUNT ? names[fmt] : "unknown";
}

/* Dimensions and layout must be those of the plain attribute: NHWC for 4-D, UNDEFINED for others (the vendor's guide to dynamic
   shapes). */
static bool same_shape(const emu_context *context, const emu_model *model, uint32_t index, const rkabi_tensor_attr *attr) {
    rkabi_tensor_attr expected;
    emu_input_attribute(context, model, index, EMU_VIEW_PLAIN, &expected);
    return attr->fmt == expected.fmt && attr->n_dims == expected.n_dims &&
           memcmp(attr->dims, expected.dims, expected.n_dims * sizeof *attr->dims) == 0;
}

/* The lines and the code of librknnrt for shapes the model does not have (marty1885/rknn-superresolution#3). */
static int refuse_shape(const emu_context *context, uint32_t index, const rkabi_tensor_attr *attr) {
    char text[MAX_TEXT];
    const emu_file *file = context->file;
    const emu_model *first = &file->models[0];
    emu_log(context->level, 'E', "rknn_set_input_shapes error, input name = %s supported input shapes are as follows:",
            first->tensors[first->inputs[index].tensor].name);
    for (uint32_t i = 0; i < file->n_models; i++) {
        rkabi_tensor_attr supported;
        emu_input_attribute(context, &file->models[i], index, EMU_VIEW_PLAIN, &supported);
        write_dims(&supported, ",", text, sizeof text);
        emu_log(context->level, 'E', " shape = %s, layout = %s", text, fmt_name(supported.fmt));
    }
    write_dims(attr, ", ", text, sizeof text);
    emu_log(context->level, 'E', "while get rknn_tensor_attr[%u].name = %.*s, dims = %s, fmt = %s", index,
            (int)sizeof attr->name, attr->name, text, fmt_name(attr->fmt));
    return RKABI_ERR_FAIL;
}

static int choose(emu_context *context, const emu_model *model) {
    context->shapes_set = true;
    return model == context->model ? RKABI_OK : emu_context_reshape(context, model);
}

/* `attr[]` is positional. Sets are not mixed: the first shape of one input goes with the first of every other. */
static int set_shapes(emu_context *context, uint32_t first_input, uint32_t count, const rkabi_tensor_attr *attr) {
    const emu_file *file = context->file;
    for (uint32_t i = 0; i < file->n_models; i++) {
        uint32_t fitting = 0;
        while (fitting < count && same_shape(context, &file->models[i], first_input + fitting, &attr[fitting]))
            fitting++;
        if (fitting == count)
            return choose(context, &file->models[i]);
    }
    /* The input to blame: the first whose shape no set has; if all are known they do not belong together. */
    uint32_t wrong = 0;
    for (uint32_t k = 0; k < count; k++) {
        bool known = false;
        for (uint32_t i = 0; i < file->n_models && !known; i++)
            known = same_shape(context, &file->models[i], first_input + k, &attr[k]);
        if (!known) {
            wrong = k;
            break;
        }
    }
    return refuse_shape(context, first_input + wrong, &attr[wrong]);
}

static int accept(emu_context *context, const char *call, uint32_t n_inputs, bool valid) {
    if (n_inputs != context->model->n_inputs) /* evidence seq_47_mi_rk3588_2x: one record */
        emu_log(context->level, 'W', "rknn_set_input_shapes error, param input num(%u) != model input num(%u)", n_inputs,
                context->model->n_inputs);
    if (!context->file->is_dynamic) {
        emu_log(context->level, 'E', "rknn_set_input_shapes error, rknn model is static shape type, please export rknn with "
                "dynamic_shapes");
        return RKABI_ERR_MODEL_INVALID;
    }
    if (valid)
        return RKABI_OK;
    emu_log(context->level, 'E', "rkparity emulated runtime: %s: the model has %u inputs, and each needs its attribute", call,
            context->model->n_inputs);
    return RKABI_ERR_PARAM_INVALID;
}

EMU_EXPORT int rknn_set_input_shapes(rkabi_context ctx, uint32_t n_inputs, rkabi_tensor_attr attr[]) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = accept(context, "rknn_set_input_shapes", n_inputs, attr != NULL && n_inputs == context->model->n_inputs);
    if (status == RKABI_OK)
        status = set_shapes(context, 0, n_inputs, attr);
    emu_context_release(context);
    return status;
}

/* One input alone: the first set in which it has this shape. */
EMU_EXPORT int rknn_set_input_shape(rkabi_context ctx, rkabi_tensor_attr *attr) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = accept(context, "rknn_set_input_shape", context->model->n_inputs, attr != NULL && attr->index < context->model->n_inputs);
    if (status == RKABI_OK)
        status = set_shapes(context, attr->index, 1, attr);
    emu_context_release(context);
    return status;
}

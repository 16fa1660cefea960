#include "emulator/output.h"

#include <stdlib.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/log.h"
#include "emulator/memory.h"

void emu_dequantize(const emu_tensor *tensor, const uint8_t *values, size_t count, float *to) {
    if (tensor->type == RKABI_TYPE_INT8) {
        for (size_t i = 0; i < count; i++)
            to[i] = (float)((int32_t)(int8_t)values[i] - tensor->zero_point) * tensor->scale;
        return;
    }
    for (size_t i = 0; i < count; i++)
        to[i] = emu_load_float(values, tensor->type, i);
}

size_t emu_output_nbytes(const emu_tensor *tensor, bool want_float) {
    return tensor->n_elems * (want_float ? sizeof(float) : emu_type_nbytes(tensor->type));
}

void emu_output_write(const emu_context *context, uint32_t index, bool want_float, void *to) {
    const emu_tensor *tensor = &context->model->tensors[context->model->outputs[index]];
    const uint8_t *values = context->outputs[index].values;
    if (want_float) /* int64 too, whose dump stays int64 (the real 1.6.0 and 1.5.2) */
        emu_dequantize(tensor, values, tensor->n_elems, to);
    else
        memcpy(to, values, tensor->n_elems * emu_type_nbytes(tensor->type));
}

int emu_output_bind(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr) {
    const emu_tensor *tensor = &context->model->tensors[context->model->outputs[index]];
    if (context->version->mini && emu_tensor_is_4d(tensor) && attr->fmt == RKABI_FMT_NCHW)
        emu_log(context->level, 'W', "output operator can not find nchw task for: %s, it will fallback to cpu!", tensor->name);
    context->outputs[index].binding.mem = mem;
    context->outputs[index].binding.attr = *attr;
    return RKABI_OK;
}

static int refuse(const emu_context *context, const emu_tensor *tensor) {
    if (!context->version->failed_operator_ends_run) {
        emu_log(context->level, 'E', "Meet unsupported output tensor dtype.");
        return RKABI_OK;
    }
    emu_log(context->level, 'E', "Meet unsupported tensor dtype");
    emu_log_fallback_failed(context->level, "OutputOperator", tensor->name);
    return RKABI_ERR_FAIL;
}

/* What is written where `asked` is named for a memory: a float16 output asked for as integers comes as float32 all the same, without a
   word (tried on the real 1.5.2, values compared; evidence seq_25_b25_c3w30_fp16, seq_53_b25_c3w30_fp16: the codes). */
static rkabi_type written_type(const emu_tensor *tensor, rkabi_type asked) {
    bool other = asked != RKABI_TYPE_FLOAT16 && asked != RKABI_TYPE_FLOAT32;
    return tensor->type == RKABI_TYPE_FLOAT16 && other ? RKABI_TYPE_FLOAT32 : asked;
}

/* The output's elements as `type`, logical order; NULL when the runtime has no such conversion. The caller frees it. */
static uint8_t *as_type(const emu_tensor *tensor, const uint8_t *values, rkabi_type type) {
    size_t count = tensor->n_elems;
    uint8_t *to = malloc(count * (emu_type_nbytes(type) > 0 ? emu_type_nbytes(type) : 1));
    if (to == NULL)
        return NULL;
    if (type == tensor->type) {
        memcpy(to, values, count * emu_type_nbytes(type));
        return to;
    }
    if (type == RKABI_TYPE_UINT8 && tensor->type == RKABI_TYPE_INT8) {
        for (size_t i = 0; i < count; i++)
            to[i] = (uint8_t)((int)(int8_t)values[i] + 128);
        return to;
    }
    bool source_is_number =
        tensor->type == RKABI_TYPE_INT8 || tensor->type == RKABI_TYPE_FLOAT16 || tensor->type == RKABI_TYPE_INT64;
    if (source_is_number && (type == RKABI_TYPE_FLOAT32 || type == RKABI_TYPE_FLOAT16)) {
        for (size_t i = 0; i < count; i++) {
            float value;
            emu_dequantize(tensor, values + i * emu_type_nbytes(tensor->type), 1, &value);
            uint16_t half = emu_half_from_float(value);
            if (type == RKABI_TYPE_FLOAT32)
                memcpy(to + 4 * i, &value, 4);
            else
                memcpy(to + 2 * i, &half, 2);
        }
        return to;
    }
    free(to);
    return NULL;
}

int emu_output_flush(const emu_context *context, uint32_t index) {
    const emu_tensor *tensor = &context->model->tensors[context->model->outputs[index]];
    const emu_binding *binding = &context->outputs[index].binding;
    if (binding->mem == NULL)
        return RKABI_OK;
    rkabi_type type = binding->attr.fmt == RKABI_FMT_NC1HWC2 ? binding->attr.type : written_type(tensor, binding->attr.type);
    emu_layout from = emu_layout_plain(tensor, EMU_NCHW, 0);
    emu_layout to = from;
    if (emu_tensor_is_4d(tensor)) {
        if (binding->attr.fmt == RKABI_FMT_NC1HWC2) {
            /* Only as the compiler made it: no type conversion (evidence 160_zc_out_native_u8, _f32, _f16). */
            to = emu_layout_of_native_output(tensor);
            if (type != tensor->type || to.arrangement != EMU_NC1HWC2)
                return refuse(context, tensor);
        } else if (binding->attr.fmt == RKABI_FMT_NHWC)
            to = emu_layout_plain(tensor, EMU_NHWC, 0);
    }
    uint8_t *values = as_type(tensor, context->outputs[index].values, type);
    if (values == NULL)
        return refuse(context, tensor);
    emu_layout_copy(&from, values, &to, emu_memory_bytes(binding->mem), binding->mem->size, emu_type_nbytes(type));
    free(values);
    return RKABI_OK;
}

#include "emulator/input.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/log.h"
#include "emulator/memory.h"

/* How one channel's numbers become the model's: value * factor + offset, after which the type's own rounding applies. */
typedef struct channel_rule {
    bool identity;
    float mean, std;
    float scale;
    float fixed_scale;  /* S and O of the int8 path with mean/std */
    int32_t fixed_offset;
} channel_rule;

/* S is 1/(std*scale) with a mantissa of 15 bits, O the rounded offset (evidence 160_net25_f32_nhwc, element by element). */
static channel_rule make_rule(const emu_model_input *input, const emu_tensor *tensor, uint32_t channel) {
    channel_rule rule = {.identity = true, .mean = 0.0f, .std = 1.0f, .scale = tensor->scale};
    if (input->n_channels == 0)
        return rule;
    rule.mean = input->mean[channel];
    rule.std = input->std[channel];
    rule.identity = rule.mean == 0.0f && rule.std == 1.0f;
    double step = (double)rule.std * (double)tensor->scale;
    int exponent = 0;
    double mantissa = frexp(1.0 / step, &exponent);
    rule.fixed_scale = (float)ldexp(rint(ldexp(mantissa, 15)), exponent - 15);
    double offset = rint((double)tensor->zero_point - (double)rule.mean / step);
    rule.fixed_offset = fabs(offset) < 1e9 ? (int32_t)offset : 0;
    return rule;
}

static void store(const emu_tensor *tensor, const channel_rule *rule, const void *source, rkabi_type type, size_t from,
                  uint8_t *target, size_t to) {
    float value = emu_load_float(source, type, from);
    switch (tensor->type) {
    case RKABI_TYPE_INT8: {
        int8_t quantized;
        if (type == RKABI_TYPE_INT8)
            quantized = (int8_t)value;
        else if (!emu_tensor_is_4d(tensor))
            quantized = emu_quantize_wrapping((value - rule->mean) / rule->std / rule->scale, tensor->zero_point);
        else if (rule->identity)
            quantized = emu_quantize_saturating(value / rule->scale, tensor->zero_point);
        else
            quantized = emu_quantize_saturating(value * rule->fixed_scale, rule->fixed_offset);
        memcpy(target + to, &quantized, 1);
        return;
    }
    case RKABI_TYPE_FLOAT16: {
        uint16_t half = emu_half_from_float(rule->identity ? value : (value - rule->mean) / rule->std);
        memcpy(target + 2 * to, &half, 2);
        return;
    }
    case RKABI_TYPE_FLOAT32: {
        float normal = rule->identity ? value : (value - rule->mean) / rule->std;
        memcpy(target + 4 * to, &normal, 4);
        return;
    }
    case RKABI_TYPE_INT64:
    case RKABI_TYPE_INT32: {
        int64_t integer;
        if (type == RKABI_TYPE_INT64)
            memcpy(&integer, (const uint8_t *)source + 8 * from, 8);
        else if (type == RKABI_TYPE_INT32) {
            int32_t narrow;
            memcpy(&narrow, (const uint8_t *)source + 4 * from, 4);
            integer = narrow;
        } else
            integer = fabsf(value) < 9.0e18f ? (int64_t)value : 0;
        int32_t narrow = (int32_t)(uint32_t)((uint64_t)integer & 0xffffffffu);
        if (tensor->type == RKABI_TYPE_INT64)
            memcpy(target + 8 * to, &integer, 8);
        else
            memcpy(target + 4 * to, &narrow, 4);
        return;
    }
    default: {
        uint8_t byte = (uint8_t)emu_quantize_wrapping(value, 0);
        if (tensor->type == RKABI_TYPE_BOOL)
            byte = value != 0.0f;
        target[to] = byte;
    }
    }
}

/* Converts a buffer laid out as `from` into the input's native memory. */
static int convert(emu_context *context, uint32_t index, const void *source, rkabi_type type, const emu_layout *from) {
    const emu_model_input *model_input = &context->model->inputs[index];
    const emu_tensor *tensor = &context->model->tensors[model_input->tensor];
    emu_input_state *state = &context->inputs[index];
    const emu_layout *to = &state->layout;
    if (state->raw_uint8) {
        emu_layout_copy(from, source, to, state->native, to->slots, 1);
        return RKABI_OK;
    }
    if (emu_tensor_is_4d(tensor)) {
        for (uint32_t c = 0; c < from->c; c++) {
            channel_rule rule = make_rule(model_input, tensor, c);
            for (uint32_t n = 0; n < from->n; n++)
                for (uint32_t h = 0; h < from->h; h++)
                    for (uint32_t w = 0; w < from->w; w++)
                        store(tensor, &rule, source, type, emu_layout_slot(from, n, c, h, w), state->native,
                              emu_layout_slot(to, n, c, h, w));
        }
        return RKABI_OK;
    }
    size_t channels = tensor->n_dims >= 2 ? tensor->dims[1] : 1;
    size_t inner = 1;
    for (uint32_t d = 2; d < tensor->n_dims; d++)
        inner *= tensor->dims[d];
    for (size_t c = 0; c < channels; c++) {
        channel_rule rule = make_rule(model_input, tensor, model_input->n_channels > 0 ? (uint32_t)c : 0);
        for (size_t i = c * inner; i < tensor->n_elems; i += channels * inner)
            for (size_t k = 0; k < inner; k++)
                store(tensor, &rule, source, type, i + k, state->native, i + k);
    }
    return RKABI_OK;
}

const char *emu_layout_name(rkabi_fmt fmt) {
    return fmt == RKABI_FMT_NCHW ? "NCHW" : fmt == RKABI_FMT_NC1HWC2 ? "NC1HWC2" : "(null)";
}

/* The mode lines of an input; decides who normalises. Once it was the NPU it stays the NPU, whatever type comes later (evidence seq_17_*;
   11 of 11 changes of type on the real 1.5.2). */
static void choose_mode(emu_context *context, uint32_t index, rkabi_type type, bool pass_through) {
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    emu_input_state *state = &context->inputs[index];
    bool image = emu_tensor_is_image(tensor);
    if (image && !pass_through && type == RKABI_TYPE_UINT8 && tensor->type == RKABI_TYPE_INT8)
        state->npu_normalizes = true;
    state->raw_uint8 = state->npu_normalizes;
    if (image)
        emu_log(context->level, 'D', "enable argb mode, dtype: %s, channel: %u", emu_type_name(type), tensor->dims[1]);
    if (state->raw_uint8)
        emu_log(context->level, 'D', "normalize target: NPU");
    if (image)
        emu_log(context->level, 'D', "update cvt sign: %d", tensor->type == RKABI_TYPE_INT8 && !state->raw_uint8);
}

/* The codes of the model file's own type list, which the real library's message shows. */
static int file_type_code(rkabi_type type) {
    return type == RKABI_TYPE_INT8 ? 3 : type == RKABI_TYPE_INT32 ? 6 : type == RKABI_TYPE_BOOL ? 9 : 7;
}

/* int32 and int64 do not go into int8 and float16 (evidence 160_gen_int32_nhwc_pt0), int8 and bool not into float16 (evidence
   160_b25_d2_i8_fp16, seq_55_*); the real 1.5.2 does not put bool into int8 either. */
static bool refuses_type(emu_context *context, const emu_tensor *tensor, rkabi_type type) {
    bool integer = type == RKABI_TYPE_INT32 || type == RKABI_TYPE_INT64;
    bool half = tensor->type == RKABI_TYPE_FLOAT16;
    bool refused_bool = type == RKABI_TYPE_BOOL && tensor->type == RKABI_TYPE_INT8 && !context->version->takes_bool;
    if (!refused_bool && !(integer && (half || tensor->type == RKABI_TYPE_INT8)) && !(half && (type == RKABI_TYPE_INT8 || type == RKABI_TYPE_BOOL)))
        return false;
    emu_log(context->level, 'E', "Normalize does not support for this data type. src type(%d), dst type fbs::TensorType_%s",
            file_type_code(type), half ? "FLOAT16" : "INT8");
    return true;
}

/* A layout the CPU cannot normalise: nothing is set, and the call succeeds. 1.5.2 prints a number of its own for the layout:
   2 for NCHW (evidence 152_gen_u8_nchw_pt0), 0 for UNDEFINED (evidence 152_b25_d2_i8_int8). */
static void note_layout(const emu_context *context, rkabi_fmt fmt) {
    if (context->version->nchw_crashes)
        emu_log(context->level, 'E', "Meet unsupported src layout for normalize: %s, only support NHWC src layout!",
                emu_layout_name(fmt));
    else
        emu_log(context->level, 'E', "Meet unsupported src layout for normalize: %d", fmt == RKABI_FMT_NCHW ? 2 : 0);
}

static int refuse_layout(const emu_context *context, uint32_t index, rkabi_fmt fmt) {
    int level = context->level;
    emu_log(level, 'D', "normalize target: CPU");
    note_layout(context, fmt);
    emu_log(level, 'E', "rknn_inputs_set, normalize error(-1) index=%u", index);
    return RKABI_OK;
}

/* For an NPU that normalises, the buffer's bytes are copied whatever their type: in one piece where rows are not padded, and then a
   longer buffer is refused and nothing taken (evidence 160_err_size_big, seq_17_mi_rk3588_2x); row by row, without a look at the
   size, where they are (evidence seq_17_b25_split_int8; the real 1.5.2 the same, contents compared). A memory that is bound is the
   input's memory and gets the bytes (tried on the real 1.5.2). */
static int hand_on(emu_context *context, uint32_t index, const rkabi_input *input) {
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    emu_input_state *state = &context->inputs[index];
    if (state->layout.w_stride == state->layout.w && input->size > tensor->n_elems) {
        emu_log(context->level, 'E', "current input size(%u) > need input size(%zu)", input->size, tensor->n_elems);
        return RKABI_OK;
    }
    if (input->buf == NULL)
        return emu_would_crash(context->level, "rknn_inputs_set", "an input's buf is NULL (evidence 160_err_nullbuf)");
    emu_layout from = emu_layout_plain(tensor, EMU_NHWC, 0);
    emu_layout_copy(&from, input->buf, &state->layout, state->native, state->layout.slots, 1);
    if (state->binding.mem != NULL && state->binding.mem->size >= state->layout.slots)
        emu_layout_copy(&from, input->buf, &state->layout, emu_memory_bytes(state->binding.mem), state->layout.slots, 1);
    return RKABI_OK;
}

int emu_input_set(emu_context *context, uint32_t index, const rkabi_input *input) {
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    emu_input_state *state = &context->inputs[index];
    int level = context->level;
    size_t nbytes = emu_type_nbytes(input->type);
    if (nbytes == 0) {
        if (context->version->names_unknown_type) /* evidence 152_err_type_99; int16 on the real 1.5.2 */
            emu_log(level, 'W', "convert_type: unknown type: %d", (int)input->type);
        emu_log(level, 'W', "Unknow dtype to get bytes: 0");
        emu_log(level, 'E', "rknn_inputs_set, param input size(%u) < model input size(-%zu)", input->size, tensor->n_elems);
        return RKABI_ERR_PARAM_INVALID;
    }
    size_t need = tensor->n_elems * nbytes;
    if (input->size < need) {
        emu_log(level, 'E', "rknn_inputs_set, param input size(%u) < model input size(%zu)", input->size, need);
        return RKABI_ERR_PARAM_INVALID;
    }
    state->set_generally = true;
    if (input->pass_through && input->buf == NULL)
        return emu_would_crash(context->level, "rknn_inputs_set", "an input's buf is NULL (evidence 160_err_nullbuf)");
    if (input->pass_through) {
        /* Other types without a word: uint8 (evidence 160_net25_u8_pt1), float32; int8 and float16 into either model with lines
           (evidence seq_19_*; four tries on the real 1.5.2). */
        if (input->type == RKABI_TYPE_INT8 || input->type == RKABI_TYPE_FLOAT16 || input->type == tensor->type)
            choose_mode(context, index, input->type, true);
        else
            state->raw_uint8 = false;
        size_t room = state->layout.slots * emu_type_nbytes(tensor->type);
        if (input->size > room)
            emu_log(level, 'W', "rkparity emulated runtime: %u bytes given with pass_through, the input's memory has %zu: the "
                    "real library writes past its end", input->size, room);
        memcpy(state->native, input->buf, input->size < room ? input->size : room);
        return RKABI_OK;
    }
    if (emu_tensor_is_4d(tensor)) {
        if (input->fmt == RKABI_FMT_NC1HWC2 && emu_tensor_is_image(tensor)) {
            /* The real text holds the bytes 1, \3, \4, whatever the channels (evidence 160_b25_c3w30_f32nc1hwc2_int8). */
            emu_log(level, 'E', "rknn_inputs_set, when input channel is 1\003\004, not support NC1HWC2 layout!");
            return RKABI_OK;
        }
        if (input->fmt == RKABI_FMT_NCHW && context->version->nchw_crashes) {
            emu_log(level, 'D', "normalize target: CPU");
            return emu_would_crash(context->level, "rknn_inputs_set", "fmt NCHW on a 4-D input (evidence 160_gen_u8_nchw_pt0); use NHWC");
        }
        if (state->npu_normalizes && input->fmt == RKABI_FMT_UNDEFINED && input->type == RKABI_TYPE_UINT8) {
            /* Once the NPU normalises, the memory holds uint8 (two tries on the real 1.5.2). */
            emu_log(level, 'D', "normalize target: CPU");
            emu_log(level, 'E', "Normalize does not support for this data type. src type(2), dst type fbs::TensorType_UINT8");
            emu_log(level, 'E', "rknn_inputs_set, normalize error(-1) index=%u", index);
            return RKABI_OK;
        }
        if (input->fmt == RKABI_FMT_NCHW || input->fmt == RKABI_FMT_UNDEFINED || input->fmt == RKABI_FMT_NC1HWC2)
            return refuse_layout(context, index, input->fmt);
        if (input->fmt != RKABI_FMT_NHWC) {
            emu_log(level, 'E', "rknn_inputs_set, meet unsupported layout(%d)!", (int)input->fmt);
            return emu_would_crash(context->level, "rknn_inputs_set", "an unknown fmt on a 4-D input (evidence 160_err_fmt_99)");
        }
    }
    if (!emu_tensor_is_4d(tensor) && input->fmt == RKABI_FMT_NC1HWC2) { /* evidence seq_13_b25_d2_int8_rk3588; the real 1.5.2 too */
        emu_log(level, 'E', "rknn_inputs_set, meet unsupported layout(%d)!", (int)input->fmt);
        return RKABI_OK;
    }
    if (!emu_tensor_is_4d(tensor) && input->type == RKABI_TYPE_INT8 && tensor->type == RKABI_TYPE_INT8 &&
        !context->version->quantizes_flat_int8)
        return refuse_layout(context, index, RKABI_FMT_UNDEFINED);
    choose_mode(context, index, input->type, false);
    if (!state->raw_uint8)
        emu_log(level, 'D', "normalize target: CPU");
    if (state->raw_uint8)
        return hand_on(context, index, input);
    if (refuses_type(context, tensor, input->type)) {
        emu_log(level, 'E', "rknn_inputs_set, normalize error(-1) index=%u", index);
        return RKABI_OK;
    }
    if (input->buf == NULL)
        return emu_would_crash(context->level, "rknn_inputs_set", "an input's buf is NULL (evidence 160_err_nullbuf)");
    emu_layout from = emu_layout_plain(tensor, EMU_NHWC, 0);
    return convert(context, index, input->buf, input->type, &from);
}

int emu_input_bind(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr) {
    if (context->version->mini)
        return emu_input_bind_mini(context, index, mem, attr);
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    emu_input_state *state = &context->inputs[index];
    int level = context->level;
    state->set_generally = false;
    size_t nbytes = emu_type_nbytes(attr->type);
    size_t native_nbytes = emu_type_nbytes(tensor->type);
    if (attr->fmt == RKABI_FMT_NC1HWC2 && !attr->pass_through) {
        emu_log(level, 'E', "NC1HWC2 input format only support pass_through == 1");
        return RKABI_ERR_FAIL;
    }
    /* The stride counts in elements of the model's type: FP32 into int8 memory needs size_with_stride * 4 (evidence
       160_zc_f32_small). */
    size_t need = state->layout.slots * (attr->pass_through ? native_nbytes : nbytes);
    if (nbytes == 0 && !attr->pass_through) {
        emu_log(level, 'W', "Unknow dtype to get bytes: 0");
        emu_log(level, 'E', "rknn_set_io_mem, input memory size(%u) < model input size(-%zu)", mem->size, state->layout.slots);
        return RKABI_ERR_FAIL;
    }
    if (mem->size < need) {
        emu_log(level, 'E', "rknn_set_io_mem, input memory size(%u) < model input size(%zu)", mem->size, need);
        return RKABI_ERR_FAIL;
    }
    if (!emu_tensor_is_4d(tensor) && !attr->pass_through)
        emu_log(level, 'W', "Meet origin tensor size: %u, is not 4", tensor->n_dims);
    /* The operator that reads integer indices is the CPU's (evidence 160_b25_zc_ids_int8). */
    if (tensor->type == RKABI_TYPE_INT64)
        emu_log(level, 'W', "Detect CPU op with input:'%s', Maybe no performance gain from zero-copy API", tensor->name);
    if (attr->pass_through && attr->type != tensor->type)
        /* Without a word; uint8 counts as pixels all the same (evidence 160_zc_in_u8_pt1). */
        state->raw_uint8 = attr->type == RKABI_TYPE_UINT8 && tensor->type == RKABI_TYPE_INT8 && emu_tensor_is_image(tensor);
    else if (emu_tensor_is_4d(tensor) && (attr->fmt == RKABI_FMT_NHWC || attr->pass_through))
        choose_mode(context, index, attr->type, attr->pass_through);
    state->binding.mem = mem;
    state->binding.attr = *attr;
    return RKABI_OK;
}

/* 1.6.0 ends the run; 1.5.2 goes on with what was there before (nine tries on the real one). */
static int fail_operator(const emu_context *context, const emu_tensor *tensor) {
    if (!context->version->failed_operator_ends_run)
        return RKABI_OK;
    emu_log_fallback_failed(context->level, "InputOperator", tensor->name);
    return RKABI_ERR_FAIL;
}

int emu_input_refresh(emu_context *context, uint32_t index) {
    if (context->version->mini)
        return emu_input_refresh_mini(context, index);
    emu_input_state *state = &context->inputs[index];
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    const emu_binding *binding = &state->binding;
    if (binding->mem == NULL)
        return RKABI_OK;
    /* Also after rknn_inputs_set: what was bound is converted again, over what was set (evidence seq_29_b25_c3w30_fp16_rk3588,
       seq_29_b25_d2_int8_rk3588). */
    const uint8_t *bytes = emu_memory_bytes(binding->mem);
    if (binding->attr.pass_through) {
        memcpy(state->native, bytes, state->layout.slots * emu_type_nbytes(tensor->type));
        return RKABI_OK;
    }
    if (!state->raw_uint8)
        emu_log(context->level, 'D', "normalize target: CPU");
    if (emu_tensor_is_4d(tensor) && binding->attr.fmt == RKABI_FMT_NCHW && context->version->nchw_crashes) {
        emu_would_crash(context->level, "rknn_run", "a 4-D input memory with fmt NCHW (evidence 160_zc_in_u8_nchw); use NHWC");
        return RKABI_ERR_FAIL;
    }
    if (emu_tensor_is_4d(tensor) && binding->attr.fmt != RKABI_FMT_NHWC) {
        note_layout(context, binding->attr.fmt);
        return fail_operator(context, tensor);
    }
    if (refuses_type(context, tensor, binding->attr.type))
        return fail_operator(context, tensor);
    if (!emu_tensor_is_4d(tensor) && binding->attr.type == RKABI_TYPE_INT8 && tensor->type == RKABI_TYPE_INT8 &&
        !context->version->quantizes_flat_int8) {
        note_layout(context, RKABI_FMT_UNDEFINED);
        return fail_operator(context, tensor);
    }
    emu_layout from = emu_layout_plain(tensor, EMU_NHWC, state->layout.arrangement == EMU_NHWC ? state->layout.w_stride : 0);
    return convert(context, index, bytes, binding->attr.type, &from);
}

uint8_t *emu_input_logical(const emu_context *context, uint32_t index, size_t *nbytes) {
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    const emu_input_state *state = &context->inputs[index];
    size_t element = emu_type_nbytes(tensor->type);
    emu_layout to = emu_layout_plain(tensor, EMU_NCHW, 0);
    *nbytes = tensor->n_elems * element;
    uint8_t *values = malloc(*nbytes);
    if (values != NULL)
        emu_layout_copy(&state->layout, state->native, &to, values, *nbytes, element);
    return values;
}

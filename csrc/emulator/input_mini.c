/* Inputs of the mini runtime of RV1103 and RV1106. */
#include <string.h>

#include "emulator/element.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/memory.h"

/* The mini runtime wants at least the native memory's size, and keeps the attribute even when the size is wrong (evidence
   mrt232_zc_small; that larger memory is taken: tries on the real 2.3.2). */
int emu_input_bind_mini(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr) {
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    emu_input_state *state = &context->inputs[index];
    size_t need = state->layout.slots * emu_type_nbytes(tensor->type);
    state->binding.mem = NULL;
    state->binding.attr = *attr;
    state->bound_once = true;
    state->raw_uint8 = emu_tensor_is_image(tensor) && attr->type == RKABI_TYPE_UINT8 && !attr->pass_through;
    if (mem->size < need) {
        emu_log(context->level, 'E', "rknn_set_io_mem, input(%s) memory size must be: %zu, but is: %u", tensor->name, need,
                mem->size);
        return RKABI_ERR_PARAM_INVALID;
    }
    state->binding.mem = mem;
    return RKABI_OK;
}

/* What the mini runtime's NPU takes as it lies in memory: native bytes, tensors that are not 4-D, and pixels in NHWC of any type that
   rknn_set_io_mem names: float32, float16 and int16 bytes are read as int8, without a word (810 of 810 bytes on the real 2.3.2).
   There is no conversion but for an input that was never bound (evidence mrt232_*). */
int emu_input_refresh_mini(emu_context *context, uint32_t index) {
    emu_input_state *state = &context->inputs[index];
    const emu_tensor *tensor = &context->model->tensors[context->model->inputs[index].tensor];
    const rkabi_tensor_attr *attr = &state->binding.attr;
    bool direct = attr->pass_through || !emu_tensor_is_4d(tensor) ||
                  (emu_tensor_is_image(tensor) && attr->fmt == RKABI_FMT_NHWC);
    if (state->binding.mem != NULL && direct) {
        memcpy(state->native, emu_memory_bytes(state->binding.mem), state->layout.slots * emu_type_nbytes(tensor->type));
        return RKABI_OK;
    }
    emu_log(context->level, 'D', "normalize target: CPU");
    if (!state->bound_once)
        return RKABI_OK;
    emu_log(context->level, 'E',
            "InputOperator: not support input dtype=%s, layout=%s, output dtype=%s , layout=NC1HWC2, please try pass_through=1 "
            "mode in set_io_mem\n",
            emu_type_name(attr->type), attr->fmt == RKABI_FMT_NHWC ? "NHWC" : emu_layout_name(attr->fmt),
            emu_type_name(tensor->type));
    emu_log(context->level, 'E', "op: InputOperator, name: InputOperator:%s, fallback cpu failed", tensor->name);
    return RKABI_ERR_FAIL;
}

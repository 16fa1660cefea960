/* rknn_inputs_set, rknn_run, rknn_wait, rknn_outputs_get, rknn_outputs_release. */
#include "emulator/context.h"
#include "emulator/execute.h"
#include "emulator/export.h"
#include "emulator/handed_out.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/output.h"

/* The mini runtime has the zero-copy API only. */
static int refuse_general(const emu_context *context, const char *call) {
    emu_log(context->level, 'E', "%s, context config invalid!", call);
    return RKABI_ERR_PARAM_INVALID;
}

/* `inputs[]` is positional, `index` is ignored (evidence 160_err_index_*). */
static int set_inputs(emu_context *context, uint32_t n_inputs, const rkabi_input *inputs) {
    uint32_t expected = context->model->n_inputs;
    if (context->version->mini)
        return refuse_general(context, "rknn_inputs_set");
    if (n_inputs > expected) {
        emu_log(context->level, 'D', "rknn_inputs_set, param input num(%u) > model input num(%u)", n_inputs, expected);
        return RKABI_ERR_PARAM_INVALID;
    }
    if (n_inputs != expected)
        emu_log(context->level, 'W', "rknn_inputs_set, param input num(%u) != model input num(%u)", n_inputs, expected);
    if (n_inputs > 0 && inputs == NULL)
        return emu_would_crash(context->level, "rknn_inputs_set", "inputs is NULL (evidence 160_err_nullinputs)");
    for (uint32_t i = 0; i < n_inputs; i++) {
        int status = emu_input_set(context, i, &inputs[i]);
        if (status != RKABI_OK)
            return status;
    }
    /* From here on outputs go to rknn_outputs_get, not to memories bound before (evidence 160_zc_mix_inputs_set). */
    for (uint32_t i = 0; i < context->model->n_outputs && n_inputs > 0; i++)
        context->outputs[i].binding.mem = NULL;
    return RKABI_OK;
}

EMU_EXPORT int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[]) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = set_inputs(context, n_inputs, inputs);
    emu_context_release(context);
    return status;
}

EMU_EXPORT int rknn_run(rkabi_context ctx, rkabi_run_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = emu_execute(context);
    emu_context_release(context);
    return status;
}

/* rknn_run has always finished when it returns. Without a fence of the driver there is nothing to wait for, after a run that does
   not block neither (evidence seq_45_*; runs with `non_block` were tried on the real 1.5.2). */
EMU_EXPORT int rknn_wait(rkabi_context ctx, rkabi_run_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    emu_log(context->level, 'W', "rknn_wait fence fd = -1 is invalid");
    emu_context_release(context);
    return RKABI_ERR_FAIL;
}

/* Fills outputs[slot] with output `slot` of the model. */
static int fill_output(const emu_context *context, uint32_t slot, rkabi_output *output) {
    const emu_tensor *tensor = &context->model->tensors[context->model->outputs[slot]];
    bool want_float = output->want_float != 0;
    size_t nbytes = emu_output_nbytes(tensor, want_float);
    if (output->is_prealloc) {
        if (output->size < nbytes || output->buf == NULL) {
            emu_log(context->level, 'E', "output[%u] buf size error, size = %u, expected size = %zu if want_float = %d", slot,
                    output->buf != NULL ? output->size : 0, nbytes, want_float);
            return RKABI_OK;
        }
    } else {
        output->buf = emu_handed_out_allocate(nbytes);
        if (output->buf == NULL)
            return RKABI_ERR_MALLOC_FAIL;
        output->size = (uint32_t)nbytes;
    }
    /* The size expected is that of the NPU's buffer, whole blocks of 64 bytes (evidence 160_c25_multi_input_int8, _fp16). */
    if (!want_float && !emu_tensor_is_4d(tensor) && nbytes % 64 != 0)
        emu_log(context->level, 'W', "Get rknn_outputs[%u] size = %zu, but expect size = %zu", slot, nbytes,
                (nbytes + 63) / 64 * 64);
    emu_output_write(context, slot, want_float, output->buf);
    return RKABI_OK;
}

static bool check_indices(const emu_context *context, uint32_t n_outputs, const rkabi_output *outputs) {
    uint32_t expected = context->model->n_outputs;
    for (uint32_t i = 0; i < n_outputs; i++) {
        uint32_t index = outputs[i].index;
        if (index >= expected) {
            emu_log(context->level, 'E', "rknn_outputs_get, param output index(%u) is out of range(%u)", index, expected);
            return false;
        }
        if (index != i)
            emu_log(context->level, 'W', "rknn_outputs_get, param output[%u].index(%u) is recommended to be equal to %u", i, index,
                    i);
    }
    return true;
}

static bool distinct_indices(uint32_t n_outputs, const rkabi_output *outputs) {
    for (uint32_t i = 0; i < n_outputs; i++)
        for (uint32_t k = 0; k < i; k++)
            if (outputs[i].index == outputs[k].index)
                return false;
    return true;
}

/* `outputs[]` is positional: output k goes into outputs[k]. Indices that repeat (all left 0) are rewritten to the places (evidence
   seq_49_*, index 0,0,0 on a model with three outputs; 0,1,1 and 2,2,2 tried on the real 1.5.2), a permutation stays as it is
   (evidence 160_out_multi_swapped). A single outputs[0] with index 1 stays empty (evidence 160_out_multi_one: one record). */
static int get_outputs(emu_context *context, uint32_t n_outputs, rkabi_output *outputs) {
    uint32_t expected = context->model->n_outputs;
    int level = context->level;
    if (context->version->mini)
        return refuse_general(context, "rknn_outputs_get");
    if (n_outputs > expected) {
        emu_log(level, 'D', "rknn_outputs_get, param output num(%u) > model output num(%u)", n_outputs, expected);
        return RKABI_ERR_PARAM_INVALID;
    }
    if (n_outputs != expected)
        emu_log(level, 'W', "rknn_outputs_get, param output num(%u) != model output num(%u)", n_outputs, expected);
    if (n_outputs > 0 && outputs == NULL)
        return emu_would_crash(context->level, "rknn_outputs_get", "outputs is NULL");
    if (context->version->checks_output_index && !check_indices(context, n_outputs, outputs))
        return RKABI_ERR_PARAM_INVALID;
    if (!distinct_indices(n_outputs, outputs) || !context->version->checks_output_index)
        for (uint32_t i = 0; i < n_outputs; i++)
            outputs[i].index = i;
    for (uint32_t i = 0; i < n_outputs; i++) {
        uint32_t slot = outputs[i].index;
        if (slot >= n_outputs) {
            emu_log(level, 'W', "rkparity emulated runtime: output %u belongs into outputs[%u], of which there are %u: the real "
                    "library writes past their end", slot, slot, n_outputs);
            continue;
        }
        int status = fill_output(context, slot, &outputs[slot]);
        if (status != RKABI_OK)
            return status;
    }
    return RKABI_OK;
}

EMU_EXPORT int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = get_outputs(context, n_outputs, outputs);
    emu_context_release(context);
    return status;
}

/* The buffers are freed and `buf` keeps its value, so that a second release frees them again (evidence seq_01_*). */
EMU_EXPORT int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[]) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int level = context->level;
    uint32_t count = n_outputs < context->model->n_outputs ? n_outputs : context->model->n_outputs;
    emu_context_release(context);
    for (uint32_t i = 0; outputs != NULL && i < count; i++)
        if (!outputs[i].is_prealloc && outputs[i].buf != NULL && !emu_handed_out_free(outputs[i].buf))
            emu_would_crash(level, "rknn_outputs_release", "a buffer that was released before (evidence seq_01_*)");
    return RKABI_OK;
}

/* rknn_inputs_set, rknn_run, rknn_wait, rknn_outputs_get, rknn_outputs_release. */
#include <stdlib.h>

#include "emulator/context.h"
#include "emulator/execute.h"
#include "emulator/export.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/output.h"

/* `inputs[]` is positional, `index` is ignored (evidence 160_err_index_*). */
static int set_inputs(emu_context *context, uint32_t n_inputs, const rkabi_input *inputs) {
    uint32_t expected = context->model->n_inputs;
    if (n_inputs > expected) {
        emu_log(context->level, 'D', "rknn_inputs_set, param input num(%u) > model input num(%u)", n_inputs, expected);
        return RKABI_ERR_PARAM_INVALID;
    }
    if (n_inputs != expected)
        emu_log(context->level, 'W', "rknn_inputs_set, param input num(%u) != model input num(%u)", n_inputs, expected);
    if (n_inputs > 0 && inputs == NULL)
        return emu_would_crash(context, "rknn_inputs_set", "inputs is NULL (evidence 160_err_nullinputs)");
    for (uint32_t i = 0; i < n_inputs; i++) {
        int status = emu_input_set(context, i, &inputs[i]);
        if (status != RKABI_OK)
            return status;
    }
    return RKABI_OK;
}

EMU_EXPORT int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[]) {
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = set_inputs(context, n_inputs, inputs);
    emu_context_release(context);
    return status;
}

EMU_EXPORT int rknn_run(rkabi_context ctx, rkabi_run_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = emu_execute(context);
    emu_context_release(context);
    return status;
}

/* rknn_run has always finished when it returns. */
EMU_EXPORT int rknn_wait(rkabi_context ctx, rkabi_run_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    emu_context_release(context);
    return RKABI_OK;
}

static int get_outputs(emu_context *context, uint32_t n_outputs, rkabi_output *outputs) {
    uint32_t expected = context->model->n_outputs;
    int level = context->level;
    if (n_outputs > expected) {
        emu_log(level, 'D', "rknn_outputs_get, param output num(%u) > model output num(%u)", n_outputs, expected);
        return RKABI_ERR_PARAM_INVALID;
    }
    if (n_outputs != expected)
        emu_log(level, 'W', "rknn_outputs_get, param output num(%u) != model output num(%u)", n_outputs, expected);
    if (n_outputs > 0 && outputs == NULL)
        return emu_would_crash(context, "rknn_outputs_get", "outputs is NULL");
    for (uint32_t i = 0; i < n_outputs; i++) {
        if (outputs[i].index >= expected) {
            emu_log(level, 'E', "rknn_outputs_get, param output index(%u) is out of range(%u)", outputs[i].index, expected);
            return RKABI_ERR_PARAM_INVALID;
        }
        if (outputs[i].index != i)
            emu_log(level, 'W', "rknn_outputs_get, param output[%u].index(%u) is recommended to be equal to %u", i,
                    outputs[i].index, i);
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        rkabi_output *output = &outputs[i];
        const emu_tensor *tensor = &context->model->tensors[context->model->outputs[i]];
        bool want_float = output->want_float != 0;
        size_t nbytes = emu_output_nbytes(tensor, want_float);
        if (output->is_prealloc) {
            if (output->size < nbytes || output->buf == NULL) {
                emu_log(level, 'E', "output[%u] buf size error, size = %u, expected size = %zu if want_float = %d", i,
                        output->buf != NULL ? output->size : 0, nbytes, want_float);
                continue;
            }
        } else {
            output->buf = malloc(nbytes);
            if (output->buf == NULL)
                return RKABI_ERR_MALLOC_FAIL;
            output->size = (uint32_t)nbytes;
        }
        emu_output_write(context, i, want_float, output->buf);
    }
    return RKABI_OK;
}

EMU_EXPORT int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend) {
    (void)extend;
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = get_outputs(context, n_outputs, outputs);
    emu_context_release(context);
    return status;
}

EMU_EXPORT int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[]) {
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    for (uint32_t i = 0; outputs != NULL && i < n_outputs && i < context->model->n_outputs; i++)
        if (!outputs[i].is_prealloc) {
            free(outputs[i].buf);
            outputs[i].buf = NULL;
        }
    emu_context_release(context);
    return RKABI_OK;
}

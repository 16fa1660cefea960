#include "emulator/execute.h"

#include <stdlib.h>
#include <time.h>

#include "emulator/client.h"
#include "emulator/dump.h"
#include "emulator/element.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/output.h"
#include "emulator/performance.h"

#define FLAG_WANT_LAYERS 1u
#define FLAG_RAW_UINT8 1u
#define NO_VALUE 0xffffffffu

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The request: the set of shapes, flags, then per input its type, flags, length and bytes in logical order, then the fault orders. */
static int make_request(emu_context *context, bool want_layers, uint8_t **inputs, emu_writer *request) {
    const emu_model *model = context->model;
    emu_write_u32(request, (uint32_t)(model - context->file->models));
    emu_write_u32(request, want_layers ? FLAG_WANT_LAYERS : 0);
    emu_write_u32(request, model->n_inputs);
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        int64_t begin = now_us();
        int status = emu_input_refresh(context, i);
        if (status != RKABI_OK)
            return status;
        size_t nbytes = 0;
        inputs[i] = emu_input_logical(context, i, &nbytes);
        if (inputs[i] == NULL)
            return RKABI_ERR_MALLOC_FAIL;
        context->inputs[i].us = now_us() - begin;
        bool raw = context->inputs[i].raw_uint8;
        emu_write_u32(request, raw ? RKABI_TYPE_UINT8 : model->tensors[model->inputs[i].tensor].type);
        emu_write_u32(request, raw ? FLAG_RAW_UINT8 : 0);
        emu_write_u64(request, nbytes);
        emu_write_bytes(request, inputs[i], nbytes);
    }
    if (!emu_faults_send(context->level, request))
        return RKABI_ERR_FAIL;
    return request->failed ? RKABI_ERR_MALLOC_FAIL : RKABI_OK;
}

static bool take_outputs(emu_context *context, emu_answer *answer) {
    const emu_model *model = context->model;
    context->faults.failing_node = emu_answer_u32(answer);
    context->faults.full_node = emu_answer_u32(answer);
    if (emu_answer_u32(answer) != model->n_outputs)
        return false;
    for (uint32_t i = 0; i < model->n_outputs; i++) {
        const emu_tensor *tensor = &model->tensors[model->outputs[i]];
        size_t nbytes = tensor->n_elems * emu_type_nbytes(tensor->type);
        if (emu_answer_u32(answer) != (uint32_t)tensor->type || emu_answer_u64(answer) != nbytes ||
            !emu_answer_read(answer, context->outputs[i].values, nbytes))
            return false;
    }
    return true;
}

/* One layer's tensors, as the server sends them: in the order of the node list. */
static bool take_layer(emu_context *context, uint32_t node, emu_answer *answer) {
    const emu_model *model = context->model;
    for (uint32_t slot = 0; slot < model->nodes[node].n_outputs; slot++) {
        const emu_tensor *tensor = &model->tensors[model->nodes[node].outputs[slot]];
        if (emu_answer_u32(answer) != node || emu_answer_u32(answer) != slot)
            return false;
        uint32_t type = emu_answer_u32(answer);
        uint64_t nbytes = emu_answer_u64(answer);
        if (answer->failed)
            return false;
        if (type == NO_VALUE && context->file->is_void)
            continue;
        if (type == NO_VALUE) {
            emu_log(context->level, 'W', "rkparity emulated runtime: the simulator has no value of %s: no dump", tensor->name);
            continue;
        }
        if ((type != RKABI_TYPE_FLOAT32 && type != RKABI_TYPE_INT64) ||
            nbytes != tensor->n_elems * emu_type_nbytes((rkabi_type)type))
            return false;
        uint8_t *values = malloc((size_t)nbytes);
        if (values == NULL)
            return false;
        bool whole = emu_answer_read(answer, values, (size_t)nbytes);
        if (whole)
            emu_dump(context, node, tensor, (rkabi_type)type, values);
        free(values);
        if (!whole)
            return false;
    }
    return true;
}

/* The operators in execution order: dumps and, at OutputOperators, the caller's memories. Stops where one fails. */
static int walk_nodes(emu_context *context, bool dumping, uint8_t **inputs, emu_answer *answer) {
    const emu_model *model = context->model;
    for (uint32_t node = 0; node < model->n_nodes; node++) {
        const emu_node *at = &model->nodes[node];
        if (node == context->faults.failing_node) {
            emu_log_fallback_failed(context->level, at->op_type, at->n_outputs > 0 ? model->tensors[at->outputs[0]].name : at->name);
            return RKABI_ERR_FAIL;
        }
        if (at->role == EMU_ROLE_INPUT && dumping) {
            const emu_tensor *tensor = &model->tensors[model->inputs[at->io_index].tensor];
            const emu_input_state *input = &context->inputs[at->io_index];
            bool raw = input->raw_uint8;
            int status = emu_dump_input(context, node, tensor, raw ? RKABI_TYPE_UINT8 : tensor->type, inputs[at->io_index]);
            if (status != RKABI_OK)
                return status;
        } else if (at->role == EMU_ROLE_OUTPUT) {
            const emu_tensor *tensor = &model->tensors[model->outputs[at->io_index]];
            int64_t begin = now_us();
            int status = emu_output_flush(context, at->io_index);
            context->outputs[at->io_index].us = now_us() - begin;
            if (status != RKABI_OK)
                return status;
            if (dumping && !context->file->is_void)
                emu_dump(context, node, tensor, tensor->type, context->outputs[at->io_index].values);
        } else if (at->role == EMU_ROLE_LAYER && dumping && !take_layer(context, node, answer)) {
            emu_log(context->level, 'E', "rkparity emulated runtime: the server's answer is damaged at layer %u", node);
            return RKABI_ERR_DEVICE_UNAVAILABLE;
        }
    }
    return RKABI_OK;
}

int emu_execute(emu_context *context) {
    int64_t begin = now_us();
    const emu_model *model = context->model;
    bool dumping = emu_dump_wanted(context);
    uint8_t **inputs = calloc(model->n_inputs, sizeof *inputs);
    if (inputs == NULL)
        return RKABI_ERR_MALLOC_FAIL;
    emu_writer request = {0};
    int status = make_request(context, dumping, inputs, &request);
    if (status == RKABI_OK) {
        char why[512];
        emu_answer answer;
        int64_t asked = now_us();
        status = emu_client_run(context->connection, &request, &answer, why, sizeof why);
        context->simulator_us = now_us() - asked;
        if (status != RKABI_OK)
            emu_log(context->level, 'E', "rkparity emulated runtime: rknn_run: %s", why);
        else {
            if (take_outputs(context, &answer))
                status = walk_nodes(context, dumping, inputs, &answer);
            else {
                emu_log(context->level, 'E', "rkparity emulated runtime: rknn_run: the server's answer is damaged");
                status = RKABI_ERR_DEVICE_UNAVAILABLE;
            }
            emu_answer_skip(&answer, answer.remaining);
        }
    }
    for (uint32_t i = 0; i < model->n_inputs; i++)
        free(inputs[i]);
    free(inputs);
    emu_writer_free(&request);
    context->run_us = now_us() - begin;
    if (status == RKABI_OK)
        emu_performance_note(context);
    return status;
}

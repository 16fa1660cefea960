/* rknn_query. */
#include <stdio.h>
#include <string.h>

#include "emulator/attributes.h"
#include "emulator/element.h"
#include "emulator/export.h"
#include "emulator/log.h"

#define STATIC_MODEL "query %s error, rknn model is static shape type, please export rknn with dynamic_shapes"

typedef struct command_rule {
    const char *struct_name; /* as the real library's messages name it */
    size_t size;
} command_rule;

static command_rule rule_of(rkabi_query command) {
    switch (command) {
    case RKABI_QUERY_IN_OUT_NUM:
        return (command_rule){"rknn_input_output_num", sizeof(rkabi_in_out_num)};
    case RKABI_QUERY_PERF_DETAIL:
        return (command_rule){"rknn_perf_detail", sizeof(rkabi_perf_detail)};
    case RKABI_QUERY_PERF_RUN:
        return (command_rule){"rknn_perf_run", sizeof(rkabi_perf_run)};
    case RKABI_QUERY_SDK_VERSION:
        return (command_rule){"rknn_sdk_version", sizeof(rkabi_sdk_version)};
    case RKABI_QUERY_MEM_SIZE:
        return (command_rule){"rknn_mem_size", sizeof(rkabi_mem_size)};
    case RKABI_QUERY_CUSTOM_STRING:
        return (command_rule){"rknn_custom_string", sizeof(rkabi_custom_string)};
    case RKABI_QUERY_DEVICE_MEM_INFO:
        return (command_rule){"rknn_tensor_mem", sizeof(rkabi_tensor_mem)};
    case RKABI_QUERY_INPUT_DYNAMIC_RANGE:
        return (command_rule){"rknn_input_range", sizeof(rkabi_input_range)};
    default:
        return (command_rule){"rknn_tensor_attr", sizeof(rkabi_tensor_attr)};
    }
}

typedef struct attribute_query {
    const char *name;
    bool input;
    emu_view view;
    bool current; /* answered only after rknn_set_input_shapes */
} attribute_query;

static const attribute_query *attribute_query_of(rkabi_query command) {
    static const attribute_query plain[] = {
        {"RKNN_QUERY_INPUT_ATTR", true, EMU_VIEW_PLAIN, false},
        {"RKNN_QUERY_OUTPUT_ATTR", false, EMU_VIEW_PLAIN, false},
    };
    static const attribute_query native[] = {
        {"RKNN_QUERY_NATIVE_INPUT_ATTR", true, EMU_VIEW_NATIVE, false},
        {"RKNN_QUERY_NATIVE_OUTPUT_ATTR", false, EMU_VIEW_NATIVE, false},
        {"RKNN_QUERY_NATIVE_NHWC_INPUT_ATTR", true, EMU_VIEW_NATIVE_NHWC, false},
        {"RKNN_QUERY_NATIVE_NHWC_OUTPUT_ATTR", false, EMU_VIEW_NATIVE_NHWC, false},
    };
    static const attribute_query current[] = {
        {"RKNN_QUERY_CURRENT_INPUT_ATTR", true, EMU_VIEW_PLAIN, true},
        {"RKNN_QUERY_CURRENT_OUTPUT_ATTR", false, EMU_VIEW_PLAIN, true},
        {"RKNN_QUERY_CURRENT_NATIVE_INPUT_ATTR", true, EMU_VIEW_NATIVE, true},
        {"RKNN_QUERY_CURRENT_NATIVE_OUTPUT_ATTR", false, EMU_VIEW_NATIVE, true},
    };
    if (command == RKABI_QUERY_INPUT_ATTR || command == RKABI_QUERY_OUTPUT_ATTR)
        return &plain[command - RKABI_QUERY_INPUT_ATTR];
    if (command >= RKABI_QUERY_NATIVE_INPUT_ATTR && command <= RKABI_QUERY_NATIVE_NHWC_OUTPUT_ATTR)
        return &native[command - RKABI_QUERY_NATIVE_INPUT_ATTR];
    if (command >= RKABI_QUERY_CURRENT_INPUT_ATTR && command <= RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR)
        return &current[command - RKABI_QUERY_CURRENT_INPUT_ATTR];
    return NULL;
}

static int query_attribute(emu_context *context, const attribute_query *what, rkabi_tensor_attr *attr) {
    const char *name = what->name;
    bool input = what->input;
    uint32_t index = attr->index;
    uint32_t count = input ? context->model->n_inputs : context->model->n_outputs;
    if (what->current && !context->shapes_set) { /* a static model's line too (evidence 160_b25_c3w30_u8_int8) */
        emu_log(context->level, 'E', "query %s error, please call rknn_set_input_shape first", name);
        return RKABI_ERR_CTX_INVALID;
    }
    if (index >= count) {
        /* "ouput_num" is the library's own spelling (evidence 160_rawq). */
        emu_log(context->level, 'E', "rknn_query, %s, p_attr->index(%u) >= %s(%u)!", name, index,
                input ? "input_num" : "ouput_num", count);
        return RKABI_ERR_PARAM_INVALID;
    }
    /* The plain queries follow rknn_set_input_shapes too: rknn-toolkit-lite2 2.5.0 gives its outputs the shape RKNN_QUERY_OUTPUT_ATTR
       has after it. */
    if (input)
        emu_input_attribute(context, context->model, index, what->view, attr);
    else
        emu_output_attribute(context, context->model, index, what->view, attr);
    return RKABI_OK;
}

static int query_range(const emu_context *context, rkabi_input_range *range) {
    const emu_file *file = context->file;
    uint32_t index = range->index;
    if (index >= context->model->n_inputs) {
        emu_log(context->level, 'E', "rknn_query, RKNN_QUERY_INPUT_DYNAMIC_RANGE, index(%u) >= input_num(%u)!", index,
                context->model->n_inputs);
        return RKABI_ERR_PARAM_INVALID;
    }
    memset(range, 0, sizeof *range);
    range->index = index;
    range->shape_number = file->n_models;
    for (uint32_t i = 0; i < file->n_models; i++) {
        rkabi_tensor_attr attr;
        emu_input_attribute(context, &file->models[i], index, EMU_VIEW_PLAIN, &attr);
        range->fmt = attr.fmt;
        range->n_dims = attr.n_dims;
        memcpy(range->name, attr.name, sizeof range->name);
        memcpy(range->dyn_range[i], attr.dims, sizeof range->dyn_range[i]);
    }
    return RKABI_OK;
}

/* A static model's answers to the questions about dynamic shapes (evidence 160_b25_c3w30_u8_int8). */
static int refuse_dynamic(emu_context *context, rkabi_query command, bool short_of_room) {
    const char *what = "RKNN_QUERY_INPUT_DYNAMIC_RANGE";
    if (command == RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR || command == RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR) {
        what = command == RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR ? "RKNN_QUERY_CURRENT_NATIVE_INPUT_ATTR"
                                                                : "RKNN_QUERY_CURRENT_NATIVE_OUTPUT_ATTR";
        if (command == RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR) /* the output's has only the second line */
            emu_log(context->level, 'E', STATIC_MODEL, what);
        emu_log(context->level, 'E', "query %s error, please call rknn_set_input_shape first", what);
        return RKABI_ERR_CTX_INVALID;
    }
    emu_log(context->level, short_of_room ? 'W' : 'E', STATIC_MODEL, what);
    return RKABI_ERR_MODEL_INVALID;
}

static void fill_memory(const emu_context *context, rkabi_mem_size *memory) {
    size_t internal = 0;
    for (uint32_t i = 0; i < context->model->n_tensors; i++)
        internal += context->model->tensors[i].n_elems * emu_type_nbytes(context->model->tensors[i].type);
    memset(memory, 0, sizeof *memory);
    memory->total_weight_size = (uint32_t)context->model_nbytes;
    memory->total_internal_size = (uint32_t)internal;
    memory->total_dma_size = (uint64_t)context->model_nbytes + internal;
}

static int query(emu_context *context, rkabi_query command, void *info, uint32_t size) {
    int level = context->level;
    if ((int)command == -1 || command == RKABI_QUERY_DEVICE_MEM_INFO) { /* codes: the real 1.6.0; the line: the real 1.5.2 */
        emu_log(level, 'E', "rknn_query, unsupported cmd(%d)!", (int)command);
        return RKABI_ERR_FAIL;
    }
    if ((unsigned)command > (unsigned)context->version->last_query) {
        emu_log(level, 'E', "rknn_query, cmd = %d is not in [0, %d]!", (int)command,
                context->version->last_query);
        return RKABI_ERR_PARAM_INVALID;
    }
    if (info == NULL) {
        emu_log(level, 'E', "rknn_query, info == nullptr!");
        return RKABI_ERR_PARAM_INVALID;
    }
    if (command == RKABI_QUERY_INPUT_DYNAMIC_RANGE && !context->file->is_dynamic && !context->version->mini)
        return refuse_dynamic(context, command, size < sizeof(rkabi_input_range)); /* before the length is refused (the real 1.5.2) */
    command_rule rule = rule_of(command);
    if (size < rule.size) {
        emu_log(level, 'E', "rknn_query, info_len(%u) < sizeof(%s)(%zu)!", size, rule.struct_name, rule.size);
        return RKABI_ERR_PARAM_INVALID;
    }
    /* Performance and current shapes are not the mini runtime's business (evidence mrt232_rawq, mrt232_d1). */
    if (context->version->mini && (command == RKABI_QUERY_PERF_DETAIL || command == RKABI_QUERY_PERF_RUN ||
                                   command >= RKABI_QUERY_INPUT_DYNAMIC_RANGE)) {
        emu_log(level, 'E', "rknn_query, unsupported cmd(%d)!", (int)command);
        return RKABI_ERR_FAIL;
    }
    if (command >= RKABI_QUERY_INPUT_DYNAMIC_RANGE && !context->file->is_dynamic)
        return refuse_dynamic(context, command, false);
    const attribute_query *attribute = attribute_query_of(command);
    if (attribute != NULL)
        return query_attribute(context, attribute, info);
    switch (command) {
    case RKABI_QUERY_IN_OUT_NUM:
        *(rkabi_in_out_num *)info = (rkabi_in_out_num){context->model->n_inputs, context->model->n_outputs};
        return RKABI_OK;
    case RKABI_QUERY_PERF_DETAIL: {
        rkabi_perf_detail *detail = info;
        /* Without RKNN_FLAG_COLLECT_PERF_MASK a pointer all the same (evidence seq_43_*). */
        static char nothing[] = "";
        detail->data = context->perf_text != NULL ? context->perf_text : nothing;
        detail->length = strlen(detail->data);
        return RKABI_OK;
    }
    case RKABI_QUERY_PERF_RUN:
        ((rkabi_perf_run *)info)->run_duration_us = context->run_us;
        return RKABI_OK;
    case RKABI_QUERY_SDK_VERSION: {
        rkabi_sdk_version *version = info;
        memset(version, 0, sizeof *version);
        snprintf(version->api_version, sizeof version->api_version, "%s " EMU_BUILD_NAME "%s", context->version->number,
                 context->file->is_void ? " " EMU_VOID_MARK : "");
        snprintf(version->drv_version, sizeof version->drv_version, "%s", EMU_DRIVER_VERSION);
        return RKABI_OK;
    }
    case RKABI_QUERY_MEM_SIZE:
        fill_memory(context, info);
        return RKABI_OK;
    case RKABI_QUERY_CUSTOM_STRING:
        memset(info, 0, sizeof(rkabi_custom_string));
        return RKABI_OK;
    case RKABI_QUERY_INPUT_DYNAMIC_RANGE:
        return query_range(context, info);
    default:
        return RKABI_ERR_PARAM_INVALID;
    }
}

EMU_EXPORT int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = query(context, command, info, size);
    emu_context_release(context);
    return status;
}

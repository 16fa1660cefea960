#include "emulator/performance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/log.h"

#define LEVEL_TABLES 4
#define WIDTH_LAYERS 258
#define WIDTH_TYPES 99

static void rule(FILE *out, int width) {
    for (int i = 0; i < width; i++)
        fputc('-', out);
    fputc('\n', out);
}

static int64_t node_us(const emu_context *context, const emu_node *node) {
    return node->role == EMU_ROLE_INPUT    ? context->inputs[node->io_index].us
           : node->role == EMU_ROLE_OUTPUT ? context->outputs[node->io_index].us
                                           : 0;
}

/* Where the compiler put the operator; an InputOperator of the NPU is the CPU's work with rknn_inputs_set, and the NPU's with
   rknn_set_io_mem, even when that failed (evidence 160_b25_c3w30_u8_int8, 160_b25_zc_c3w30_u8_int8, _f32_int8). */
static const char *target_name(const emu_context *context, const emu_node *node) {
    bool npu = node->on_npu && (node->role != EMU_ROLE_INPUT || !context->inputs[node->io_index].set_generally);
    return npu ? "NPU" : "CPU";
}

/* UINT8 where pixels are read (evidence 160_perf_flag). */
static const char *type_name(const emu_context *context, const emu_node *node) {
    bool pixels = node->reads_input != EMU_NO_INPUT && context->inputs[node->reads_input].raw_uint8;
    return emu_type_name(pixels ? RKABI_TYPE_UINT8 : node->type);
}

static void write_shape(const emu_tensor *tensor, const char *end, char *text, size_t size) {
    int at = 0;
    for (uint32_t i = 0; i < tensor->n_dims && (size_t)at < size; i++)
        at += snprintf(text + at, size - (size_t)at, "%c%u", i == 0 ? '(' : ',', tensor->dims[i]);
    if ((size_t)at < size)
        snprintf(text + at, size - (size_t)at, "%s", end);
}

/* The columns and their widths are those of evidence 160_perf_flag. */
static void write_layers(const emu_context *context, FILE *out, int64_t total_us) {
    const emu_model *model = context->model;
    rule(out, WIDTH_LAYERS);
    fprintf(out, "%86s%s%98s\n", "", "Network Layer Information Table", "");
    rule(out, WIDTH_LAYERS);
    fprintf(out, "%-5s%-17s%-9s%-7s%-41s%-23s%-13s%-13s%-13s%-13s%-21s%-35s%-13s%-13s%-16s\n", "ID", "OpType", "DataType", "Target",
            "InputShape", "OutputShape", "DDRCycles", "NPUCycles", "MaxCycles", "Time(us)", "MacUsage(%)",
            "WorkLoad(0/1/2)--ImproveTherical", "TaskNumber", "RW(KB)", "FullName");
    rule(out, WIDTH_LAYERS);
    for (uint32_t i = 0; i < model->n_nodes; i++) {
        const emu_node *node = &model->nodes[i];
        char shape[256] = "\\";
        if (node->n_outputs > 0 && node->role != EMU_ROLE_OUTPUT) /* of several the first (evidence 160_b25_split_int8) */
            write_shape(&model->tensors[node->outputs[0]], node->n_outputs > 1 ? "),..." : ")", shape, sizeof shape);
        fprintf(out, "%-5u%-17s%-9s%-7s%-41s%-23s%-13d%-13d%-13d%-13lld%-21s%-35s%-13s%-13d%-16s\n", i + 1, node->op_type,
                type_name(context, node), target_name(context, node),
                node->role == EMU_ROLE_INPUT ? "\\" : node->input_shapes, shape, 0, 0, 0, (long long)node_us(context, node), "\\",
                "0.0%/0.0%/0.0%--Up:0.0%", "0/0", 0, node->name);
    }
    rule(out, WIDTH_LAYERS);
    fprintf(out, "Total Operator Elapsed Per Frame Time(us): %lld\n", (long long)total_us);
    fprintf(out, "Total Memory Read/Write Per Frame Size(KB): %.2f\n", 0.0);
    rule(out, WIDTH_LAYERS);
}

typedef struct type_row {
    const char *op_type;
    int calls;
    int64_t us;
} type_row;

static int slowest_first(const void *left, const void *right) {
    int64_t a = ((const type_row *)left)->us, b = ((const type_row *)right)->us;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* One row per operator type; how many there are. */
static uint32_t collect_types(const emu_context *context, type_row *rows) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < context->model->n_nodes; i++) {
        const emu_node *node = &context->model->nodes[i];
        uint32_t k = 0;
        while (k < count && strcmp(rows[k].op_type, node->op_type) != 0)
            k++;
        if (k == count)
            rows[count++] = (type_row){.op_type = node->op_type};
        rows[k].calls++;
        rows[k].us += node_us(context, node);
    }
    qsort(rows, count, sizeof *rows, slowest_first);
    return count;
}

static void write_types(const emu_context *context, FILE *out, int64_t total_us) {
    type_row *rows = calloc(context->model->n_nodes + 1u, sizeof *rows);
    if (rows == NULL)
        return;
    uint32_t count = collect_types(context, rows);
    rule(out, WIDTH_TYPES);
    fprintf(out, "%33s%s%12s\n", "", "Operator Time Consuming Ranking Table", "");
    rule(out, WIDTH_TYPES);
    fprintf(out, "%-19s%-13s%-13s%-13s%-13s%-15s%-14s\n", "OpType", "CallNumber", "CPUTime(us)", "GPUTime(us)", "NPUTime(us)",
            "TotalTime(us)", "TimeRatio(%)");
    rule(out, WIDTH_TYPES);
    for (uint32_t i = 0; i < count; i++) {
        char ratio[32];
        snprintf(ratio, sizeof ratio, "%.2f%%", total_us > 0 ? 100.0 * (double)rows[i].us / (double)total_us : 0.0);
        fprintf(out, "%-19s%-13d%-13lld%-13d%-13d%-15lld%-14s\n", rows[i].op_type, rows[i].calls, (long long)rows[i].us, 0, 0,
                (long long)rows[i].us, ratio);
    }
    rule(out, WIDTH_TYPES);
    free(rows);
}

static void log_lines(const emu_context *context) {
    for (const char *line = context->perf_text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        emu_log(context->level, 'D', "%.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

void emu_performance_note(emu_context *context) {
    bool logged = context->level >= LEVEL_TABLES && !context->version->mini;
    if ((context->flags & RKABI_FLAG_COLLECT_PERF) == 0 && !logged)
        return;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return;
    int64_t total_us = context->simulator_us;
    for (uint32_t i = 0; i < context->model->n_nodes; i++)
        total_us += node_us(context, &context->model->nodes[i]);
    write_layers(context, out, total_us);
    write_types(context, out, total_us);
    fprintf(out, "rkparity emulated runtime: of these times %lld us are the simulator's for all layers together; cycles, loads and "
            "traffic are not known\n", (long long)context->simulator_us);
    if (fclose(out) != 0) {
        free(text);
        return;
    }
    free(context->perf_text);
    context->perf_text = text;
    if (logged)
        log_lines(context);
}

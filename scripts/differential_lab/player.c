/*
 * player REPORT MODEL CALL...: makes the calls one after another on one context and writes what each gave. A call is a word and numbers,
 * separated by commas: init,FLAGS  query,COMMAND,INDEX  set,TYPE,FMT,PASS,PERCENT  run  get,WANT,COUNT  release  bindin,TYPE,FMT,PASS
 * bindout,TYPE,FMT  read  core,MASK  wait  destroy. Buffers are filled by a fixed rule; results are reported as sums.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#define MAX_IO 8

static FILE *report;
static rkabi_context context;
static rkabi_in_out_num number;
static rkabi_output outputs[MAX_IO];
static rkabi_tensor_mem *bound[MAX_IO];
static uint32_t got;

static uint32_t sum_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t sum = 2166136261u;
    for (size_t i = 0; data != NULL && i < size; i++)
        sum = (sum ^ bytes[i]) * 16777619u;
    return sum;
}

static uint32_t width(int type)
{
    static const uint32_t widths[] = {4, 2, 1, 1, 2, 2, 4, 4, 8, 1};
    return type >= 0 && type < 10 ? widths[type] : 1;
}

static void fill(void *buffer, size_t size, int type)
{
    unsigned char *bytes = buffer;
    float *floats = buffer;
    if (type == RKABI_TYPE_FLOAT32)
        for (size_t i = 0; i < size / 4; i++)
            floats[i] = (float)((int)(i * 7 % 23) - 11) / 4.0f;
    else if (type == RKABI_TYPE_INT64)
        for (size_t i = 0; i < size / 8; i++)
            ((int64_t *)buffer)[i] = (int64_t)(i % 16);
    else if (type == RKABI_TYPE_FLOAT16)
        for (size_t i = 0; i < size / 2; i++)
            ((uint16_t *)buffer)[i] = (uint16_t)(0x3800 + i % 256);
    else
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(i * 7 + 3);
}

static void query(int command, uint32_t index)
{
    rkabi_tensor_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.index = index;
    if (command == 0) {
        rkabi_in_out_num asked = {0, 0};
        fprintf(report, "%d", rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &asked, sizeof asked));
        fprintf(report, " inputs %u outputs %u", asked.n_input, asked.n_output);
        return;
    }
    int status = rknn_query(context, (rkabi_query)command, &attr, sizeof attr);
    fprintf(report, "%d", status);
    if (status != 0)
        return;
    fprintf(report, " name %s fmt %d type %d qnt %d fl %d zp %d scale %a elems %u size %u stride %u,%u,%u pass %u dims", attr.name, (int)attr.fmt,
           (int)attr.type, (int)attr.qnt_type, attr.fl, attr.zp, (double)attr.scale, attr.n_elems, attr.size, attr.w_stride,
           attr.h_stride, attr.size_with_stride, attr.pass_through);
    for (uint32_t i = 0; i < attr.n_dims && i < RKABI_MAX_DIMS; i++)
        fprintf(report, " %u", attr.dims[i]);
}

static void set(const int *a)
{
    rkabi_input inputs[MAX_IO];
    memset(inputs, 0, sizeof inputs);
    for (uint32_t i = 0; i < number.n_input && i < MAX_IO; i++) {
        rkabi_tensor_attr attr = {.index = i};
        rknn_query(context, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr);
        int type = a[0] >= 0 ? a[0] : attr.type == RKABI_TYPE_INT64 ? RKABI_TYPE_INT64 : attr.n_dims == 4 ? RKABI_TYPE_UINT8 : 0;
        int fmt = a[1] >= 0 ? a[1] : (int)attr.fmt;
        uint32_t size = (uint32_t)((uint64_t)attr.n_elems * width(type) * (uint32_t)a[3] / 100);
        inputs[i] = (rkabi_input){i, calloc(1, size + 65536), size, (uint8_t)a[2], (rkabi_type)type, (rkabi_fmt)fmt};
        fill(inputs[i].buf, size, type);
    }
    fprintf(report, "%d", rknn_inputs_set(context, number.n_input, inputs));
}

static void get(int want, int count)
{
    got = count >= 0 ? (uint32_t)count : number.n_output;
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < MAX_IO; i++)
        outputs[i] = (rkabi_output){.want_float = (uint8_t)want, .index = i};
    int status = rknn_outputs_get(context, got, outputs, NULL);
    fprintf(report, "%d", status);
    for (uint32_t i = 0; status == 0 && i < got && i < MAX_IO; i++)
        fprintf(report, " %u:%u:%08x", outputs[i].index, outputs[i].size, outputs[i].buf ? sum_of(outputs[i].buf, outputs[i].size) : 0);
}

static void bind(int input, const int *a)
{
    uint32_t count = input ? number.n_input : number.n_output;
    for (uint32_t i = 0; i < count && i < MAX_IO; i++) {
        rkabi_tensor_attr attr = {.index = i};
        rknn_query(context, input ? RKABI_QUERY_INPUT_ATTR : RKABI_QUERY_OUTPUT_ATTR, &attr, sizeof attr);
        if (a[0] >= 0)
            attr.type = (rkabi_type)a[0];
        if (a[1] >= 0)
            attr.fmt = (rkabi_fmt)a[1];
        attr.pass_through = (uint8_t)(input && a[2] > 0);
        uint32_t size = (attr.size_with_stride > attr.n_elems ? attr.size_with_stride : attr.n_elems) * width((int)attr.type);
        rkabi_tensor_mem *memory = rknn_create_mem(context, size);
        if (memory == NULL) {
            fprintf(report, " none");
            continue;
        }
        if (input)
            fill(memory->virt_addr, size, (int)attr.type);
        else
            bound[i] = memory;
        fprintf(report, "%s%d", i ? " " : "", rknn_set_io_mem(context, memory, &attr));
    }
}

static void read_bound(void)
{
    for (uint32_t i = 0; i < number.n_output && i < MAX_IO; i++) {
        rkabi_tensor_attr attr = {.index = i};
        rknn_query(context, RKABI_QUERY_OUTPUT_ATTR, &attr, sizeof attr);
        if (bound[i] != NULL)
            fprintf(report, "%u:%08x ", i, sum_of(bound[i]->virt_addr, attr.n_elems));
    }
}

static void make(const char *word, const int *a, const char *model)
{
    if (strcmp(word, "init") == 0) {
        fprintf(report, "%d", rknn_init(&context, (void *)(uintptr_t)model, 0, (uint32_t)a[0], NULL));
        rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number);
    } else if (strcmp(word, "query") == 0) {
        query(a[0], (uint32_t)a[1]);
    } else if (strcmp(word, "set") == 0) {
        set(a);
    } else if (strcmp(word, "run") == 0) {
        fprintf(report, "%d", rknn_run(context, NULL));
    } else if (strcmp(word, "get") == 0) {
        get(a[0], a[1]);
    } else if (strcmp(word, "release") == 0) {
        fprintf(report, "%d", rknn_outputs_release(context, got, outputs));
    } else if (strcmp(word, "bindin") == 0 || strcmp(word, "bindout") == 0) {
        bind(word[4] == 'i', a);
    } else if (strcmp(word, "read") == 0) {
        read_bound();
    } else if (strcmp(word, "core") == 0) {
        fprintf(report, "%d", rknn_set_core_mask(context, (rkabi_core_mask)a[0]));
    } else if (strcmp(word, "wait") == 0) {
        fprintf(report, "%d", rknn_wait(context, NULL));
    } else if (strcmp(word, "destroy") == 0) {
        fprintf(report, "%d", rknn_destroy(context));
    }
}

int main(int argc, char **argv)
{
    report = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (report == NULL)
        return 2;
    for (int i = 3; i < argc; i++) {
        int a[4] = {-1, -1, -1, -1};
        char call[64];
        snprintf(call, sizeof call, "%s", argv[i]);
        char *rest = call;
        char *word = strsep(&rest, ",");
        for (int k = 0; k < 4 && rest != NULL; k++)
            a[k] = atoi(strsep(&rest, ","));
        fprintf(report, "@%d %s: ", i - 3, argv[i]);
        fflush(report);
        make(word, a, argv[2]);
        fprintf(report, "\n");
    }
    fprintf(report, "@end\n");
    return 0;
}

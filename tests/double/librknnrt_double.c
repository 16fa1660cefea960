/*
 * A test double of librknnrt: computes nothing, records what it was given and answers what it was told.
 *
 * RKDOUBLE_CONFIG names a file read at rknn_init, one directive per line:
 *   input|output|native_input|native_output  NAME FMT TYPE ZP SCALE W_STRIDE SIZE_WITH_STRIDE D0,D1,...
 *   return FUNCTION CODE [INDEX]     that function returns CODE (INDEX: only its call with that number, from 0)
 *   log FUNCTION TEXT                that function prints TEXT on stdout
 *   dump NAME NBYTES [KEEP]          rknn_run writes RKNN_DUMP_DIR/NAME as uint8 npy and logs it; KEEP: file cut to KEEP bytes
 *   crash FUNCTION | hang FUNCTION | silent FUNCTION     SIGSEGV | sleep 60 s | returns 0 and does nothing
 *   perf TEXT
 *   version API DRIVER               what RKNN_QUERY_SDK_VERSION answers
 * RKDOUBLE_RECORD names a folder: calls.txt gets one line per call, input<I>.bin / mem_<name>.bin what was received.
 * RKDOUBLE_MINIMAL at compile time leaves out every optional function.
 *
 * Over 400 lines: it has every function of the API, and all share the directives and the record.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/rknn_abi.h"

#define EXPORT __attribute__((visibility("default")))
#define MAX_LINES 128
#define MAX_TENSORS 16
#define CONTEXT ((rkabi_context)0x5eed)

static char lines[MAX_LINES][512];
static int n_lines;
static rkabi_tensor_attr attrs[4][MAX_TENSORS];
static uint32_t counts[4];
static char perf_text[256];
static char api_version[64], driver_version[64];
static struct bound {
    rkabi_tensor_mem *mem;
    rkabi_tensor_attr attr;
} bound[2 * MAX_TENSORS];
static uint32_t n_bound;
static int call_numbers[64];

static const char *const kinds[4] = {"input", "output", "native_input", "native_output"};
static const char *const type_names[] = {"FLOAT32", "FLOAT16", "INT8",  "UINT8", "INT16", "UINT16",
                                         "INT32",   "UINT32",  "INT64", "BOOL",  "INT4",  "BFLOAT16"};
static const uint32_t type_sizes[] = {4, 2, 1, 1, 2, 2, 4, 4, 8, 1, 0, 2};
static const char *const fmt_names[] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};

static uint32_t index_of(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    abort();
}

static void record(const char *format, ...)
{
    const char *folder = getenv("RKDOUBLE_RECORD");
    char path[4096];
    va_list arguments;
    FILE *file;

    if (!folder) {
        return;
    }
    snprintf(path, sizeof path, "%s/calls.txt", folder);
    file = fopen(path, "a");
    if (file) {
        va_start(arguments, format);
        vfprintf(file, format, arguments);
        va_end(arguments);
        fputc('\n', file);
        fclose(file);
    }
}

static void save(const char *name, uint32_t index, const void *data, uint32_t size)
{
    const char *folder = getenv("RKDOUBLE_RECORD");
    char path[4096];
    FILE *file;

    if (!folder) {
        return;
    }
    snprintf(path, sizeof path, "%s/%s%u.bin", folder, name, index);
    file = fopen(path, "wb");
    if (file) {
        fwrite(data, 1, size, file);
        fclose(file);
    }
}

static void read_tensor(const char *text)
{
    char kind[32], name[128], fmt[16], type[16], dims[128];
    rkabi_tensor_attr *attr;
    uint32_t k;
    int zp;

    if (sscanf(text, "%31s %127s %15s %15s %d", kind, name, fmt, type, &zp) != 5) {
        abort();
    }
    k = index_of(kinds, 4, kind);
    attr = &attrs[k][counts[k]];
    memset(attr, 0, sizeof *attr);
    if (sscanf(text, "%*s %*s %*s %*s %*d %f %u %u %127s", &attr->scale, &attr->w_stride, &attr->size_with_stride, dims) != 4) {
        abort();
    }
    attr->index = counts[k]++;
    snprintf(attr->name, sizeof attr->name, "%s", name);
    attr->fmt = (rkabi_fmt)index_of(fmt_names, 4, fmt);
    attr->type = (rkabi_type)index_of(type_names, 12, type);
    attr->qnt_type = RKABI_QNT_AFFINE_ASYMMETRIC;
    attr->zp = zp;
    attr->n_elems = 1;
    for (char *part = strtok(dims, ","); part; part = strtok(NULL, ",")) {
        attr->dims[attr->n_dims] = (uint32_t)atoi(part);
        attr->n_elems *= attr->dims[attr->n_dims++];
    }
    attr->size = attr->n_elems * type_sizes[attr->type];
}

static void read_config(void)
{
    const char *path = getenv("RKDOUBLE_CONFIG");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];

    n_lines = 0;
    n_bound = 0;
    perf_text[0] = '\0';
    strcpy(api_version, "2.3.2 (test double)");
    strcpy(driver_version, "0.9.8");
    memset(counts, 0, sizeof counts);
    memset(call_numbers, 0, sizeof call_numbers);
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "input ", 6) == 0 || strncmp(line, "output ", 7) == 0 || strncmp(line, "native_", 7) == 0) {
            read_tensor(line);
        } else if (strncmp(line, "perf ", 5) == 0) {
            snprintf(perf_text, sizeof perf_text, "%.200s", line + 5);
        } else if (strncmp(line, "version ", 8) == 0) {
            if (sscanf(line, "version %63s %63s", api_version, driver_version) != 2) {
                abort();
            }
        } else if (n_lines < MAX_LINES && line[0]) {
            snprintf(lines[n_lines++], sizeof lines[0], "%s", line);
        }
    }
    if (file) {
        fclose(file);
    }
}

/* Prints what is configured for `function`; true when it is to return `*status` at once. */
static bool scripted(const char *function, int number, int *status)
{
    char verb[16], name[64];
    int used, code, index;

    for (int i = 0; i < n_lines; i++) {
        if (sscanf(lines[i], "%15s %63s %n", verb, name, &used) < 2 || strcmp(name, function) != 0) {
            continue;
        }
        if (strcmp(verb, "log") == 0) {
            printf("%s\n", lines[i] + used);
        } else if (strcmp(verb, "crash") == 0) {
            raise(SIGSEGV);
        } else if (strcmp(verb, "hang") == 0) {
            sleep(60);
        } else if (strcmp(verb, "silent") == 0) {
            *status = 0;
            return true;
        } else if (strcmp(verb, "return") == 0) {
            int fields = sscanf(lines[i] + used, "%d %d", &code, &index);
            if (fields == 1 || (fields == 2 && index == number)) {
                *status = code;
                return true;
            }
        }
    }
    return false;
}

static void fill(void *data, uint32_t type, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (type == RKABI_TYPE_FLOAT32) {
            float value = (float)i * 0.5f;
            memcpy((char *)data + i * 4, &value, 4);
        } else if (type == RKABI_TYPE_INT64) {
            int64_t value = (int64_t)i - 1;
            memcpy((char *)data + i * 8, &value, 8);
        } else if (type_sizes[type] == 2) {
            uint16_t value = (uint16_t)i;
            memcpy((char *)data + i * 2, &value, 2);
        } else {
            ((unsigned char *)data)[i] = (unsigned char)(i & 0x7f);
        }
    }
}

EXPORT int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend)
{
    int status = 0;

    (void)extend;
    read_config();
    record("rknn_init size=%u flag=%u model=%s", size, flag, size == 0 ? (const char *)model : "(bytes)");
    record("env RKNN_LOG_LEVEL=%s RKNN_DUMP_DIR=%s RKNN_DUMP_QUANT=%s", getenv("RKNN_LOG_LEVEL") ? getenv("RKNN_LOG_LEVEL") : "-",
           getenv("RKNN_DUMP_DIR") ? getenv("RKNN_DUMP_DIR") : "-",
           getenv("RKNN_DUMP_QUANT") ? getenv("RKNN_DUMP_QUANT") : "-");
    if (scripted("rknn_init", 0, &status)) {
        return status;
    }
    *ctx = CONTEXT;
    return 0;
}

EXPORT int rknn_destroy(rkabi_context ctx)
{
    record("rknn_destroy");
    return ctx == CONTEXT ? 0 : RKABI_ERR_CTX_INVALID;
}

static int query_attr(uint32_t kind, void *info, uint32_t size)
{
    rkabi_tensor_attr *attr = info;
    int status;

    if (size < sizeof *attr) {
        return RKABI_ERR_PARAM_INVALID;
    }
    if (scripted(kinds[kind], (int)attr->index, &status)) {
        return status;
    }
    if (kind >= 2 && counts[kind] == 0) {
        kind -= 2;
    }
    if (attr->index >= counts[kind]) {
        return RKABI_ERR_PARAM_INVALID;
    }
    *attr = attrs[kind][attr->index];
    return 0;
}

EXPORT int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size)
{
    int status = 0;

    if (ctx != CONTEXT) {
        return RKABI_ERR_CTX_INVALID;
    }
    if (scripted("rknn_query", (int)command, &status)) {
        return status;
    }
    switch (command) {
    case RKABI_QUERY_IN_OUT_NUM: {
        rkabi_in_out_num number = {counts[0], counts[1]};
        memcpy(info, &number, sizeof number);
        return 0;
    }
    case RKABI_QUERY_INPUT_ATTR:
        return query_attr(0, info, size);
    case RKABI_QUERY_OUTPUT_ATTR:
        return query_attr(1, info, size);
    case RKABI_QUERY_NATIVE_INPUT_ATTR:
        return query_attr(2, info, size);
    case RKABI_QUERY_NATIVE_OUTPUT_ATTR:
        return query_attr(3, info, size);
    case RKABI_QUERY_SDK_VERSION: {
        rkabi_sdk_version *version = info;
        snprintf(version->api_version, sizeof version->api_version, "%s", api_version);
        snprintf(version->drv_version, sizeof version->drv_version, "%s", driver_version);
        return 0;
    }
    case RKABI_QUERY_MEM_SIZE: {
        rkabi_mem_size *mem = info;
        memset(mem, 0, sizeof *mem);
        mem->total_weight_size = 3200;
        mem->total_internal_size = 9600;
        return 0;
    }
    case RKABI_QUERY_PERF_RUN: {
        rkabi_perf_run *run = info;
        run->run_duration_us = 1234;
        return 0;
    }
    case RKABI_QUERY_PERF_DETAIL: {
        rkabi_perf_detail *detail = info;
        detail->data = perf_text;
        detail->length = strlen(perf_text);
        return 0;
    }
    default:
        return RKABI_ERR_PARAM_INVALID;
    }
}

static void write_dumps(void)
{
    const char *folder = getenv("RKNN_DUMP_DIR");
    const char *level = getenv("RKNN_LOG_LEVEL");

    if (!level || atoi(level) < 5) {
        return;
    }
    for (int i = 0; i < n_lines; i++) {
        char name[256], path[4096], header[128];
        unsigned nbytes;
        long keep = -1;
        FILE *file;
        if (sscanf(lines[i], "dump %255s %u %ld", name, &nbytes, &keep) < 2) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder ? folder : "dumps", name);
        printf("D RKNN: [12:00:00.000] dump npy tensor to: %s\n", path);
        file = fopen(path, "wb");
        if (!file) {
            printf("E RKNN: [12:00:00.000] failed open dump path: %s\n", path);
            continue;
        }
        memset(header, ' ', 80);
        memcpy(header, "\x93NUMPY\x01\x00\x46\x00", 10);
        int used = snprintf(header + 10, sizeof header - 10, "{'descr': '|u1', 'fortran_order': False, 'shape': (%u,), }", nbytes);
        header[10 + used] = ' ';
        header[79] = '\n';
        fwrite(header, 1, 80, file);
        for (unsigned b = 0; b < nbytes; b++) {
            fputc((int)(b & 0xff), file);
        }
        fclose(file);
        if (keep >= 0 && truncate(path, keep) != 0) {
            abort();
        }
    }
}

EXPORT int rknn_run(rkabi_context ctx, rkabi_run_extend *extend)
{
    int status = 0;

    (void)extend;
    record("rknn_run");
    if (ctx != CONTEXT) {
        return RKABI_ERR_CTX_INVALID;
    }
    if (scripted("rknn_run", call_numbers[0]++, &status)) {
        return status;
    }
    for (uint32_t i = 0; i < n_bound; i++) {
        if (bound[i].attr.h_stride == 0xffffffffu) {
            uint32_t size = type_sizes[bound[i].attr.type];
            fill(bound[i].mem->virt_addr, (uint32_t)bound[i].attr.type, bound[i].mem->size / size);
        } else {
            save("mem_in", bound[i].attr.index, bound[i].mem->virt_addr, bound[i].mem->size);
        }
    }
    write_dumps();
    return 0;
}

#ifndef RKDOUBLE_MINIMAL
EXPORT int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[])
{
    int status = 0;

    (void)ctx;
    record("rknn_inputs_set n=%u", n_inputs);
    if (scripted("rknn_inputs_set", 0, &status)) {
        return status;
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        record("input index=%u size=%u pass_through=%u type=%s fmt=%s", inputs[i].index, inputs[i].size, inputs[i].pass_through,
               type_names[inputs[i].type], fmt_names[inputs[i].fmt]);
        save("input", i, inputs[i].buf, inputs[i].size);
    }
    return 0;
}

EXPORT int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend)
{
    int status = 0;

    (void)ctx;
    (void)extend;
    record("rknn_outputs_get n=%u", n_outputs);
    if (scripted("rknn_outputs_get", 0, &status)) {
        return status;
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        const rkabi_tensor_attr *attr = &attrs[1][i];
        uint32_t type = outputs[i].want_float && attr->type != RKABI_TYPE_INT64 ? RKABI_TYPE_FLOAT32 : (uint32_t)attr->type;
        record("output index=%u want_float=%u is_prealloc=%u size=%u", outputs[i].index, outputs[i].want_float,
               outputs[i].is_prealloc, outputs[i].size);
        if (!outputs[i].is_prealloc) {
            outputs[i].size = attr->n_elems * type_sizes[type];
            outputs[i].buf = malloc(outputs[i].size);
        }
        fill(outputs[i].buf, type, attr->n_elems);
    }
    return 0;
}

EXPORT int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[])
{
    int status = 0;

    (void)ctx;
    record("rknn_outputs_release n=%u", n_outputs);
    for (uint32_t i = 0; i < n_outputs; i++) {
        if (!outputs[i].is_prealloc) {
            free(outputs[i].buf);
            outputs[i].buf = NULL;
        }
    }
    scripted("rknn_outputs_release", 0, &status);
    return status;
}

EXPORT int rknn_set_core_mask(rkabi_context ctx, rkabi_core_mask core_mask)
{
    int status = 0;

    (void)ctx;
    record("rknn_set_core_mask %d", (int)core_mask);
    scripted("rknn_set_core_mask", 0, &status);
    return status;
}

EXPORT rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size)
{
    rkabi_tensor_mem *mem;
    int status = 0;

    (void)ctx;
    record("rknn_create_mem %u", size);
    if (scripted("rknn_create_mem", 0, &status)) {
        return NULL;
    }
    mem = calloc(1, sizeof *mem);
    mem->virt_addr = malloc(size);
    mem->size = size;
    return mem;
}

EXPORT int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    (void)ctx;
    record("rknn_destroy_mem");
    free(mem->virt_addr);
    free(mem);
    return 0;
}

EXPORT int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr)
{
    int status = 0;
    bool output = false;

    (void)ctx;
    record("rknn_set_io_mem name=%s type=%s fmt=%s pass_through=%u n_dims=%u size=%u", attr->name, type_names[attr->type],
           fmt_names[attr->fmt], attr->pass_through, attr->n_dims, mem->size);
    if (scripted("rknn_set_io_mem", 0, &status)) {
        return status;
    }
    for (uint32_t i = 0; i < counts[1]; i++) {
        output = output || strcmp(attrs[1][i].name, attr->name) == 0;
    }
    bound[n_bound].mem = mem;
    bound[n_bound].attr = *attr;
    /* An unused field marks outputs for rknn_run. */
    bound[n_bound++].attr.h_stride = output ? 0xffffffffu : 0;
    return 0;
}

EXPORT int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode)
{
    int status = 0;

    (void)ctx;
    record("rknn_mem_sync size=%u mode=%d", mem->size, (int)mode);
    scripted("rknn_mem_sync", 0, &status);
    return status;
}
#endif

/* Applications that treat their outputs rightly or wrongly, one mistake a mode: outputs MODEL INPUT MODE OUT_PREFIX.

   Writes OUT_PREFIX.<index>.f32 (or .i8, .u8) per output: the numbers the application would go on with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#define MAX_OUTPUTS 8

static void *read_file(const char *path, uint32_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(2);
    long length = ftell(file);
    rewind(file);
    void *data = malloc((size_t)length);
    if (data == NULL || fread(data, 1, (size_t)length, file) != (size_t)length)
        exit(2);
    fclose(file);
    *size = (uint32_t)length;
    return data;
}

static void save(const char *prefix, uint32_t index, const char *type, const void *data, size_t nbytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%u.%s", prefix, index, type);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, nbytes, file) != nbytes || fclose(file) != 0)
        exit(2);
}

static void check(int status, const char *call) {
    if (status != 0) {
        fprintf(stderr, "%s = %d\n", call, status);
        exit(1);
    }
}

static int is(const char *mode, const char *name) { return strcmp(mode, name) == 0; }

static rkabi_context context;
static rkabi_in_out_num number;
static rkabi_tensor_attr attrs[MAX_OUTPUTS], native[MAX_OUTPUTS];

static void set_input(unsigned char *pixels, uint32_t size) {
    rkabi_input input = {0, pixels, size, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    check(rknn_inputs_set(context, 1, &input), "rknn_inputs_set");
}

static float convert(const char *mode, const void *buffer, uint32_t k, uint32_t i) {
    const int8_t *q = buffer;
    const uint8_t *u = buffer;
    const rkabi_tensor_attr *attr = &attrs[i], *other = &attrs[(i + 1) % number.n_output];
    if (is(mode, "not_dequantized"))
        return (float)q[k];
    if (is(mode, "no_zero_point"))
        return (float)q[k] * attr->scale;
    if (is(mode, "no_scale"))
        return (float)(q[k] - attr->zp);
    if (is(mode, "zero_point_added"))
        return (float)(q[k] + attr->zp) * attr->scale;
    if (is(mode, "unsigned"))
        return (float)(u[k] - attr->zp) * attr->scale;
    if (is(mode, "other_parameters"))
        return (float)(q[k] - other->zp) * other->scale;
    if (is(mode, "other_scale"))
        return (float)(q[k] - attr->zp) * other->scale;
    return (float)(q[k] - attr->zp) * attr->scale;
}

/* Element k of an NCHW tensor as found by code that thinks the buffer is NHWC. */
static uint32_t as_nhwc(const rkabi_tensor_attr *attr, uint32_t k) {
    uint32_t C = attr->dims[1], H = attr->dims[2], W = attr->dims[3];
    uint32_t c = k / (H * W), y = k / W % H, x = k % W;
    return (y * W + x) * C + c;
}

static void general(const char *mode, const char *prefix) {
    rkabi_output outputs[MAX_OUTPUTS];
    memset(outputs, 0, sizeof outputs);
    int floats = is(mode, "float") || is(mode, "twice") || is(mode, "float_as_int8") || is(mode, "prealloc_small") ||
                 is(mode, "swapped") || is(mode, "transposed") || is(mode, "first_half");
    for (uint32_t i = 0; i < number.n_output; i++) {
        outputs[i].index = i;
        outputs[i].want_float = (uint8_t)floats;
        if (is(mode, "prealloc_small")) {
            outputs[i].is_prealloc = 1;
            outputs[i].size = attrs[i].n_elems; /* forgot sizeof(float) */
            outputs[i].buf = calloc(attrs[i].n_elems, sizeof(float));
        }
    }
    check(rknn_outputs_get(context, number.n_output, outputs, NULL), "rknn_outputs_get");
    for (uint32_t i = 0; i < number.n_output; i++) {
        uint32_t n = attrs[i].n_elems;
        float *values = calloc(n, sizeof(float));
        const float *real = outputs[i].buf;
        if (is(mode, "raw")) {
            save(prefix, i, "i8", outputs[i].buf, n);
            continue;
        }
        if (is(mode, "raw_as_float")) {
            memcpy(values, outputs[i].buf, n); /* n bytes of int8 in a float array of n */
            save(prefix, i, "f32", values, n * sizeof(float));
            continue;
        }
        for (uint32_t k = 0; k < n; k++) {
            if (is(mode, "float") || is(mode, "prealloc_small"))
                values[k] = real[k];
            else if (is(mode, "twice"))
                values[k] = (real[k] - (float)attrs[i].zp) * attrs[i].scale;
            else if (is(mode, "float_as_int8"))
                values[k] = (float)(((const int8_t *)real)[k] - attrs[i].zp) * attrs[i].scale;
            else if (is(mode, "transposed"))
                values[k] = real[as_nhwc(&attrs[i], k)];
            else if (is(mode, "transposed_no_scale"))
                values[k] = convert("no_scale", outputs[i].buf, as_nhwc(&attrs[i], k), i);
            else if (is(mode, "first_half"))
                values[k] = k < n / 2 ? real[k] : 0.0f;
            else if (!is(mode, "swapped"))
                values[k] = convert(mode, outputs[i].buf, k, i);
        }
        if (is(mode, "swapped") && attrs[i].n_elems == attrs[i ^ 1u].n_elems && i < 2)
            memcpy(values, outputs[i ^ 1u].buf, n * sizeof(float));
        else if (is(mode, "swapped"))
            memcpy(values, real, n * sizeof(float));
        save(prefix, i, "f32", values, n * sizeof(float));
    }
}

static void zero_copy(const char *mode, unsigned char *pixels, uint32_t size, const char *prefix) {
    rkabi_tensor_attr in = {.index = 0};
    check(rknn_query(context, RKABI_QUERY_NATIVE_INPUT_ATTR, &in, sizeof in), "rknn_query");
    in.type = RKABI_TYPE_UINT8;
    in.fmt = RKABI_FMT_NHWC;
    in.pass_through = 0;
    rkabi_tensor_mem *input = rknn_create_mem(context, in.size_with_stride);
    uint32_t row = in.dims[2] * in.dims[3], stride = (in.w_stride ? in.w_stride : in.dims[2]) * in.dims[3];
    for (uint32_t y = 0; y < size / row; y++)
        memcpy((unsigned char *)input->virt_addr + y * stride, pixels + y * row, row);
    check(rknn_set_io_mem(context, input, &in), "rknn_set_io_mem");
    rkabi_tensor_mem *memories[MAX_OUTPUTS];
    for (uint32_t i = 0; i < number.n_output; i++) {
        rkabi_tensor_attr attr = is(mode, "native") ? native[i] : attrs[i];
        uint32_t nbytes = is(mode, "native") ? native[i].size_with_stride : attrs[i].n_elems * 4;
        if (is(mode, "nhwc")) {
            uint32_t C = attr.dims[1], H = attr.dims[2], W = attr.dims[3];
            attr.fmt = RKABI_FMT_NHWC;
            attr.dims[1] = H, attr.dims[2] = W, attr.dims[3] = C;
        }
        if (!is(mode, "native"))
            attr.type = is(mode, "uint8") ? RKABI_TYPE_UINT8 : RKABI_TYPE_FLOAT32;
        memories[i] = rknn_create_mem(context, nbytes);
        memset(memories[i]->virt_addr, 0, nbytes);
        check(rknn_set_io_mem(context, memories[i], &attr), "rknn_set_io_mem");
    }
    check(rknn_run(context, NULL), "rknn_run");
    for (uint32_t i = 0; i < number.n_output; i++) {
        uint32_t n = attrs[i].n_elems;
        float *values = calloc(n, sizeof(float));
        for (uint32_t k = 0; k < n; k++) {
            if (is(mode, "native"))
                values[k] = convert("", memories[i]->virt_addr, k, i);
            else if (is(mode, "uint8"))
                values[k] = (float)(((uint8_t *)memories[i]->virt_addr)[k] - attrs[i].zp) * attrs[i].scale;
            else
                values[k] = ((float *)memories[i]->virt_addr)[k];
        }
        if (is(mode, "cache")) /* what a CPU without sync sees: some lines from before the run */
            for (uint32_t line = 0; line * 16 < n; line++)
                if ((line * 2654435761u >> 16) % 3 == 0)
                    for (uint32_t k = line * 16; k < n && k < line * 16 + 16; k++)
                        values[k] = 0.0f;
        save(prefix, i, "f32", values, n * sizeof(float));
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    uint32_t model_size = 0, size = 0;
    void *model = read_file(argv[1], &model_size);
    unsigned char *pixels = read_file(argv[2], &size);
    const char *mode = argv[3];
    check(rknn_init(&context, model, model_size, 0, NULL), "rknn_init");
    check(rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number), "rknn_query");
    for (uint32_t i = 0; i < number.n_output; i++) {
        attrs[i].index = native[i].index = i;
        check(rknn_query(context, RKABI_QUERY_OUTPUT_ATTR, &attrs[i], sizeof attrs[i]), "rknn_query");
        check(rknn_query(context, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &native[i], sizeof native[i]), "rknn_query");
    }
    if (is(mode, "native") || is(mode, "nhwc") || is(mode, "uint8") || is(mode, "cache")) {
        zero_copy(mode, pixels, size, argv[4]);
    } else {
        set_input(pixels, size);
        check(rknn_run(context, NULL), "rknn_run");
        general(mode, argv[4]);
    }
    return rknn_destroy(context);
}

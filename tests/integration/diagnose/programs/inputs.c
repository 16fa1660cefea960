/* Applications that give their input rightly or wrongly, one mistake a mode: inputs MODEL PICTURE MODE [OTHER_PICTURE].

   PICTURE holds the right bytes: uint8, NHWC, RGB, not normalised. The dumps are those of the last run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

static unsigned char *read_file(const char *path, uint32_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(2);
    long length = ftell(file);
    rewind(file);
    unsigned char *data = malloc((size_t)length);
    if (data == NULL || fread(data, 1, (size_t)length, file) != (size_t)length)
        exit(2);
    fclose(file);
    *size = (uint32_t)length;
    return data;
}

static void check(int status, const char *call) {
    if (status != 0) {
        fprintf(stderr, "%s = %d\n", call, status);
        exit(1);
    }
}

static int is(const char *mode, const char *name) { return strcmp(mode, name) == 0; }

static rkabi_context context;
static const float mean[] = {123.675f, 116.28f, 103.53f}, std[] = {58.395f, 57.12f, 57.375f};

static void get_outputs(float *first) {
    rkabi_output outputs[8];
    rkabi_in_out_num number;
    memset(outputs, 0, sizeof outputs);
    check(rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number), "rknn_query");
    for (uint32_t i = 0; i < number.n_output; i++) {
        outputs[i].index = i;
        outputs[i].want_float = 1;
    }
    check(rknn_outputs_get(context, number.n_output, outputs, NULL), "rknn_outputs_get");
    *first = ((float *)outputs[0].buf)[0];
    check(rknn_outputs_release(context, number.n_output, outputs), "rknn_outputs_release");
}

static void zero_copy(const char *mode, const unsigned char *pixels, uint32_t H, uint32_t W, uint32_t C) {
    rkabi_tensor_attr in = {.index = 0}, out = {.index = 0};
    check(rknn_query(context, RKABI_QUERY_NATIVE_INPUT_ATTR, &in, sizeof in), "rknn_query");
    check(rknn_query(context, RKABI_QUERY_OUTPUT_ATTR, &out, sizeof out), "rknn_query");
    in.type = RKABI_TYPE_UINT8;
    in.fmt = RKABI_FMT_NHWC;
    in.pass_through = 0;
    out.type = RKABI_TYPE_FLOAT32;
    rkabi_tensor_mem *input = rknn_create_mem(context, in.size_with_stride);
    rkabi_tensor_mem *output = rknn_create_mem(context, out.n_elems * 4);
    uint32_t stride = (in.w_stride ? in.w_stride : W) * C;
    if (is(mode, "stride_ignored"))
        memcpy(input->virt_addr, pixels, H * W * C); /* as if rows had no padding */
    else
        for (uint32_t y = 0; y < H; y++)
            memcpy((unsigned char *)input->virt_addr + y * stride, pixels + y * W * C, W * C);
    check(rknn_set_io_mem(context, input, &in), "rknn_set_io_mem");
    check(rknn_set_io_mem(context, output, &out), "rknn_set_io_mem");
    check(rknn_run(context, NULL), "rknn_run");
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    uint32_t model_size = 0, size = 0, other_size = 0;
    unsigned char *model = read_file(argv[1], &model_size), *pixels = read_file(argv[2], &size);
    unsigned char *other = argc > 4 ? read_file(argv[4], &other_size) : pixels;
    const char *mode = argv[3];
    check(rknn_init(&context, model, model_size, 0, NULL), "rknn_init");
    rkabi_tensor_attr attr = {.index = 0};
    check(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr), "rknn_query");
    uint32_t H = attr.dims[1], W = attr.dims[2], C = attr.dims[3], n = attr.n_elems;
    unsigned char *bytes = malloc(n);
    float *floats = malloc(n * sizeof(float)), value = 0;
    memcpy(bytes, pixels, n);
    rkabi_input input = {0, bytes, n, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    if (is(mode, "stride_right") || is(mode, "stride_ignored")) {
        zero_copy(mode, pixels, H, W, C);
        return rknn_destroy(context);
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t c = k % C, x = k / C % W, y = k / (C * W);
        if (is(mode, "bgr"))
            bytes[k] = pixels[k - c + (C - 1 - c)];
        else if (is(mode, "planar"))
            bytes[k] = pixels[((k % (H * W)) * C) + k / (H * W)]; /* NCHW bytes declared NHWC */
        else if (is(mode, "shifted"))
            bytes[k] = x >= 3 ? pixels[(y * W + x - 3) * C + c] : pixels[y * W * C + c];
        if (is(mode, "float01"))
            floats[k] = (float)pixels[k] / 255.0f;
        else
            floats[k] = ((float)pixels[k] - mean[c % 3]) / std[c % 3];
    }
    if (is(mode, "float01") || is(mode, "normalized")) {
        input.buf = floats;
        input.size = n * (uint32_t)sizeof(float);
        input.type = RKABI_TYPE_FLOAT32;
    } else if (is(mode, "int8")) {
        input.type = RKABI_TYPE_INT8;
    } else if (is(mode, "nothing_set")) {
        input.size = n + 64; /* returns 0 and copies nothing */
        input.buf = memcpy(calloc(1, n + 64), input.buf, n);
    } else if (is(mode, "stale")) { /* the second picture is too large for the input: the first one stays */
        check(rknn_inputs_set(context, 1, &input), "rknn_inputs_set");
        check(rknn_run(context, NULL), "rknn_run");
        get_outputs(&value);
        unsigned char *larger = malloc(n + 64);
        memcpy(larger, other, n);
        input.buf = larger;
        input.size = n + 64;
    }
    check(rknn_inputs_set(context, 1, &input), "rknn_inputs_set");
    check(rknn_run(context, NULL), "rknn_run");
    get_outputs(&value);
    if (is(mode, "output_before_run")) { /* sets the next picture and takes the outputs of the last run for its own */
        memcpy(bytes, other, n);
        check(rknn_inputs_set(context, 1, &input), "rknn_inputs_set");
        get_outputs(&value);
        check(rknn_run(context, NULL), "rknn_run");
    }
    printf("%g\n", value);
    return rknn_destroy(context);
}

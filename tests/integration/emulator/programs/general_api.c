/* An application the way the vendor's demos are written: general API, then zero-copy with native attributes. Prints each
   result; returns 0 when the two APIs agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

static unsigned char *read_file(const char *path, uint32_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    long length = ftell(file);
    rewind(file);
    unsigned char *data = malloc((size_t)length);
    if (data == NULL || fread(data, 1, (size_t)length, file) != (size_t)length)
        return NULL;
    fclose(file);
    *size = (uint32_t)length;
    return data;
}

#define CHECK(call)                                                     \
    do {                                                                \
        int status_ = (call);                                           \
        if (status_ != 0) {                                             \
            fprintf(stderr, "%s = %d\n", #call, status_);               \
            return 1;                                                   \
        }                                                               \
    } while (0)

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    uint32_t size = 0;
    unsigned char *model = read_file(argv[1], &size);
    if (model == NULL)
        return 2;
    int rounds = atoi(argv[2]);
    for (int round = 0; round < rounds; round++) {
        rkabi_context context = 0;
        CHECK(rknn_init(&context, model, size, 0, NULL));
        rkabi_in_out_num number;
        CHECK(rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number));
        rkabi_tensor_attr in = {.index = 0}, native_in = {.index = 0}, out = {.index = 0}, native_out = {.index = 0};
        CHECK(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &in, sizeof in));
        CHECK(rknn_query(context, RKABI_QUERY_OUTPUT_ATTR, &out, sizeof out));
        CHECK(rknn_query(context, RKABI_QUERY_NATIVE_INPUT_ATTR, &native_in, sizeof native_in));
        CHECK(rknn_query(context, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &native_out, sizeof native_out));

        unsigned char *pixels = malloc(in.n_elems);
        for (uint32_t i = 0; i < in.n_elems; i++)
            pixels[i] = (unsigned char)(i * 7 + (uint32_t)round);
        rkabi_input input = {0, pixels, in.n_elems, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
        CHECK(rknn_inputs_set(context, 1, &input));
        CHECK(rknn_run(context, NULL));
        rkabi_output output = {.want_float = 1};
        CHECK(rknn_outputs_get(context, number.n_output, &output, NULL));
        float *values = malloc(output.size);
        memcpy(values, output.buf, output.size);
        CHECK(rknn_outputs_release(context, number.n_output, &output));

        native_in.type = RKABI_TYPE_UINT8;
        rkabi_tensor_mem *in_mem = rknn_create_mem(context, native_in.size_with_stride);
        rkabi_tensor_mem *out_mem = rknn_create_mem(context, native_out.size_with_stride);
        uint32_t height = in.dims[1], row = in.dims[2] * in.dims[3], stride = native_in.w_stride * in.dims[3];
        for (uint32_t y = 0; y < height; y++)
            memcpy((unsigned char *)in_mem->virt_addr + y * stride, pixels + y * row, row);
        CHECK(rknn_set_io_mem(context, in_mem, &native_in));
        CHECK(rknn_set_io_mem(context, out_mem, &native_out));
        CHECK(rknn_mem_sync(context, in_mem, RKABI_SYNC_TO_DEVICE));
        CHECK(rknn_run(context, NULL));
        CHECK(rknn_mem_sync(context, out_mem, RKABI_SYNC_FROM_DEVICE));

        /* NC1HWC2 to NCHW by the manual's formula. */
        uint32_t channels = out.dims[1], plane = out.dims[2] * out.dims[3], c2 = native_out.dims[4];
        uint32_t native_plane = native_out.dims[2] * native_out.dims[3];
        const int8_t *blocks = out_mem->virt_addr;
        unsigned differing = 0;
        for (uint32_t c = 0; c < channels; c++)
            for (uint32_t i = 0; i < plane; i++) {
                int quantized = blocks[((c / c2) * native_plane + i) * c2 + c % c2];
                float value = (float)(quantized - out.zp) * out.scale;
                differing += value != values[c * plane + i];
            }
        if (round == 0)
            printf("inputs %u outputs %u first %g last %g differing %u\n", number.n_input, number.n_output, (double)values[0],
                   (double)values[out.n_elems - 1], differing);
        CHECK(rknn_destroy_mem(context, in_mem));
        CHECK(rknn_destroy_mem(context, out_mem));
        CHECK(rknn_destroy(context));
        free(values);
        free(pixels);
        if (differing > 0)
            return 1;
    }
    free(model);
    return 0;
}

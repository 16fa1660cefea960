/* An application the way the vendor's demo of dynamic shapes is written: every shape the model has, through the general API and then
   zero-copy, in memories made once for the largest shape. MODEL ROUNDS; prints one line per shape in the first round; returns 0 when
   the two APIs agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#define CHECK(call)                                       \
    do {                                                  \
        int status_ = (call);                             \
        if (status_ != 0) {                               \
            fprintf(stderr, "%s = %d\n", #call, status_); \
            return 1;                                     \
        }                                                 \
    } while (0)

static rkabi_input_range range;

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    rkabi_context context = 0;
    CHECK(rknn_init(&context, argv[1], 0, 0, NULL));
    rkabi_tensor_attr largest_in = {.index = 0}, largest_out = {.index = 0};
    CHECK(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &largest_in, sizeof largest_in));
    CHECK(rknn_query(context, RKABI_QUERY_OUTPUT_ATTR, &largest_out, sizeof largest_out));
    CHECK(rknn_query(context, RKABI_QUERY_INPUT_DYNAMIC_RANGE, &range, sizeof range));
    rkabi_tensor_mem *in_mem = rknn_create_mem(context, largest_in.size_with_stride);
    rkabi_tensor_mem *out_mem = rknn_create_mem(context, largest_out.n_elems * (uint32_t)sizeof(float));
    uint32_t n_sets = range.shape_number;
    for (uint32_t i = 0; i < n_sets * (uint32_t)atoi(argv[2]); i++) {
        uint32_t set = i % n_sets;
        rkabi_tensor_attr wanted = largest_in;
        memcpy(wanted.dims, range.dyn_range[set], sizeof wanted.dims);
        CHECK(rknn_set_input_shapes(context, 1, &wanted));
        rkabi_tensor_attr in = {.index = 0}, out = {.index = 0};
        CHECK(rknn_query(context, RKABI_QUERY_CURRENT_INPUT_ATTR, &in, sizeof in));
        CHECK(rknn_query(context, RKABI_QUERY_CURRENT_OUTPUT_ATTR, &out, sizeof out));

        unsigned char *pixels = malloc(in.n_elems);
        for (uint32_t k = 0; k < in.n_elems; k++)
            pixels[k] = (unsigned char)(k * 7 + i);
        rkabi_input input = {0, pixels, in.n_elems, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
        CHECK(rknn_inputs_set(context, 1, &input));
        CHECK(rknn_run(context, NULL));
        rkabi_output output = {.want_float = 1};
        CHECK(rknn_outputs_get(context, 1, &output, NULL));
        float *values = malloc(output.size);
        memcpy(values, output.buf, output.size);
        CHECK(rknn_outputs_release(context, 1, &output));

        uint32_t height = in.dims[1], row = in.dims[2] * in.dims[3], stride = in.w_stride * in.dims[3];
        for (uint32_t y = 0; y < height; y++)
            memcpy((unsigned char *)in_mem->virt_addr + y * stride, pixels + y * row, row);
        in.type = RKABI_TYPE_UINT8;
        out.type = RKABI_TYPE_FLOAT32;
        out.fmt = RKABI_FMT_NCHW;
        CHECK(rknn_set_io_mem(context, in_mem, &in));
        CHECK(rknn_set_io_mem(context, out_mem, &out));
        CHECK(rknn_mem_sync(context, in_mem, RKABI_SYNC_TO_DEVICE));
        CHECK(rknn_run(context, NULL));
        CHECK(rknn_mem_sync(context, out_mem, RKABI_SYNC_FROM_DEVICE));
        int differs = memcmp(out_mem->virt_addr, values, out.n_elems * sizeof(float)) != 0;
        if (i < n_sets || differs)
            printf("%ux%u: %u values, last %g, %s\n", in.dims[1], in.dims[2], out.n_elems, (double)values[out.n_elems - 1],
                   differs ? "differing" : "equal");
        free(values);
        free(pixels);
        if (differs)
            return 1;
    }
    CHECK(rknn_destroy_mem(context, in_mem));
    CHECK(rknn_destroy_mem(context, out_mem));
    CHECK(rknn_destroy(context));
    return 0;
}

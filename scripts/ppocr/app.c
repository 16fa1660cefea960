/*
 * A deployment as most are written: `app MODEL.rknn SAMPLE.npy`, the general API, one picture as uint8 NHWC, outputs as float32.
 * Prints each output's size and the place of its largest value.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#define MAX_OUTPUTS 8
#define NPY_PREFIX 10 /* magic, version, and two bytes that say how long the header is */

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long length = ftell(file);
    rewind(file);
    unsigned char *data = malloc(length > 0 ? (size_t)length : 1);
    if (length <= 0 || data == NULL || fread(data, 1, (size_t)length, file) != (size_t)length) {
        perror(path);
        exit(1);
    }
    fclose(file);
    *size = (size_t)length;
    return data;
}

static void check(int status, const char *call)
{
    if (status != 0) {
        fprintf(stderr, "%s = %d\n", call, status);
        exit(1);
    }
}
#define CHECK(call) check((call), #call)

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: app MODEL.rknn SAMPLE.npy\n");
        return 2;
    }
    size_t model_size = 0, sample_size = 0;
    unsigned char *model = read_file(argv[1], &model_size);
    unsigned char *sample = read_file(argv[2], &sample_size);
    size_t header = sample_size < NPY_PREFIX ? sample_size : NPY_PREFIX + sample[8] + 256u * sample[9];

    rkabi_context context = 0;
    CHECK(rknn_init(&context, model, (uint32_t)model_size, 0, NULL));
    free(model);
    rkabi_in_out_num number;
    CHECK(rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number));
    rkabi_tensor_attr attr = {.index = 0};
    CHECK(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr));
    if (number.n_input != 1 || number.n_output > MAX_OUTPUTS || sample_size < header + attr.n_elems) {
        fprintf(stderr, "%s does not fit the model: %u values wanted\n", argv[2], attr.n_elems);
        return 1;
    }
    rkabi_input input = {0, sample + header, attr.n_elems, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    CHECK(rknn_inputs_set(context, 1, &input));
    CHECK(rknn_run(context, NULL));
    rkabi_output outputs[MAX_OUTPUTS];
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < number.n_output; i++) {
        outputs[i].index = i;
        outputs[i].want_float = 1;
    }
    CHECK(rknn_outputs_get(context, number.n_output, outputs, NULL));
    for (uint32_t i = 0; i < number.n_output; i++) {
        const float *values = outputs[i].buf;
        uint32_t count = outputs[i].size / (uint32_t)sizeof *values, best = 0;
        for (uint32_t k = 1; k < count; k++) {
            if (values[k] > values[best]) {
                best = k;
            }
        }
        printf("output %u: %u values, the largest at %u: %g\n", i, count, best, count > 0 ? (double)values[best] : 0.0);
    }
    CHECK(rknn_outputs_release(context, number.n_output, outputs));
    CHECK(rknn_destroy(context));
    free(sample);
    return 0;
}

/* Every thread takes every model through its whole life again and again: both APIs, a second context, all outputs.
   ROUNDS THREADS MODEL...; prints the number of runs; returns 0 when all runs of a model gave the same bytes. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/rknn_abi.h"

#define MAX_IO 8
#define MAX_MODELS 8

static int rounds, n_models;
static char **models;
static uint64_t first_sums[MAX_MODELS];
static int runs, failures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define TRY(call)                                                       \
    do {                                                                \
        int status_ = (call);                                           \
        if (status_ != 0) {                                             \
            fprintf(stderr, "%s = %d\n", #call, status_);               \
            return -1;                                                  \
        }                                                               \
    } while (0)

static uint64_t add(uint64_t sum, const void *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        sum = (sum ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return sum;
}

static uint32_t element_nbytes(rkabi_type type) {
    return type == RKABI_TYPE_INT64 ? 8 : type == RKABI_TYPE_FLOAT32 ? 4 : type == RKABI_TYPE_FLOAT16 ? 2 : 1;
}

static int general(rkabi_context context, rkabi_in_out_num number, uint64_t *sum) {
    rkabi_input inputs[MAX_IO];
    rkabi_output outputs[MAX_IO];
    memset(inputs, 0, sizeof inputs);
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < number.n_input; i++) {
        rkabi_tensor_attr attr = {.index = i};
        TRY(rknn_query(context, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr));
        inputs[i].index = i;
        inputs[i].type = attr.n_dims == 4 ? RKABI_TYPE_UINT8 : attr.type == RKABI_TYPE_INT64 ? RKABI_TYPE_INT64 : RKABI_TYPE_FLOAT32;
        inputs[i].fmt = attr.n_dims == 4 ? RKABI_FMT_NHWC : RKABI_FMT_UNDEFINED;
        inputs[i].size = attr.n_elems * element_nbytes(inputs[i].type);
        inputs[i].buf = calloc(1, inputs[i].size);
        memset(inputs[i].buf, inputs[i].type == RKABI_TYPE_UINT8 ? 99 : 0, inputs[i].size);
    }
    for (uint32_t i = 0; i < number.n_output; i++) {
        outputs[i].index = i;
        outputs[i].want_float = 1;
    }
    TRY(rknn_inputs_set(context, number.n_input, inputs));
    TRY(rknn_run(context, NULL));
    TRY(rknn_outputs_get(context, number.n_output, outputs, NULL));
    for (uint32_t i = 0; i < number.n_output; i++)
        *sum = add(*sum, outputs[i].buf, outputs[i].size);
    TRY(rknn_outputs_release(context, number.n_output, outputs));
    for (uint32_t i = 0; i < number.n_input; i++)
        free(inputs[i].buf);
    return 0;
}

static int zero_copy(rkabi_context context, rkabi_in_out_num number, uint64_t *sum) {
    rkabi_tensor_mem *in[MAX_IO], *out[MAX_IO];
    for (uint32_t i = 0; i < number.n_input; i++) {
        rkabi_tensor_attr attr = {.index = i};
        TRY(rknn_query(context, RKABI_QUERY_NATIVE_INPUT_ATTR, &attr, sizeof attr));
        attr.pass_through = 1;
        in[i] = rknn_create_mem(context, attr.size_with_stride);
        memset(in[i]->virt_addr, 1, attr.size_with_stride);
        TRY(rknn_set_io_mem(context, in[i], &attr));
        TRY(rknn_mem_sync(context, in[i], RKABI_SYNC_TO_DEVICE));
    }
    for (uint32_t i = 0; i < number.n_output; i++) {
        rkabi_tensor_attr attr = {.index = i};
        TRY(rknn_query(context, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &attr, sizeof attr));
        out[i] = rknn_create_mem(context, attr.size_with_stride);
        TRY(rknn_set_io_mem(context, out[i], &attr));
    }
    TRY(rknn_run(context, NULL));
    for (uint32_t i = 0; i < number.n_output; i++) {
        TRY(rknn_mem_sync(context, out[i], RKABI_SYNC_FROM_DEVICE));
        *sum = add(*sum, out[i]->virt_addr, out[i]->size);
        TRY(rknn_destroy_mem(context, out[i]));
    }
    for (uint32_t i = 0; i < number.n_input; i++)
        TRY(rknn_destroy_mem(context, in[i]));
    return 0;
}

static int live(const char *model, uint64_t *sum) {
    rkabi_context context = 0, copy = 0;
    rkabi_in_out_num number;
    rkabi_perf_detail detail;
    TRY(rknn_init(&context, (void *)(uintptr_t)model, 0, RKABI_FLAG_COLLECT_PERF, NULL));
    TRY(rknn_query(context, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number));
    if (number.n_input > MAX_IO || number.n_output > MAX_IO)
        return -1;
    TRY(general(context, number, sum));
    TRY(rknn_dup_context(&context, &copy));
    TRY(rknn_destroy(context));
    TRY(zero_copy(copy, number, sum));
    TRY(rknn_query(copy, RKABI_QUERY_PERF_DETAIL, &detail, sizeof detail));
    if (detail.length == 0 || detail.data[detail.length] != '\0')
        return -1;
    return rknn_destroy(copy);
}

static void *work(void *unused) {
    (void)unused;
    for (int round = 0; round < rounds; round++)
        for (int m = 0; m < n_models; m++) {
            uint64_t sum = 14695981039346656037u;
            int status = live(models[m], &sum);
            pthread_mutex_lock(&lock);
            runs += 2;
            if (first_sums[m] == 0)
                first_sums[m] = sum;
            failures += status != 0 || sum != first_sums[m];
            pthread_mutex_unlock(&lock);
        }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[16];
    int n_threads = argc > 3 ? atoi(argv[2]) : 0;
    n_models = argc - 3;
    models = argv + 3;
    if (n_threads < 1 || n_threads > 16 || n_models > MAX_MODELS)
        return 2;
    rounds = atoi(argv[1]);
    int lowest = open("/dev/null", O_RDONLY);
    close(lowest);
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 2;
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    /* The lowest free descriptor is the one it was at the start. */
    failures += open("/dev/null", O_RDONLY) != lowest;
    printf("%d runs, %d failures\n", runs, failures);
    return failures > 0;
}

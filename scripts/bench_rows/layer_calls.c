/*
 * What the validation layer costs a call: `layer_calls calls` times single calls, `layer_calls look TYPE BYTES` how fast a
 * buffer of MiB is looked at. The runtime is bench_rows/idle_runtime.c. Times are the thread's own: other programs do not count.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/rknn_abi.h"

enum { CALLS = 10000, LOOKS = 4 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

#define TIME(NAME, CALL)                                                                                                        \
    do {                                                                                                                        \
        const double start = now();                                                                                             \
        for (int i = 0; i < CALLS; i++) {                                                                                       \
            CALL;                                                                                                               \
        }                                                                                                                       \
        printf("%s %.1f\n", NAME, (now() - start) / CALLS);                                                                     \
    } while (0)

static void calls(rkabi_context ctx)
{
    uint8_t picture[48] = {1, 2, 3};
    float result[12] = {0.25f, -1.5f};
    rkabi_sdk_version version;
    rkabi_input input = {0, picture, sizeof picture, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    rkabi_output output = {1, 1, 0, result, sizeof result};
    rkabi_tensor_attr attr = {.index = 0};
    rkabi_tensor_mem *mem;
    TIME("rknn_query", rknn_query(ctx, RKABI_QUERY_SDK_VERSION, &version, sizeof version));
    TIME("rknn_query attributes", rknn_query(ctx, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr));
    TIME("rknn_inputs_set", rknn_inputs_set(ctx, 1, &input));
    TIME("rknn_run", rknn_run(ctx, NULL));
    TIME("rknn_outputs_get", rknn_outputs_get(ctx, 1, &output, NULL));
    TIME("rknn_outputs_release", rknn_outputs_release(ctx, 1, &output));
    mem = rknn_create_mem(ctx, 48);
    TIME("rknn_set_io_mem", rknn_set_io_mem(ctx, mem, &attr));
    TIME("rknn_mem_sync", rknn_mem_sync(ctx, mem, RKABI_SYNC_TO_DEVICE));
    TIME("rknn_run with a memory", rknn_run(ctx, NULL));
    rknn_destroy_mem(ctx, mem);
}

/* Reads the buffer as plainly as can be: the sum of its words. */
static double read_rate(const uint8_t *data, uint32_t nbytes)
{
    volatile uint64_t kept;
    uint64_t sum = 0;
    const double start = now();
    for (uint32_t i = 0; i < nbytes; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        sum += word;
    }
    kept = sum;
    (void)kept;
    return nbytes / (now() - start);
}

static void fill(uint8_t *data, uint32_t nbytes, int type)
{
    for (uint32_t i = 0; i < nbytes; i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    for (uint32_t i = 0; type == RKABI_TYPE_FLOAT32 && i < nbytes; i += 4) {
        const float value = (float)(i % 1000) * 0.01f - 2.0f;
        memcpy(data + i, &value, sizeof value);
    }
    for (uint32_t i = 0; (type == RKABI_TYPE_FLOAT16 || type == RKABI_TYPE_BFLOAT16) && i < nbytes; i += 2) {
        const uint16_t value = (uint16_t)(0x3c00 + i % 1000);
        memcpy(data + i, &value, sizeof value);
    }
}

static void look(rkabi_context ctx, int type, uint32_t nbytes)
{
    uint8_t *const data = malloc(nbytes);
    rkabi_input input = {0, data, nbytes, 0, (rkabi_type)type, RKABI_FMT_NHWC};
    if (!data) {
        exit(1);
    }
    fill(data, nbytes, type);
    for (int i = 0; i < LOOKS; i++) {
        double start;
        printf("read %.3f\n", read_rate(data, nbytes));
        start = now();
        rknn_inputs_set(ctx, 1, &input);
        printf("look %.3f\n", nbytes / (now() - start));
    }
    free(data);
}

int main(int argc, char **argv)
{
    static char model[] = "a model";
    rkabi_context ctx = 0;
    if (rknn_init(&ctx, model, sizeof model, 0, NULL) != 0) {
        return 1;
    }
    if (argc == 4) {
        look(ctx, atoi(argv[2]), (uint32_t)atoi(argv[3]) << 20);
    } else {
        calls(ctx);
    }
    rknn_destroy(ctx);
    return 0;
}

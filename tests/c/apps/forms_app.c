/*
 * Correct programs in the forms people write them: `forms_app FORM MODEL [SECOND MODEL]`. Every model has one image input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#define FRAMES 3
#define MAX_OUTPUTS 4
#define CHECK(call)                                                                                                             \
    do {                                                                                                                        \
        int status_ = (call);                                                                                                   \
        if (status_ != 0) {                                                                                                     \
            fprintf(stderr, "%s = %d\n", #call, status_);                                                                       \
            exit(1);                                                                                                            \
        }                                                                                                                       \
    } while (0)

typedef struct app {
    rkabi_context ctx;
    rkabi_in_out_num number;
    rkabi_tensor_attr in;
    rkabi_tensor_attr out[MAX_OUTPUTS];
} app;

/* Kept for the life of the program, as many do. */
static app only;

static void open_model(app *to, const char *path)
{
    CHECK(rknn_init(&to->ctx, (void *)(uintptr_t)path, 0, 0, NULL));
    CHECK(rknn_query(to->ctx, RKABI_QUERY_IN_OUT_NUM, &to->number, sizeof to->number));
    memset(&to->in, 0, sizeof to->in);
    CHECK(rknn_query(to->ctx, RKABI_QUERY_INPUT_ATTR, &to->in, sizeof to->in));
    for (uint32_t i = 0; i < to->number.n_output && i < MAX_OUTPUTS; i++) {
        memset(&to->out[i], 0, sizeof to->out[i]);
        to->out[i].index = i;
        CHECK(rknn_query(to->ctx, RKABI_QUERY_OUTPUT_ATTR, &to->out[i], sizeof to->out[i]));
    }
}

static void draw(uint8_t *pixels, size_t n, unsigned seed)
{
    uint32_t state = seed * 77u + 5u;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(state >> 16);
    }
}

/* One frame as demos have it: structures cleared, indices of the outputs left 0. */
static void frame(app *with, unsigned seed, rkabi_run_extend *extend)
{
    uint8_t *pixels = malloc(with->in.n_elems);
    rkabi_input input;
    rkabi_output outputs[MAX_OUTPUTS];
    draw(pixels, with->in.n_elems, seed);
    memset(&input, 0, sizeof input);
    input.buf = pixels;
    input.size = with->in.n_elems;
    input.type = RKABI_TYPE_UINT8;
    input.fmt = RKABI_FMT_NHWC;
    CHECK(rknn_inputs_set(with->ctx, with->number.n_input, &input));
    CHECK(rknn_run(with->ctx, extend));
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < with->number.n_output; i++) {
        outputs[i].want_float = 1;
    }
    CHECK(rknn_outputs_get(with->ctx, with->number.n_output, outputs, NULL));
    CHECK(rknn_outputs_release(with->ctx, with->number.n_output, outputs));
    free(pixels);
}

/* Zero-copy with native attributes; the outputs in NC1HWC2 are put into NCHW by the program itself. */
static void native(app *with)
{
    rkabi_tensor_attr in = {.index = 0}, out = {.index = 0};
    CHECK(rknn_query(with->ctx, RKABI_QUERY_NATIVE_INPUT_ATTR, &in, sizeof in));
    CHECK(rknn_query(with->ctx, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &out, sizeof out));
    in.type = RKABI_TYPE_UINT8;
    in.fmt = RKABI_FMT_NHWC;
    rkabi_tensor_mem *from = rknn_create_mem(with->ctx, in.size_with_stride);
    rkabi_tensor_mem *to = rknn_create_mem(with->ctx, out.size_with_stride);
    CHECK(rknn_set_io_mem(with->ctx, from, &in));
    CHECK(rknn_set_io_mem(with->ctx, to, &out));
    uint32_t c1 = out.dims[1], plane = out.dims[2] * out.dims[3], c2 = out.dims[4], channels = with->out[0].dims[1];
    uint32_t pixels = with->out[0].dims[2] * with->out[0].dims[3]; /* surfaces are padded */
    int8_t *logical = malloc((size_t)channels * pixels);
    for (unsigned run = 0; run < FRAMES; run++) {
        draw(from->virt_addr, in.size_with_stride, run);
        CHECK(rknn_mem_sync(with->ctx, from, RKABI_SYNC_TO_DEVICE));
        CHECK(rknn_run(with->ctx, NULL));
        CHECK(rknn_mem_sync(with->ctx, to, RKABI_SYNC_FROM_DEVICE));
        for (uint32_t c = 0; c < channels && c / c2 < c1; c++) {
            for (uint32_t i = 0; i < pixels; i++) {
                logical[c * pixels + i] = ((const int8_t *)to->virt_addr)[((size_t)(c / c2) * plane + i) * c2 + c % c2];
            }
        }
    }
    free(logical);
    CHECK(rknn_destroy_mem(with->ctx, from));
    CHECK(rknn_destroy_mem(with->ctx, to));
}

static void *worker(void *argument)
{
    app *own = argument;
    for (unsigned i = 0; i < FRAMES; i++) {
        frame(own, i + (unsigned)own->ctx, NULL);
    }
    return NULL;
}

/* A pool of three threads, each with a duplicate of the first context. */
static void pool(const char *path)
{
    app apps[3];
    pthread_t threads[3];
    open_model(&apps[0], path);
    for (int i = 1; i < 3; i++) {
        apps[i] = apps[0];
        CHECK(rknn_dup_context(&apps[0].ctx, &apps[i].ctx));
    }
    for (int i = 0; i < 3; i++) {
        CHECK(rknn_set_core_mask(apps[i].ctx, (rkabi_core_mask)(1 << i)));
        CHECK(pthread_create(&threads[i], NULL, worker, &apps[i]));
    }
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], NULL));
    }
    for (int i = 2; i >= 0; i--) {
        CHECK(rknn_destroy(apps[i].ctx));
    }
}

int main(int argc, char **argv)
{
    const char *form = argc > 1 ? argv[1] : "";
    if (argc < 3) {
        return 2;
    }
    if (strcmp(form, "pool") == 0) {
        pool(argv[2]);
        return 0;
    }
    open_model(&only, argv[2]);
    if (strcmp(form, "memset") == 0 || strcmp(form, "static") == 0) {
        for (unsigned i = 0; i < FRAMES; i++) {
            frame(&only, i, NULL);
        }
    } else if (strcmp(form, "async") == 0) {
        for (unsigned i = 0; i < FRAMES; i++) {
            rkabi_run_extend extend = {.frame_id = i, .non_block = 1, .timeout_ms = 200, .fence_fd = -1};
            frame(&only, i, &extend);
        }
    } else if (strcmp(form, "native") == 0) {
        native(&only);
    } else if (strcmp(form, "two") == 0 && argc > 3) {
        app second;
        memset(&second, 0, sizeof second);
        open_model(&second, argv[3]);
        for (unsigned i = 0; i < FRAMES; i++) {
            frame(&only, i, NULL);
            frame(&second, i + 9, NULL);
        }
        CHECK(rknn_destroy(second.ctx));
    } else {
        return 2;
    }
    CHECK(rknn_destroy(only.ctx));
    return 0;
}

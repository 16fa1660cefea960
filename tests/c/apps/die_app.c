/*
 * A program that dies inside one call of librknnrt: `die_app MODEL HOW`. HOW is a function that is called with a context after it was
 * destroyed, or one of the mistakes below. The model has one image input.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/rknn_abi.h"

static rkabi_context ctx;
static rkabi_tensor_attr attr;
static rkabi_input input;
static rkabi_output output;
static rkabi_tensor_mem *memory;

static void after_destroy(const char *how)
{
    rkabi_in_out_num number;
    if (strcmp(how, "rknn_query") == 0) {
        rknn_query(ctx, RKABI_QUERY_IN_OUT_NUM, &number, sizeof number);
    } else if (strcmp(how, "rknn_inputs_set") == 0) {
        rknn_inputs_set(ctx, 1, &input);
    } else if (strcmp(how, "rknn_run") == 0) {
        rknn_run(ctx, NULL);
    } else if (strcmp(how, "rknn_wait") == 0) {
        rknn_wait(ctx, NULL);
    } else if (strcmp(how, "rknn_outputs_get") == 0) {
        rknn_outputs_get(ctx, 1, &output, NULL);
    } else if (strcmp(how, "rknn_outputs_release") == 0) {
        rknn_outputs_release(ctx, 1, &output);
    } else if (strcmp(how, "rknn_destroy") == 0) {
        rknn_destroy(ctx);
    } else if (strcmp(how, "rknn_create_mem") == 0) {
        rknn_create_mem(ctx, 64);
    } else if (strcmp(how, "rknn_destroy_mem") == 0) {
        rknn_destroy_mem(ctx, memory);
    } else if (strcmp(how, "rknn_set_io_mem") == 0) {
        rknn_set_io_mem(ctx, memory, &attr);
    } else if (strcmp(how, "rknn_set_core_mask") == 0) {
        rknn_set_core_mask(ctx, RKABI_CORE_AUTO);
    } else if (strcmp(how, "rknn_set_input_shapes") == 0) {
        rknn_set_input_shapes(ctx, 1, &attr);
    }
}

static void *run_for_ever(void *unused)
{
    (void)unused;
    for (;;) {
        rknn_run(ctx, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[2] : "";
    if (strcmp(how, "nothing") == 0) {
        printf("no camera\n");
        return 3;
    }
    if (argc < 3 || rknn_init(&ctx, argv[1], 0, 0, NULL) != 0) {
        return 1;
    }
    attr.index = 0;
    rknn_query(ctx, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr);
    input = (rkabi_input){0, calloc(1, attr.n_elems), attr.n_elems, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    memory = rknn_create_mem(ctx, attr.size_with_stride);
    attr.type = RKABI_TYPE_UINT8;
    if (strcmp(how, "nchw") == 0) {
        input.fmt = RKABI_FMT_NCHW;
    } else if (strcmp(how, "zero-copy nchw") == 0) {
        attr.fmt = RKABI_FMT_NCHW;
        rknn_set_io_mem(ctx, memory, &attr);
        rknn_run(ctx, NULL);
    }
    rknn_inputs_set(ctx, 1, &input);
    rknn_run(ctx, NULL);
    rknn_outputs_get(ctx, 1, &output, NULL);
    rknn_outputs_release(ctx, 1, &output);
    if (strcmp(how, "released twice") == 0) {
        rknn_outputs_release(ctx, 1, &output);
    } else if (strcmp(how, "own code") == 0) {
        abort();
    } else if (strcmp(how, "other thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, run_for_ever, NULL);
        usleep(200000);
        abort();
    } else if (strcmp(how, "_exit") == 0) {
        _exit(0);
    }
    rknn_destroy(ctx);
    after_destroy(how);
    return 0;
}

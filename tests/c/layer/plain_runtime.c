/*
 * A small librknnrt for tests of the validation layer: computes outputs from inputs, any number of contexts and threads.
 *
 * Input "x" NHWC UINT8 1,4,4,3; outputs "y" (INT8, 12 elements: sums of 4 input bytes, minus 128) and "ids" (INT64, 2: sum and
 * XOR of the input). rknn_run sets errno to 77. The model may be anything but bytes that begin with "bad".
 * PLAIN_MINIMAL leaves out the optional functions; PLAIN_NAME is the reported version.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

#ifndef PLAIN_NAME
#define PLAIN_NAME "plain"
#endif
#define EXPORT __attribute__((visibility("default")))

enum { N_INPUT = 48, N_OUTPUT = 12, N_IDS = 2 };

struct context {
    uint8_t x[N_INPUT];
    int8_t y[N_OUTPUT];
    int64_t ids[N_IDS];
    rkabi_tensor_mem *mems[3];
};

static struct context *of(rkabi_context ctx)
{
    return (struct context *)(uintptr_t)ctx;
}

static void describe(rkabi_tensor_attr *attr, int output, uint32_t index)
{
    static const char *const names[3] = {"x", "y", "ids"};
    const uint32_t which = output ? 1 + index : 0;
    memset(attr, 0, sizeof *attr);
    attr->index = index;
    strcpy(attr->name, names[which]);
    attr->scale = 0.5f;
    attr->zp = which == 1 ? -128 : 0;
    if (which == 0) {
        const uint32_t dims[4] = {1, 4, 4, 3};
        memcpy(attr->dims, dims, sizeof dims);
        attr->n_dims = 4;
        attr->n_elems = attr->size = attr->size_with_stride = N_INPUT;
        attr->w_stride = 4;
        attr->fmt = RKABI_FMT_NHWC;
        attr->type = RKABI_TYPE_UINT8;
        attr->qnt_type = RKABI_QNT_AFFINE_ASYMMETRIC;
        return;
    }
    attr->n_dims = 2;
    attr->dims[0] = 1;
    attr->dims[1] = attr->n_elems = which == 1 ? N_OUTPUT : N_IDS;
    attr->size = attr->size_with_stride = which == 1 ? N_OUTPUT : N_IDS * 8;
    attr->fmt = RKABI_FMT_UNDEFINED;
    attr->type = which == 1 ? RKABI_TYPE_INT8 : RKABI_TYPE_INT64;
    attr->qnt_type = RKABI_QNT_AFFINE_ASYMMETRIC;
}

EXPORT int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend)
{
    struct context *context;
    (void)flag;
    (void)extend;
    if (size >= 3 && memcmp(model, "bad", 3) == 0) {
        return RKABI_ERR_MODEL_INVALID;
    }
    context = calloc(1, sizeof *context);
    *ctx = (rkabi_context)(uintptr_t)context;
    return context ? 0 : RKABI_ERR_MALLOC_FAIL;
}

EXPORT int rknn_destroy(rkabi_context ctx)
{
    if (!ctx) {
        return RKABI_ERR_CTX_INVALID;
    }
    free(of(ctx));
    return 0;
}

EXPORT int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size)
{
    rkabi_tensor_attr *attr = info;
    const int output = command == RKABI_QUERY_OUTPUT_ATTR || command == RKABI_QUERY_NATIVE_OUTPUT_ATTR;
    if (!ctx) {
        return RKABI_ERR_CTX_INVALID;
    }
    switch (command) {
    case RKABI_QUERY_IN_OUT_NUM:
        *(rkabi_in_out_num *)info = (rkabi_in_out_num){1, 2};
        return 0;
    case RKABI_QUERY_SDK_VERSION:
        memset(info, 0, sizeof(rkabi_sdk_version));
        strcpy(((rkabi_sdk_version *)info)->api_version, PLAIN_NAME);
        strcpy(((rkabi_sdk_version *)info)->drv_version, "0.9.8");
        return 0;
    case RKABI_QUERY_INPUT_ATTR:
    case RKABI_QUERY_OUTPUT_ATTR:
    case RKABI_QUERY_NATIVE_INPUT_ATTR:
    case RKABI_QUERY_NATIVE_OUTPUT_ATTR:
        if (size < sizeof *attr || attr->index >= (output ? 2u : 1u)) {
            return RKABI_ERR_PARAM_INVALID;
        }
        describe(attr, output, attr->index);
        return 0;
    default:
        return RKABI_ERR_PARAM_INVALID;
    }
}

EXPORT int rknn_run(rkabi_context ctx, rkabi_run_extend *extend)
{
    struct context *context = of(ctx);
    (void)extend;
    errno = 77;
    if (!context) {
        return RKABI_ERR_CTX_INVALID;
    }
    if (context->mems[0]) {
        memcpy(context->x, context->mems[0]->virt_addr, N_INPUT);
    }
    memset(context->ids, 0, sizeof context->ids);
    for (int i = 0; i < N_INPUT; i++) {
        context->ids[0] += context->x[i];
        context->ids[1] ^= context->x[i];
    }
    for (int i = 0; i < N_OUTPUT; i++) {
        const uint8_t *p = context->x + 4 * i;
        context->y[i] = (int8_t)((p[0] + p[1] + p[2] + p[3]) / 4 - 128);
    }
    if (context->mems[1]) {
        memcpy(context->mems[1]->virt_addr, context->y, sizeof context->y);
    }
    if (context->mems[2]) {
        memcpy(context->mems[2]->virt_addr, context->ids, sizeof context->ids);
    }
    return 0;
}

EXPORT int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[])
{
    if (!ctx) {
        return RKABI_ERR_CTX_INVALID;
    }
    if (n_inputs != 1 || inputs[0].size < N_INPUT) {
        return RKABI_ERR_PARAM_INVALID;
    }
    if (inputs[0].size == N_INPUT) {
        memcpy(of(ctx)->x, inputs[0].buf, N_INPUT);
    }
    return 0;
}

EXPORT int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend)
{
    struct context *context = of(ctx);
    (void)extend;
    if (!context) {
        return RKABI_ERR_CTX_INVALID;
    }
    if (n_outputs > 2) {
        return RKABI_ERR_PARAM_INVALID;
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        const uint32_t size = i == 1 ? N_IDS * 8 : outputs[i].want_float ? N_OUTPUT * 4 : N_OUTPUT;
        if (!outputs[i].is_prealloc) {
            outputs[i].size = size;
            outputs[i].buf = malloc(size);
        } else if (outputs[i].size < size) {
            continue;
        }
        if (i == 1) {
            memcpy(outputs[i].buf, context->ids, size);
        } else if (outputs[i].want_float) {
            for (int k = 0; k < N_OUTPUT; k++) {
                ((float *)outputs[i].buf)[k] = (float)(context->y[k] + 128) * 0.5f;
            }
        } else {
            memcpy(outputs[i].buf, context->y, size);
        }
    }
    return 0;
}

EXPORT int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[])
{
    (void)ctx;
    for (uint32_t i = 0; i < n_outputs; i++) {
        if (!outputs[i].is_prealloc) {
            free(outputs[i].buf);
            outputs[i].buf = NULL;
        }
    }
    return 0;
}

#ifndef PLAIN_MINIMAL
EXPORT int rknn_dup_context(rkabi_context *from, rkabi_context *to)
{
    struct context *context = malloc(sizeof *context);
    if (!context) {
        return RKABI_ERR_MALLOC_FAIL;
    }
    *context = *of(*from);
    *to = (rkabi_context)(uintptr_t)context;
    return 0;
}

EXPORT int rknn_set_core_mask(rkabi_context ctx, rkabi_core_mask core_mask)
{
    (void)core_mask;
    return ctx ? 0 : RKABI_ERR_CTX_INVALID;
}

EXPORT rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size)
{
    rkabi_tensor_mem *mem = calloc(1, sizeof *mem);
    if (ctx && mem) {
        mem->virt_addr = calloc(1, size);
        mem->size = size;
        mem->fd = -1;
    }
    return mem;
}

EXPORT int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    (void)ctx;
    free(mem->virt_addr);
    free(mem);
    return 0;
}

EXPORT int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr)
{
    of(ctx)->mems[strcmp(attr->name, "x") == 0 ? 0 : strcmp(attr->name, "y") == 0 ? 1 : 2] = mem;
    return 0;
}

EXPORT int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode)
{
    (void)ctx;
    (void)mem;
    (void)mode;
    return 0;
}
#endif

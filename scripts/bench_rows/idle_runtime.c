/* A librknnrt that does nothing, with one input and one output: what a call takes is the caller's and the layer's. */
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend)
{
    (void)model, (void)size, (void)flag, (void)extend;
    *ctx = 1;
    return 0;
}

int rknn_destroy(rkabi_context ctx)
{
    (void)ctx;
    return 0;
}

static void describe(rkabi_tensor_attr *attr)
{
    strcpy(attr->name, "tensor");
    attr->n_dims = 4;
    attr->dims[0] = 1;
    attr->dims[1] = attr->dims[2] = 4;
    attr->dims[3] = 3;
    attr->n_elems = attr->size = attr->size_with_stride = 48;
    attr->fmt = RKABI_FMT_NHWC;
    attr->type = RKABI_TYPE_UINT8;
    attr->scale = 0.0572583526f;
}

int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size)
{
    (void)ctx, (void)size;
    if (command == RKABI_QUERY_IN_OUT_NUM) {
        *(rkabi_in_out_num *)info = (rkabi_in_out_num){1, 1};
    } else if (command != RKABI_QUERY_SDK_VERSION) {
        describe(info);
    } else {
        memset(info, 0, sizeof(rkabi_sdk_version));
    }
    return 0;
}

int rknn_run(rkabi_context ctx, rkabi_run_extend *extend)
{
    (void)ctx, (void)extend;
    return 0;
}

int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[])
{
    (void)ctx, (void)n_inputs, (void)inputs;
    return 0;
}

int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend)
{
    (void)ctx, (void)n_outputs, (void)outputs, (void)extend;
    return 0;
}

int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[])
{
    (void)ctx, (void)n_outputs, (void)outputs;
    return 0;
}

rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size)
{
    rkabi_tensor_mem *const mem = calloc(1, sizeof *mem);
    (void)ctx;
    if (mem) {
        mem->virt_addr = calloc(1, size);
        mem->size = size;
        mem->fd = -1;
    }
    return mem;
}

int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    (void)ctx;
    free(mem->virt_addr);
    free(mem);
    return 0;
}

int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr)
{
    (void)ctx, (void)mem, (void)attr;
    return 0;
}

int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode)
{
    (void)ctx, (void)mem, (void)mode;
    return 0;
}

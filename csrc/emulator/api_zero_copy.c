/* rknn_create_mem and its relatives, rknn_set_io_mem, rknn_mem_sync. */
#include <string.h>

#include "emulator/context.h"
#include "emulator/export.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/memory.h"
#include "emulator/output.h"

/* rknn_create_mem2's flag for memory that the CPU's cache leaves alone (RKNN manual 4.3.14). */
#define FLAG_NON_CACHEABLE 2u

static rkabi_tensor_mem *create(rkabi_context ctx, uint32_t size, bool cacheable) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return NULL;
    if (size == 0)
        emu_log(context->level, 'E', "rknn_create_mem, invalid size: 0"); /* evidence seq_31_* */
    rkabi_tensor_mem *mem = emu_memory_create(size, cacheable);
    emu_context_release(context);
    return mem;
}

EMU_EXPORT rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size) {
    return create(ctx, size, true);
}

EMU_EXPORT rkabi_tensor_mem *rknn_create_mem2(rkabi_context ctx, uint64_t size, uint64_t flags) {
    return size <= UINT32_MAX ? create(ctx, (uint32_t)size, (flags & FLAG_NON_CACHEABLE) == 0) : NULL;
}

EMU_EXPORT rkabi_tensor_mem *rknn_create_mem_from_fd(rkabi_context ctx, int32_t fd, void *virt_addr, uint32_t size,
                                                     int32_t offset) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return NULL;
    rkabi_tensor_mem *mem = emu_memory_wrap(virt_addr, 0, fd, size, offset);
    emu_context_release(context);
    return mem;
}

EMU_EXPORT rkabi_tensor_mem *rknn_create_mem_from_phys(rkabi_context ctx, uint64_t phys_addr, void *virt_addr, uint32_t size) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return NULL;
    rkabi_tensor_mem *mem = emu_memory_wrap(virt_addr, phys_addr, -1, size, 0);
    emu_context_release(context);
    return mem;
}

/* Tensors are found by the attribute's name; its index is ignored (evidence 160_zc_badidx). */
static int bind(emu_context *context, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr) {
    const emu_model *model = context->model;
    if (memchr(attr->name, '\0', sizeof attr->name) == NULL)
        return RKABI_ERR_PARAM_INVALID;
    if (!context->version->mini)
        emu_log(context->level, 'D', "import memory, fd: %d, refcount: 2", mem->fd);
    for (uint32_t i = 0; i < model->n_inputs; i++)
        if (strcmp(model->tensors[model->inputs[i].tensor].name, attr->name) == 0)
            return emu_input_bind(context, i, mem, attr);
    for (uint32_t i = 0; i < model->n_outputs; i++)
        if (strcmp(model->tensors[model->outputs[i]].name, attr->name) == 0)
            return emu_output_bind(context, i, mem, attr);
    emu_log(context->level, 'E', "rkparity emulated runtime: rknn_set_io_mem: the model has no input or output named %s",
            attr->name);
    return RKABI_ERR_FAIL;
}

EMU_EXPORT int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr) {
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = mem == NULL || attr == NULL || mem->virt_addr == NULL ? RKABI_ERR_PARAM_INVALID : bind(context, mem, attr);
    emu_context_release(context);
    return status;
}

EMU_EXPORT int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem) {
    if (mem == NULL)
        return RKABI_ERR_PARAM_INVALID;
    emu_context *context = emu_context_acquire(ctx, __func__);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    for (uint32_t i = 0; i < context->model->n_inputs; i++)
        if (context->inputs[i].binding.mem == mem)
            context->inputs[i].binding.mem = NULL;
    for (uint32_t i = 0; i < context->model->n_outputs; i++)
        if (context->outputs[i].binding.mem == mem)
            context->outputs[i].binding.mem = NULL;
    emu_memory_destroy(mem);
    emu_context_release(context);
    return RKABI_OK;
}

/* Without RKPARITY_EMULATOR_CACHE CPU and emulated NPU see the same memory, and there is nothing to do. Any context and any mode are
   taken, 0 and 4 included (evidence seq_33_*). */
EMU_EXPORT int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode) {
    (void)ctx;
    if (mem == NULL) {
        emu_log(emu_log_level_from_environment(), 'E', "rknn_mem_sync, invalid mem");
        return RKABI_ERR_PARAM_INVALID;
    }
    emu_memory_sync(mem, mode);
    return RKABI_OK;
}

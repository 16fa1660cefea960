/* rknn_init, rknn_dup_context, rknn_destroy, and the calls that choose cores or memory the emulator has no use for. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/context.h"
#include "emulator/export.h"
#include "emulator/log.h"

static uint8_t *read_model_file(const char *path, size_t *nbytes) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long size = ftell(file);
        if (size > 0 && fseek(file, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)size)) != NULL) {
            *nbytes = (size_t)size;
            if (fread(bytes, 1, *nbytes, file) != *nbytes) {
                free(bytes);
                bytes = NULL;
            }
        }
    }
    fclose(file);
    return bytes;
}

EMU_EXPORT int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend) {
    (void)extend;
    if (ctx == NULL || model == NULL)
        return RKABI_ERR_PARAM_INVALID;
    if (size > 0)
        return emu_context_create(model, size, flag, ctx);
    size_t nbytes = 0;
    uint8_t *bytes = read_model_file(model, &nbytes);
    int status = emu_context_create(bytes != NULL ? (void *)bytes : "", nbytes, flag, ctx);
    free(bytes);
    return status;
}

EMU_EXPORT int rknn_dup_context(rkabi_context *from, rkabi_context *to) {
    if (from == NULL || to == NULL)
        return RKABI_ERR_PARAM_INVALID;
    emu_context *context = emu_context_acquire(*from);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    int status = RKABI_ERR_FAIL;
    if (context->file->is_dynamic) /* the vendor's guide to dynamic shapes */
        emu_log(context->level, 'E', "rkparity emulated runtime: rknn_dup_context does not take a model with dynamic shapes");
    else
        status = emu_context_create(context->model_bytes, context->model_nbytes, context->flags, to);
    emu_context_release(context);
    return status;
}

EMU_EXPORT int rknn_destroy(rkabi_context ctx) {
    return emu_context_destroy(ctx);
}

/* Checks the handle; for calls that have no effect here. */
static int accept(rkabi_context ctx) {
    emu_context *context = emu_context_acquire(ctx);
    if (context == NULL)
        return RKABI_ERR_CTX_INVALID;
    emu_context_release(context);
    return RKABI_OK;
}

#ifndef RKPARITY_EMULATOR_MINI
EMU_EXPORT int rknn_set_core_mask(rkabi_context ctx, rkabi_core_mask core_mask) {
    bool known = core_mask == RKABI_CORE_ALL || ((unsigned)core_mask <= RKABI_CORE_0_1_2 && (unsigned)core_mask != 5 &&
                                                 (unsigned)core_mask != 6);
    int status = accept(ctx);
    return status == RKABI_OK && !known ? RKABI_ERR_PARAM_INVALID : status;
}
#endif

EMU_EXPORT int rknn_set_batch_core_num(rkabi_context ctx, int core_num) {
    int status = accept(ctx);
    return status == RKABI_OK && core_num < 1 ? RKABI_ERR_PARAM_INVALID : status;
}

EMU_EXPORT int rknn_set_weight_mem(rkabi_context ctx, rkabi_tensor_mem *mem) {
    int status = accept(ctx);
    return status == RKABI_OK && mem == NULL ? RKABI_ERR_PARAM_INVALID : status;
}

EMU_EXPORT int rknn_set_internal_mem(rkabi_context ctx, rkabi_tensor_mem *mem) {
    return rknn_set_weight_mem(ctx, mem);
}

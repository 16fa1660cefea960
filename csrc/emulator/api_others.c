/*
 * The public functions that are not emulated: a ready program that needs them must load all the same. Each says so and fails; their
 * arguments, integers and pointers, are not looked at.
 */
#include <stdint.h>

#include "abi/rknn_abi.h"
#include "emulator/export.h"
#include "emulator/log.h"

#define REFUSE(NAME, WHAT)                                                                                                     \
    EMU_EXPORT int NAME(void);                                                                                                 \
    EMU_EXPORT int NAME(void) {                                                                                                \
        emu_log(0, 'E', "rkparity emulated runtime: " #NAME ": " WHAT " not emulated");                                        \
        return RKABI_ERR_FAIL;                                                                                                 \
    }

#ifndef RKPARITY_EMULATOR_MINI
REFUSE(rknn_matmul_create, "matrix multiplication is")
REFUSE(rknn_matmul_create_dynamic_shape, "matrix multiplication is")
REFUSE(rknn_matmul_set_io_mem, "matrix multiplication is")
REFUSE(rknn_matmul_set_core_mask, "matrix multiplication is")
REFUSE(rknn_matmul_set_quant_params, "matrix multiplication is")
REFUSE(rknn_matmul_get_quant_params, "matrix multiplication is")
REFUSE(rknn_matmul_set_dynamic_shape, "matrix multiplication is")
REFUSE(rknn_matmul_run, "matrix multiplication is")
REFUSE(rknn_matmul_destroy, "matrix multiplication is")
REFUSE(rknn_B_normal_layout_to_native_layout, "matrix multiplication is")
REFUSE(rknn_register_custom_ops, "custom operators are")
REFUSE(rknn_custom_op_get_op_attr, "custom operators are")
#endif

/* Memory of the media framework of RV1103 and RV1106. */
EMU_EXPORT rkabi_tensor_mem *rknn_create_mem_from_mb_blk(rkabi_context ctx, void *mb_blk, int32_t offset);
EMU_EXPORT rkabi_tensor_mem *rknn_create_mem_from_mb_blk(rkabi_context ctx, void *mb_blk, int32_t offset) {
    (void)ctx;
    (void)mb_blk;
    (void)offset;
    emu_log(0, 'E', "rkparity emulated runtime: rknn_create_mem_from_mb_blk: memory of the media framework is not emulated");
    return NULL;
}

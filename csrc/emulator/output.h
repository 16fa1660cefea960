/* What the CPU does with an output: dequantisation, type and layout conversion. */
#ifndef RKPARITY_EMULATOR_OUTPUT_H
#define RKPARITY_EMULATOR_OUTPUT_H

#include "emulator/context.h"

/* `count` elements of a tensor as float: (q - zp) * scale for int8, the number itself otherwise. */
void emu_dequantize(const emu_tensor *tensor, const uint8_t *values, size_t count, float *to);

/* Bytes that rknn_outputs_get gives for one output. int64 stays int64 with want_float too. */
size_t emu_output_nbytes(const emu_tensor *tensor, bool want_float);
void emu_output_write(const emu_context *context, uint32_t index, bool want_float, void *to);

/* Binds a memory; a memory that is too small is accepted (evidence 160_zc_out_small). */
int emu_output_bind(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr);
/* At OutputOperator: fills the bound memory, if there is one. */
int emu_output_flush(const emu_context *context, uint32_t index);

#endif

/* What the CPU does with an input: type and layout conversion, mean/std, quantisation. */
#ifndef RKPARITY_EMULATOR_INPUT_H
#define RKPARITY_EMULATOR_INPUT_H

#include "emulator/context.h"

/* Takes one input of rknn_inputs_set. Returns 0 also where the real library logs an error, changes nothing and returns 0. */
int emu_input_set(emu_context *context, uint32_t index, const rkabi_input *input);
/* Checks a memory for rknn_set_io_mem and binds it. */
int emu_input_bind(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr);
/* At the start of a run: takes a bound memory's content over. */
int emu_input_refresh(emu_context *context, uint32_t index);
/* The mini runtime's way of both. */
int emu_input_bind_mini(emu_context *context, uint32_t index, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr);
int emu_input_refresh_mini(emu_context *context, uint32_t index);
const char *emu_layout_name(rkabi_fmt fmt);
/* The input in logical order, elements of the model's type (or uint8 pixels when raw_uint8 is set); the caller frees it. */
uint8_t *emu_input_logical(const emu_context *context, uint32_t index, size_t *nbytes);

#endif

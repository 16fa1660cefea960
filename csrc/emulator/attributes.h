/* The answers of rknn_query about tensors. */
#ifndef RKPARITY_EMULATOR_ATTRIBUTES_H
#define RKPARITY_EMULATOR_ATTRIBUTES_H

#include "emulator/context.h"

typedef enum emu_view { EMU_VIEW_PLAIN, EMU_VIEW_NATIVE, EMU_VIEW_NATIVE_NHWC } emu_view;

/* Fills everything but `index`, which the caller gives, for `model`, one of the context's sets of shapes. */
void emu_input_attribute(const emu_context *context, const emu_model *model, uint32_t index, emu_view view,
                         rkabi_tensor_attr *attr);
void emu_output_attribute(const emu_context *context, const emu_model *model, uint32_t index, emu_view view,
                          rkabi_tensor_attr *attr);

#endif

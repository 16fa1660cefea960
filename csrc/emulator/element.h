/* Single elements: sizes of the types, half precision, rounding. */
#ifndef RKPARITY_EMULATOR_ELEMENT_H
#define RKPARITY_EMULATOR_ELEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "abi/rknn_abi.h"

/* Bytes of one element of the types the runtime converts; 0 for those it does not (int16, uint16, uint32, int4, bfloat16, unknown:
   "Unknow dtype to get bytes", evidence 160_gen_int16_nhwc_pt0, 160_err_type_99). */
size_t emu_type_nbytes(rkabi_type type);
/* The name in the per-layer table and in "enable argb mode" lines. */
const char *emu_type_name(rkabi_type type);

/* IEEE half precision, round to nearest even, subnormals and infinities kept. */
uint16_t emu_half_from_float(float value);
float emu_float_from_half(uint16_t half);

/* Element `i` of an array of `type` as a float; 0 for a type without size. */
float emu_load_float(const void *data, rkabi_type type, size_t i);

/* rint(value) + zero_point, saturated to int8; NaN gives the zero point's saturation of 0. */
int8_t emu_quantize_saturating(float value, int32_t zero_point);
/* The same without saturation: the low 8 bits (evidence 160_b25_d2_f32: tensors that are not 4-D wrap). */
int8_t emu_quantize_wrapping(float value, int32_t zero_point);

#endif

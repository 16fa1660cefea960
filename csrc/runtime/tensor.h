/* Names and sizes of element types and layouts. */
#ifndef RKPARITY_RUNTIME_TENSOR_H
#define RKPARITY_RUNTIME_TENSOR_H

#include <stdbool.h>

#include "abi/rknn_abi.h"

/* Bytes per element; 0 for a type that has no whole number of them (INT4) or is unknown. */
uint32_t rkrt_type_size(int type);

/* "UINT8", "NHWC", "AFFINE"; "?" for a number the ABI does not know. Never NULL. */
const char *rkrt_type_name(int type);
const char *rkrt_fmt_name(int fmt);
const char *rkrt_qnt_name(int qnt);

/* The numbers of such names (any case); -1 for an unknown one. */
int rkrt_type_from_name(const char *name);
int rkrt_fmt_from_name(const char *name);

/* A core mask from "AUTO", "0", "1", "2", "0_1", "0_1_2", "ALL"; -1 for anything else. */
int rkrt_core_mask_from_name(const char *name);

/* NumPy's dtype text for a type ("<f4"); NULL for types NumPy lacks (INT4, BFLOAT16). */
const char *rkrt_type_descr(int type);

/* The type of a NumPy dtype text ("<f4", "|u1"); -1 when librknnrt has none. */
int rkrt_type_from_descr(const char *descr);

/* a * b into *product; false on overflow of 64 bits. */
bool rkrt_multiply(uint64_t a, uint64_t b, uint64_t *product);

/* Elements of a shape into *count; false on overflow. No dimensions: 1. */
bool rkrt_count_elements(uint32_t n_dims, const uint32_t *dims, uint64_t *count);

#endif

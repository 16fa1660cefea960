/* Inside of pair.c: what one block of at most RKP_BLOCK elements adds, and the functions that find it out. */
#ifndef RKPARITY_KERNELS_PAIR_BLOCKS_H
#define RKPARITY_KERNELS_PAIR_BLOCKS_H

#include "kernels/pair.h"

typedef void rkp_pair_block_float32(struct rkp_pair *pair, const float *test, const float *reference, size_t n);

/* The scalar references: element by element, every special value by name. */
rkp_pair_block_float32 rkp_pair_block_float32_reference;
void rkp_pair_block_float64_reference(struct rkp_pair *pair, const double *test, const double *reference, size_t n);

/* The optimised twins. */
rkp_pair_block_float32 rkp_pair_block_float32_sse2;
rkp_pair_block_float32 rkp_pair_block_float32_avx2;
rkp_pair_block_float32 rkp_pair_block_float32_avx512;
rkp_pair_block_float32 rkp_pair_block_float32_neon;

void rkp_sum_add(struct rkp_sum *sum, double value);

#endif

#include <float.h>
#include <math.h>

#include "kernels/pair_blocks.h"

#define REAL float
#define REAL_FABS fabsf
#define SIDE side_float32
#define BLOCK_FUNCTION rkp_pair_block_float32_reference
#include "kernels/pair_scalar.inc"
#undef REAL
#undef REAL_FABS
#undef SIDE
#undef BLOCK_FUNCTION

#define REAL double
#define REAL_FABS fabs
#define SIDE side_float64
#define BLOCK_FUNCTION rkp_pair_block_float64_reference
#include "kernels/pair_scalar.inc"

/* Element types of a tensor file and their conversion to float32 or float64, block by block. */
#ifndef RKPARITY_KERNELS_CONVERT_H
#define RKPARITY_KERNELS_CONVERT_H

#include <stddef.h>
#include <stdint.h>

enum rkp_dtype {
    RKP_FLOAT32 = 1,
    RKP_FLOAT16 = 2,
    RKP_FLOAT64 = 3,
    RKP_INT8 = 4,
    RKP_UINT8 = 5,
    RKP_INT16 = 6,
    RKP_UINT16 = 7,
    RKP_INT32 = 8,
    RKP_UINT32 = 9,
    RKP_INT64 = 10,
    RKP_UINT64 = 11,
    RKP_BOOL = 12
};

/* How the stored numbers of one tensor are to be read: as they are, or (quantized != 0) as (q - zero_point) * scale. */
struct rkp_source {
    int32_t dtype;
    int32_t quantized;
    int64_t zero_point;
    double scale;
};

/* Bytes per element, 0 for a type that is not known. */
size_t rkp_dtype_nbytes(int32_t dtype);

/* 1 if every value of `source` can be worked on in float32: float32 itself and what float32 holds exactly. A quantised
 * source is dequantised in float32, as the runtime's want_float does. */
int rkp_source_fits_float32(const struct rkp_source *source);

/* Converts `n` elements at `from`, aligned for their type. Returns 0, or -1 for a type that is not known (or, for
 * float32, does not fit). 64-bit integers beyond 2^53 are rounded to float64. */
int rkp_convert_float32(float *to, const void *from, size_t n, const struct rkp_source *source);
int rkp_convert_float64(double *to, const void *from, size_t n, const struct rkp_source *source);

/* IEEE 754 binary16 to binary32, exact, NaN stays NaN: the obvious way, and without branches. */
void rkp_half_to_float_reference(float *to, const uint16_t *from, size_t n);
void rkp_half_to_float(float *to, const uint16_t *from, size_t n);

#endif

#include "kernels/convert.h"

#include <math.h>
#include <string.h>

/* Up to here a difference of two integers is exact in float32. */
#define FLOAT32_INTEGER_MAX ((int64_t)1 << 23)

size_t rkp_dtype_nbytes(int32_t dtype)
{
    switch (dtype) {
    case RKP_INT8:
    case RKP_UINT8:
    case RKP_BOOL:
        return 1;
    case RKP_FLOAT16:
    case RKP_INT16:
    case RKP_UINT16:
        return 2;
    case RKP_FLOAT32:
    case RKP_INT32:
    case RKP_UINT32:
        return 4;
    case RKP_FLOAT64:
    case RKP_INT64:
    case RKP_UINT64:
        return 8;
    default:
        return 0;
    }
}

int rkp_source_fits_float32(const struct rkp_source *source)
{
    switch (source->dtype) {
    case RKP_FLOAT32:
    case RKP_FLOAT16:
        return !source->quantized;
    case RKP_INT8:
    case RKP_UINT8:
    case RKP_INT16:
    case RKP_UINT16:
    case RKP_BOOL:
        return !source->quantized
               || (source->zero_point <= FLOAT32_INTEGER_MAX && source->zero_point >= -FLOAT32_INTEGER_MAX);
    default:
        return 0;
    }
}

void rkp_half_to_float_reference(float *to, const uint16_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int exponent = (from[i] >> 10) & 0x1f;
        const float fraction = (float)(from[i] & 0x3ff);
        float value;
        if (exponent == 0x1f) {
            value = fraction == 0.0f ? INFINITY : NAN;
        } else if (exponent == 0) {
            value = ldexpf(fraction, -24);
        } else {
            value = ldexpf(1024.0f + fraction, exponent - 25);
        }
        to[i] = from[i] & 0x8000 ? -value : value;
    }
}

void rkp_half_to_float(float *to, const uint16_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t half = from[i];
        const uint32_t magnitude = half & 0x7fffu;
        /* The half's exponent and fraction in a float's fields are too small by 2^112, subnormals included. */
        uint32_t bits = magnitude << 13;
        float value;
        memcpy(&value, &bits, sizeof value);
        value *= 0x1p112f;
        memcpy(&bits, &value, sizeof bits);
        bits |= magnitude >= 0x7c00u ? 0x7f800000u : 0u;
        bits |= (half & 0x8000u) << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

#define CONVERT_INTEGER(real, type)                                                                                    \
    do {                                                                                                               \
        const type *values = from;                                                                                     \
        if (source->quantized) {                                                                                       \
            for (size_t i = 0; i < n; i++) {                                                                           \
                to[i] = ((real)values[i] - zero_point) * scale;                                                        \
            }                                                                                                          \
        } else {                                                                                                       \
            for (size_t i = 0; i < n; i++) {                                                                           \
                to[i] = (real)values[i];                                                                               \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

int rkp_convert_float32(float *to, const void *from, size_t n, const struct rkp_source *source)
{
    if (!rkp_source_fits_float32(source)) {
        return -1;
    }
    const float zero_point = (float)source->zero_point;
    const float scale = (float)source->scale;
    switch (source->dtype) {
    case RKP_FLOAT32:
        memcpy(to, from, n * sizeof *to);
        return 0;
    case RKP_FLOAT16:
        rkp_half_to_float(to, from, n);
        return 0;
    case RKP_INT8:
        CONVERT_INTEGER(float, int8_t);
        return 0;
    case RKP_UINT8:
        CONVERT_INTEGER(float, uint8_t);
        return 0;
    case RKP_INT16:
        CONVERT_INTEGER(float, int16_t);
        return 0;
    case RKP_UINT16:
        CONVERT_INTEGER(float, uint16_t);
        return 0;
    case RKP_BOOL: {
        const uint8_t *values = from;
        for (size_t i = 0; i < n; i++) {
            to[i] = values[i] ? 1.0f : 0.0f;
        }
        return 0;
    }
    default:
        return -1;
    }
}

/* Narrow types through float32, so that a tensor has the same values whatever it is compared with. */
static void widen(double *to, const void *from, size_t n, const struct rkp_source *source)
{
    float block[256];
    const size_t nbytes = rkp_dtype_nbytes(source->dtype);
    for (size_t start = 0; start < n; start += sizeof block / sizeof *block) {
        const size_t left = n - start;
        const size_t count = left < sizeof block / sizeof *block ? left : sizeof block / sizeof *block;
        (void)rkp_convert_float32(block, (const char *)from + start * nbytes, count, source);
        for (size_t i = 0; i < count; i++) {
            to[start + i] = (double)block[i];
        }
    }
}

int rkp_convert_float64(double *to, const void *from, size_t n, const struct rkp_source *source)
{
    if (rkp_source_fits_float32(source)) {
        widen(to, from, n, source);
        return 0;
    }
    const double zero_point = (double)source->zero_point;
    const double scale = source->scale;
    switch (source->dtype) {
    case RKP_FLOAT64:
        if (source->quantized) {
            return -1;
        }
        memcpy(to, from, n * sizeof *to);
        return 0;
    case RKP_INT8:
        CONVERT_INTEGER(double, int8_t);
        return 0;
    case RKP_UINT8:
        CONVERT_INTEGER(double, uint8_t);
        return 0;
    case RKP_INT16:
        CONVERT_INTEGER(double, int16_t);
        return 0;
    case RKP_UINT16:
        CONVERT_INTEGER(double, uint16_t);
        return 0;
    case RKP_INT32:
        CONVERT_INTEGER(double, int32_t);
        return 0;
    case RKP_UINT32:
        CONVERT_INTEGER(double, uint32_t);
        return 0;
    case RKP_INT64:
        CONVERT_INTEGER(double, int64_t);
        return 0;
    case RKP_UINT64:
        CONVERT_INTEGER(double, uint64_t);
        return 0;
    default:
        return -1;
    }
}

#include "emulator/element.h"

#include <math.h>
#include <string.h>

size_t emu_type_nbytes(rkabi_type type) {
    switch (type) {
    case RKABI_TYPE_FLOAT32:
    case RKABI_TYPE_INT32:
        return 4;
    case RKABI_TYPE_FLOAT16:
        return 2;
    case RKABI_TYPE_INT8:
    case RKABI_TYPE_UINT8:
    case RKABI_TYPE_BOOL:
        return 1;
    case RKABI_TYPE_INT64:
        return 8;
    default:
        return 0;
    }
}

const char *emu_type_name(rkabi_type type) {
    static const char *const names[RKABI_TYPE_COUNT] = {"FLOAT", "FLOAT16", "INT8",  "UINT8", "INT16", "UINT16",
                                                        "INT32", "UINT32",  "INT64", "BOOL",  "INT4",  "BFLOAT16"};
    return (unsigned)type < RKABI_TYPE_COUNT ? names[type] : "UNKNOW";
}

uint16_t emu_half_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u)
        half = 0x7e00u;
    else if (magnitude >= 0x477ff000u) /* 65520 and up round to infinity */
        half = 0x7c00u;
    else if (magnitude >= 0x38800000u) { /* normal: 2^-14 and up */
        uint32_t rebased = magnitude - (112u << 23);
        half = (rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13;
    } else { /* subnormal: units of 2^-24, the current rounding mode is to nearest even */
        float positive;
        memcpy(&positive, &magnitude, sizeof positive);
        half = (uint32_t)rintf(positive * 16777216.0f);
    }
    return (uint16_t)(sign | half);
}

float emu_float_from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1fu)
        bits = sign | 0x7f800000u | (fraction << 13);
    else if (exponent > 0)
        bits = sign | ((exponent + 112u) << 23) | (fraction << 13);
    else {
        float value = (float)fraction / 16777216.0f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float emu_load_float(const void *data, rkabi_type type, size_t i) {
    const uint8_t *bytes = data;
    switch (type) {
    case RKABI_TYPE_FLOAT32: {
        float value;
        memcpy(&value, bytes + 4 * i, sizeof value);
        return value;
    }
    case RKABI_TYPE_FLOAT16: {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        return emu_float_from_half(half);
    }
    case RKABI_TYPE_INT8:
        return (float)(int8_t)bytes[i];
    case RKABI_TYPE_UINT8:
        return (float)bytes[i];
    case RKABI_TYPE_BOOL:
        return bytes[i] != 0 ? 1.0f : 0.0f;
    case RKABI_TYPE_INT32: {
        int32_t value;
        memcpy(&value, bytes + 4 * i, sizeof value);
        return (float)value;
    }
    case RKABI_TYPE_INT64: {
        int64_t value;
        memcpy(&value, bytes + 8 * i, sizeof value);
        return (float)value;
    }
    default:
        return 0.0f;
    }
}

int8_t emu_quantize_saturating(float value, int32_t zero_point) {
    double quantized = (isnan(value) ? 0.0 : (double)rintf(value)) + (double)zero_point;
    if (quantized < -128.0)
        return -128;
    return quantized > 127.0 ? (int8_t)127 : (int8_t)quantized;
}

int8_t emu_quantize_wrapping(float value, int32_t zero_point) {
    double rounded = isnan(value) ? 0.0 : (double)rintf(value);
    /* Beyond int32 the conversion of the real library is undefined; saturating here keeps ours defined. */
    int64_t integer = rounded < -2147483648.0 ? INT32_MIN : rounded > 2147483647.0 ? INT32_MAX : (int64_t)rounded;
    uint8_t low = (uint8_t)((uint64_t)(integer + zero_point) & 0xffu);
    return (int8_t)(low < 128 ? (int)low : (int)low - 256);
}

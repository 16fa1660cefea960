/* The driver's own: names of types and layouts, hashes, test data. Included by driver.c alone. */
#ifndef RKPARITY_TESTS_DRIVER_VALUES_H
#define RKPARITY_TESTS_DRIVER_VALUES_H

#include "driver_data.h"

static const char *const TYPE_NAMES[] = {"FP32", "FP16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "BOOL"};
static const char *const TYPE_KEYS[] = {"f32", "f16", "i8", "u8", "int16", "uint16", "int32", "uint32", "int64", "bool"};
static const char *const FMT_NAMES[] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};
static const char *const FMT_KEYS[] = {"nchw", "nhwc", "nc1hwc2", "undefined"};
#define N_FMTS ((int)(sizeof FMT_KEYS / sizeof *FMT_KEYS))

/* FNV-1a, 32 bits: the recorded driver's `hash=`. */
static unsigned hash_of(const uint8_t *bytes, size_t nbytes) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < nbytes; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static int choice(const char *call, const char *key, const char *const names[], int count, int otherwise) {
    const char *value = option(call, key);
    for (int i = 0; value != NULL && i < count; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    return value != NULL ? (int)strtol(value, NULL, 0) : otherwise;
}

/* Rounds towards zero, as the recorded driver did. */
static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t sign = bits >> 16 & 0x8000u, exponent = bits >> 23 & 0xffu, mantissa = bits & 0x7fffffu;
    if (exponent < 113) /* the generators make no such small numbers but zero */
        return (uint16_t)sign;
    return (uint16_t)(sign | (exponent - 112) << 10 | mantissa >> 13);
}

/* The recorded driver's test data: a linear congruential generator seeded with the tensor's number. Checked against the
   recorded hashes of all 335 inputs but those of `gen=ramp`, whose rule is not known. */
static void generate(uint8_t *to, size_t count, int type, int index, const char *generator) {
    uint32_t state = (uint32_t)(index + 1) * 7919u + 1u;
    bool fractions = strcmp(generator, "frac") == 0, ramp = strcmp(generator, "ramp") == 0;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        uint32_t draw = ramp ? (uint32_t)i : state >> 8;
        float real = fractions ? (float)(draw & 0xffffu) / 256.0f - 128.0f : (float)(draw & 0xffu);
        uint64_t integer = draw & 0xffu;
        uint16_t half = half_of(real);
        switch (type) {
        case RKABI_TYPE_FLOAT16:
            memcpy(to + 2 * i, &half, 2);
            break;
        case RKABI_TYPE_INT8:
            to[i] = (uint8_t)(integer & 0x7fu);
            break;
        case RKABI_TYPE_BOOL:
            to[i] = (uint8_t)(integer & 1u);
            break;
        case RKABI_TYPE_UINT8:
            to[i] = (uint8_t)integer;
            break;
        case RKABI_TYPE_INT16:
        case RKABI_TYPE_UINT16:
        case RKABI_TYPE_INT32:
        case RKABI_TYPE_UINT32:
        case RKABI_TYPE_INT64:
            memcpy(to + nbytes_of(type) * i, &integer, nbytes_of(type)); /* little-endian, as all these chips */
            break;
        default:
            memcpy(to + 4 * i, &real, 4);
        }
    }
}

#endif

#include "runtime/tensor.h"

#include <string.h>
#include <strings.h>

typedef struct type_entry {
    const char *name;
    uint32_t size;
    const char *descr;
} type_entry;

static const type_entry types[RKABI_TYPE_COUNT] = {
    [RKABI_TYPE_FLOAT32] = {"FLOAT32", 4, "<f4"}, [RKABI_TYPE_FLOAT16] = {"FLOAT16", 2, "<f2"},
    [RKABI_TYPE_INT8] = {"INT8", 1, "|i1"},       [RKABI_TYPE_UINT8] = {"UINT8", 1, "|u1"},
    [RKABI_TYPE_INT16] = {"INT16", 2, "<i2"},     [RKABI_TYPE_UINT16] = {"UINT16", 2, "<u2"},
    [RKABI_TYPE_INT32] = {"INT32", 4, "<i4"},     [RKABI_TYPE_UINT32] = {"UINT32", 4, "<u4"},
    [RKABI_TYPE_INT64] = {"INT64", 8, "<i8"},     [RKABI_TYPE_BOOL] = {"BOOL", 1, "|b1"},
    [RKABI_TYPE_INT4] = {"INT4", 0, NULL},        [RKABI_TYPE_BFLOAT16] = {"BFLOAT16", 2, NULL},
};

static const char *const fmts[RKABI_FMT_COUNT] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};
static const char *const qnts[RKABI_QNT_COUNT] = {"NONE", "DFP", "AFFINE"};

uint32_t rkrt_type_size(int type)
{
    return type >= 0 && type < RKABI_TYPE_COUNT ? types[type].size : 0;
}

const char *rkrt_type_name(int type)
{
    return type >= 0 && type < RKABI_TYPE_COUNT ? types[type].name : "?";
}

const char *rkrt_fmt_name(int fmt)
{
    return fmt >= 0 && fmt < RKABI_FMT_COUNT ? fmts[fmt] : "?";
}

const char *rkrt_qnt_name(int qnt)
{
    return qnt >= 0 && qnt < RKABI_QNT_COUNT ? qnts[qnt] : "?";
}

int rkrt_type_from_name(const char *name)
{
    for (int type = 0; type < RKABI_TYPE_COUNT; type++) {
        if (strcasecmp(types[type].name, name) == 0) {
            return type;
        }
    }
    return -1;
}

int rkrt_fmt_from_name(const char *name)
{
    for (int fmt = 0; fmt < RKABI_FMT_COUNT; fmt++) {
        if (strcasecmp(fmts[fmt], name) == 0) {
            return fmt;
        }
    }
    return -1;
}

int rkrt_core_mask_from_name(const char *name)
{
    static const struct {
        const char *name;
        int mask;
    } masks[] = {{"AUTO", RKABI_CORE_AUTO}, {"0", RKABI_CORE_0},         {"1", RKABI_CORE_1},    {"2", RKABI_CORE_2},
                 {"0_1", RKABI_CORE_0_1},   {"0_1_2", RKABI_CORE_0_1_2}, {"ALL", RKABI_CORE_ALL}};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        if (strcasecmp(masks[i].name, name) == 0) {
            return masks[i].mask;
        }
    }
    return -1;
}

const char *rkrt_type_descr(int type)
{
    return type >= 0 && type < RKABI_TYPE_COUNT ? types[type].descr : NULL;
}

int rkrt_type_from_descr(const char *descr)
{
    if (descr[0] == '\0') {
        return -1;
    }
    for (int type = 0; type < RKABI_TYPE_COUNT; type++) {
        const char *known = types[type].descr;
        /* Byte order means nothing for one byte; every board is little-endian. */
        if (known && strcmp(known + 1, descr + 1) == 0 &&
            (types[type].size == 1 ? strchr("|<=", descr[0]) != NULL : strchr("<=", descr[0]) != NULL)) {
            return type;
        }
    }
    return -1;
}

bool rkrt_multiply(uint64_t a, uint64_t b, uint64_t *product)
{
    if (a != 0 && b > UINT64_MAX / a) {
        return false;
    }
    *product = a * b;
    return true;
}

bool rkrt_count_elements(uint32_t n_dims, const uint32_t *dims, uint64_t *count)
{
    *count = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        if (!rkrt_multiply(*count, dims[i], count)) {
            return false;
        }
    }
    return true;
}

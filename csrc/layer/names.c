#include "layer/names.h"

#include <stddef.h>

#define COUNT(list) ((int64_t)(sizeof(list) / sizeof(list)[0]))

static const char *look_up(const char *const *names, int64_t count, int64_t value)
{
    return value >= 0 && value < count ? names[value] : NULL;
}

const char *rkl_status_name(int64_t status)
{
    static const char *const names[] = {
        "RKNN_SUCC",
        "RKNN_ERR_FAIL",
        "RKNN_ERR_TIMEOUT",
        "RKNN_ERR_DEVICE_UNAVAILABLE",
        "RKNN_ERR_MALLOC_FAIL",
        "RKNN_ERR_PARAM_INVALID",
        "RKNN_ERR_MODEL_INVALID",
        "RKNN_ERR_CTX_INVALID",
        "RKNN_ERR_INPUT_INVALID",
        "RKNN_ERR_OUTPUT_INVALID",
        "RKNN_ERR_DEVICE_UNMATCH",
        "RKNN_ERR_INCOMPATILE_PRE_COMPILE_MODEL",
        "RKNN_ERR_INCOMPATILE_OPTIMIZATION_LEVEL_VERSION",
        "RKNN_ERR_TARGET_PLATFORM_UNMATCH",
    };
    return look_up(names, COUNT(names), -status);
}

struct type {
    const char *name;
    uint32_t nbytes;
    const char *descr;
};

static const struct type types[] = {
    {"FLOAT32", 4, "<f4"}, {"FLOAT16", 2, "<f2"}, {"INT8", 1, "|i1"},   {"UINT8", 1, "|u1"},
    {"INT16", 2, "<i2"},   {"UINT16", 2, "<u2"},  {"INT32", 4, "<i4"},  {"UINT32", 4, "<u4"},
    {"INT64", 8, "<i8"},   {"BOOL", 1, "|b1"},    {"INT4", 0, NULL},    {"BFLOAT16", 2, NULL},
};

static const struct type *type_of(int64_t type)
{
    return type >= 0 && type < COUNT(types) ? &types[type] : NULL;
}

const char *rkl_type_name(int64_t type)
{
    const struct type *found = type_of(type);
    return found ? found->name : NULL;
}

uint32_t rkl_type_nbytes(int64_t type)
{
    const struct type *found = type_of(type);
    return found ? found->nbytes : 0;
}

const char *rkl_type_descr(int64_t type)
{
    const struct type *found = type_of(type);
    return found ? found->descr : NULL;
}

const char *rkl_fmt_name(int64_t fmt)
{
    static const char *const names[] = {"NCHW", "NHWC", "NC1HWC2", "UNDEFINED"};
    return look_up(names, COUNT(names), fmt);
}

const char *rkl_qnt_name(int64_t qnt)
{
    static const char *const names[] = {"NONE", "DFP", "AFFINE_ASYMMETRIC"};
    return look_up(names, COUNT(names), qnt);
}

const char *rkl_query_name(int64_t command)
{
    static const char *const names[] = {
        "IN_OUT_NUM",
        "INPUT_ATTR",
        "OUTPUT_ATTR",
        "PERF_DETAIL",
        "PERF_RUN",
        "SDK_VERSION",
        "MEM_SIZE",
        "CUSTOM_STRING",
        "NATIVE_INPUT_ATTR",
        "NATIVE_OUTPUT_ATTR",
        "NATIVE_NHWC_INPUT_ATTR",
        "NATIVE_NHWC_OUTPUT_ATTR",
        "DEVICE_MEM_INFO",
        "INPUT_DYNAMIC_RANGE",
        "CURRENT_INPUT_ATTR",
        "CURRENT_OUTPUT_ATTR",
        "CURRENT_NATIVE_INPUT_ATTR",
        "CURRENT_NATIVE_OUTPUT_ATTR",
    };
    return look_up(names, COUNT(names), command);
}

const char *rkl_sync_name(int64_t mode)
{
    static const char *const names[] = {NULL, "TO_DEVICE", "FROM_DEVICE", "BOTH"};
    return look_up(names, COUNT(names), mode);
}

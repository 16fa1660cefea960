#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_entry {
    int code;
    const char *name;
    const char *text;
    const char *hint;
} status_entry;

/* Meanings: return codes of the RKNN API reference; when each was seen: evidence 160_err_*, 160_init_*, 160_zc_*. */
static const status_entry statuses[] = {
    {0, "RKNN_SUCC", "success", ""},
    {-1, "RKNN_ERR_FAIL", "the call failed", "read the runtime log; for rknn_init: is the NPU driver loaded?"},
    {-2, "RKNN_ERR_TIMEOUT", "the NPU did not finish in time", "look for NPU errors in dmesg; is another program using it?"},
    {-3, "RKNN_ERR_DEVICE_UNAVAILABLE", "the NPU is not available", "check the NPU driver and the permissions of its device node"},
    {-4, "RKNN_ERR_MALLOC_FAIL", "memory could not be allocated", "free memory on the board or use a smaller model"},
    {-5, "RKNN_ERR_PARAM_INVALID", "an argument is invalid",
     "compare size, type and number of inputs and outputs with the model's attributes (query)"},
    {-6, "RKNN_ERR_MODEL_INVALID", "the model is damaged, for another SoC, or newer than this runtime",
     "check the .rknn's target platform and update librknnrt to the toolkit's version"},
    {-7, "RKNN_ERR_CTX_INVALID", "the context is invalid", "the session was closed or never opened"},
    {-8, "RKNN_ERR_INPUT_INVALID", "an input is invalid", "compare the inputs with the model's attributes (query)"},
    {-9, "RKNN_ERR_OUTPUT_INVALID", "an output is invalid", "compare the outputs with the model's attributes (query)"},
    {-10, "RKNN_ERR_DEVICE_UNMATCH", "driver and runtime do not match", "update the NPU driver or librknnrt"},
    {-11, "RKNN_ERR_INCOMPATILE_PRE_COMPILE_MODEL", "the pre-compiled model does not fit this driver",
     "convert the model again with a matching toolkit"},
    {-12, "RKNN_ERR_INCOMPATILE_OPTIMIZATION_LEVEL_VERSION", "the model's optimisation level does not fit this driver",
     "convert the model again with a matching toolkit"},
    {-13, "RKNN_ERR_TARGET_PLATFORM_UNMATCH", "the model is for another SoC",
     "convert the model for this board's target_platform"},
};

static const status_entry *find_status(int code)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].code == code) {
            return &statuses[i];
        }
    }
    return NULL;
}

const char *rkrt_status_name(int code)
{
    const status_entry *entry = find_status(code);
    return entry ? entry->name : "unknown return code";
}

const char *rkrt_status_text(int code)
{
    const status_entry *entry = find_status(code);
    return entry ? entry->text : "the library returned a code that is not documented";
}

const char *rkrt_status_hint(int code)
{
    const status_entry *entry = find_status(code);
    return entry ? entry->hint : "read the runtime log";
}

const char *rkrt_error_kind_name(int kind)
{
    static const char *const names[] = {"none", "usage", "library", "unsupported", "call", "memory", "file", "data"};
    return kind >= 0 && kind <= RKRT_ERROR_DATA ? names[kind] : "unknown";
}

int rkrt_fail(rkrt_error *error, rkrt_error_kind kind, int code, const char *call, const char *format, ...)
{
    va_list arguments;

    error->kind = (int)kind;
    error->code = code;
    error->hint[0] = '\0';
    snprintf(error->call, sizeof error->call, "%s", call ? call : "");
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return -1;
}

int rkrt_fail_call(rkrt_error *error, const char *call, int code)
{
    rkrt_fail(error, RKRT_ERROR_CALL, code, call, "%s returned %d (%s): %s", call, code, rkrt_status_name(code),
              rkrt_status_text(code));
    return rkrt_hint(error, rkrt_status_hint(code));
}

int rkrt_hint(rkrt_error *error, const char *hint)
{
    snprintf(error->hint, sizeof error->hint, "%s", hint);
    return -1;
}

/* Writing one JSON object per line to a file descriptor of its own. */
#ifndef RKPARITY_RUNNER_JSON_H
#define RKPARITY_RUNNER_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "abi/rknn_abi.h"
#include "runtime/error.h"

/* Where events go, and whether a comma is due before the next member. */
typedef struct json {
    FILE *file;
    bool comma;
} json;

void json_begin_event(json *out, const char *event);
void json_end_event(json *out);

/* `key` NULL: an element of a list. */
void json_begin(json *out, const char *key, char bracket);
void json_end(json *out, char bracket);
void json_text(json *out, const char *key, const char *value);
void json_integer(json *out, const char *key, int64_t value);
void json_flag(json *out, const char *key, bool value);
void json_null(json *out, const char *key);

/* NaN and infinities, which JSON lacks, become null. */
void json_number(json *out, const char *key, double value);

/* The members of an attribute object (docs/agent.md), without its brackets. */
void json_attr(json *out, const rkabi_tensor_attr *attr);

void json_progress(json *out, const char *stage, uint32_t done, uint32_t total);

/* The error event; returns the exit code it names. */
int json_error(json *out, const rkrt_error *error);

#endif

#include "runner/json.h"

#include <math.h>

#include "runtime/tensor.h"

#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

/* Bytes of the UTF-8 sequence at `text`; 0 when it is none. Never looks past the terminating NUL. */
static int sequence_length(const unsigned char *text)
{
    int length = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                 : text[0] >= 0xf0 && text[0] < 0xf5                            ? 4
                                                                                : 0;
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates and values over U+10FFFF. */
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f)) {
        return 0;
    }
    return length;
}

static void write_string(FILE *file, const char *value)
{
    const unsigned char *at = (const unsigned char *)value;

    fputc('"', file);
    while (*at) {
        int length = sequence_length(at);
        if (length == 0) {
            fputs("\\ufffd", file);
            at++;
        } else if (*at == '"' || *at == '\\') {
            fprintf(file, "\\%c", *at++);
        } else if (*at < 0x20 || *at == 0x7f) {
            fprintf(file, "\\u%04x", *at++);
        } else {
            fwrite(at, 1, (size_t)length, file);
            at += length;
        }
    }
    fputc('"', file);
}

static void member(json *out, const char *key)
{
    if (out->comma) {
        fputc(',', out->file);
    }
    out->comma = true;
    if (key) {
        write_string(out->file, key);
        fputc(':', out->file);
    }
}

void json_begin(json *out, const char *key, char bracket)
{
    member(out, key);
    fputc(bracket, out->file);
    out->comma = false;
}

void json_end(json *out, char bracket)
{
    fputc(bracket, out->file);
    out->comma = true;
}

void json_begin_event(json *out, const char *event)
{
    out->comma = false;
    json_begin(out, NULL, '{');
    json_text(out, "event", event);
}

void json_end_event(json *out)
{
    json_end(out, '}');
    fputc('\n', out->file);
    fflush(out->file);
}

void json_text(json *out, const char *key, const char *value)
{
    member(out, key);
    write_string(out->file, value);
}

void json_integer(json *out, const char *key, int64_t value)
{
    member(out, key);
    fprintf(out->file, "%lld", (long long)value);
}

void json_flag(json *out, const char *key, bool value)
{
    member(out, key);
    fputs(value ? "true" : "false", out->file);
}

void json_null(json *out, const char *key)
{
    member(out, key);
    fputs("null", out->file);
}

void json_number(json *out, const char *key, double value)
{
    member(out, key);
    if (isfinite(value)) {
        fprintf(out->file, "%.17g", value);
    } else {
        fputs("null", out->file);
    }
}

void json_attr(json *out, const rkabi_tensor_attr *attr)
{
    json_integer(out, "index", attr->index);
    json_text(out, "name", attr->name);
    json_begin(out, "dims", '[');
    for (uint32_t i = 0; i < attr->n_dims; i++) {
        json_integer(out, NULL, attr->dims[i]);
    }
    json_end(out, ']');
    json_integer(out, "n_elems", attr->n_elems);
    json_integer(out, "size", attr->size);
    json_text(out, "fmt", rkrt_fmt_name((int)attr->fmt));
    json_text(out, "type", rkrt_type_name((int)attr->type));
    json_text(out, "qnt_type", rkrt_qnt_name((int)attr->qnt_type));
    json_integer(out, "zp", attr->zp);
    json_number(out, "scale", (double)attr->scale);
    json_integer(out, "w_stride", attr->w_stride);
    json_integer(out, "size_with_stride", attr->size_with_stride);
    json_integer(out, "h_stride", attr->h_stride);
}

void json_progress(json *out, const char *stage, uint32_t done, uint32_t total)
{
    json_begin_event(out, "progress");
    json_text(out, "stage", stage);
    json_integer(out, "done", done);
    json_integer(out, "total", total);
    json_end_event(out);
}

int json_error(json *out, const rkrt_error *error)
{
    int exit_code = error->kind == RKRT_ERROR_USAGE ? EXIT_USAGE : EXIT_ENVIRONMENT;

    json_begin_event(out, "error");
    json_text(out, "kind", rkrt_error_kind_name(error->kind));
    json_text(out, "message", error->message);
    json_text(out, "hint", error->hint);
    if (error->call[0]) {
        json_text(out, "call", error->call);
    }
    if (error->kind == RKRT_ERROR_CALL) {
        json_integer(out, "code", error->code);
        json_text(out, "code_name", rkrt_status_name(error->code));
    }
    json_integer(out, "exit_code", exit_code);
    json_end_event(out);
    return exit_code;
}

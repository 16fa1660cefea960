#include "emulator/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/log.h"
#include "emulator/output.h"

#define LEVEL_DUMPS 5

bool emu_dump_wanted(const emu_context *context) {
    return context->level >= LEVEL_DUMPS;
}

typedef struct kind {
    const char *suffix;
    const char *descr;
} kind;

static kind kind_of(rkabi_type type) {
    switch (type) {
    case RKABI_TYPE_FLOAT16:
        return (kind){"float16", "<f2"};
    case RKABI_TYPE_INT8:
    case RKABI_TYPE_BOOL: /* evidence 160_dumpquant_1_boolin_int8 */
        return (kind){"int8", "|i1"};
    case RKABI_TYPE_UINT8:
        return (kind){"uint8", "|u1"};
    case RKABI_TYPE_INT32:
        return (kind){"int32", "<i4"};
    case RKABI_TYPE_INT64:
        return (kind){"int64", "<i8"};
    default:
        return (kind){"float", "<f4"};
    }
}

/* Version 1.0; the dictionary is padded with blanks so that the data begin at a multiple of 16 (evidence: byte 80). */
static size_t make_header(char *text, size_t size, const emu_tensor *tensor, const char *descr) {
    char shape[RKABI_MAX_DIMS * 12 + 4];
    size_t at = 0;
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, i == 0 ? "%u" : ", %u", tensor->dims[i]);
    if (tensor->n_dims == 1)
        snprintf(shape + at, sizeof shape - at, ",");
    else if (tensor->n_dims == 0)
        shape[0] = '\0';
    int length = snprintf(text + 10, size - 11, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    size_t total = 10 + (size_t)length;
    size_t padding = 16 - total % 16;
    memset(text + total, ' ', padding);
    total += padding;
    text[total - 1] = '\n';
    memcpy(text, "\x93NUMPY\x01\x00", 8);
    text[8] = (char)((total - 10) & 0xff);
    text[9] = (char)((total - 10) >> 8);
    return total;
}

static void write_file(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type type,
                       const void *values) {
    const char *folder = getenv("RKNN_DUMP_DIR");
    char name[RKABI_MAX_NAME_LEN + 1];
    snprintf(name, sizeof name, "%s", tensor->name);
    for (char *c = name; *c != '\0'; c++)
        if (strchr("/:.;", *c) != NULL)
            *c = '_';
    char path[4096];
    kind as = kind_of(type);
    int at = snprintf(path, sizeof path, "%s/%03u_%s_%s_shape", folder != NULL ? folder : "dumps", node,
                      context->model->nodes[node].op_type, name);
    for (uint32_t i = 0; i < tensor->n_dims && at > 0 && (size_t)at < sizeof path; i++)
        at += snprintf(path + at, sizeof path - (size_t)at, "_%u", tensor->dims[i]);
    if (at > 0 && (size_t)at < sizeof path)
        at += snprintf(path + at, sizeof path - (size_t)at, "_%s.npy", as.suffix);
    emu_log(context->level, 'D', "dump npy tensor to: %s", path);
    FILE *file = at > 0 && (size_t)at < sizeof path ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        emu_log(context->level, 'E', "failed open dump path: %s", path);
        return;
    }
    char header[512];
    size_t header_nbytes = make_header(header, sizeof header, tensor, as.descr);
    bool whole = fwrite(header, 1, header_nbytes, file) == header_nbytes &&
                 fwrite(values, emu_type_nbytes(type), tensor->n_elems, file) == tensor->n_elems;
    whole = fclose(file) == 0 && whole;
    if (!whole)
        emu_log(context->level, 'E', "rkparity emulated runtime: the dump is cut short (disk full?): %s", path);
}

static void write_float(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held,
                        const uint8_t *values) {
    if (held == RKABI_TYPE_FLOAT32) {
        write_file(context, node, tensor, RKABI_TYPE_FLOAT32, values);
        return;
    }
    float *numbers = malloc(tensor->n_elems * sizeof *numbers);
    if (numbers == NULL) {
        emu_log(context->level, 'E', "rkparity emulated runtime: out of memory for the dump of %s", tensor->name);
        return;
    }
    emu_dequantize(tensor, values, tensor->n_elems, numbers);
    write_file(context, node, tensor, RKABI_TYPE_FLOAT32, numbers);
    free(numbers);
}

/* Dequantised values back in the tensor's own type; they lie on its grid, so this loses nothing. */
static void write_requantized(const emu_context *context, uint32_t node, const emu_tensor *tensor, const uint8_t *values) {
    size_t nbytes = emu_type_nbytes(tensor->type);
    uint8_t *raw = malloc(tensor->n_elems * (nbytes > 0 ? nbytes : 1));
    if (raw == NULL || nbytes == 0) {
        emu_log(context->level, 'E', "rkparity emulated runtime: no raw dump of %s", tensor->name);
        free(raw);
        return;
    }
    for (size_t i = 0; i < tensor->n_elems; i++) {
        float value = emu_load_float(values, RKABI_TYPE_FLOAT32, i);
        uint16_t half = emu_half_from_float(value);
        int64_t integer = (int64_t)value;
        int32_t narrow = (int32_t)value;
        int8_t quantized = emu_quantize_saturating(value / tensor->scale, tensor->zero_point);
        const void *bytes = tensor->type == RKABI_TYPE_FLOAT16   ? (const void *)&half
                            : tensor->type == RKABI_TYPE_FLOAT32 ? (const void *)&value
                            : tensor->type == RKABI_TYPE_INT64   ? (const void *)&integer
                            : tensor->type == RKABI_TYPE_INT32   ? (const void *)&narrow
                                                                 : (const void *)&quantized;
        memcpy(raw + i * nbytes, bytes, nbytes);
    }
    write_file(context, node, tensor, tensor->type, raw);
    free(raw);
}

void emu_dump(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held, const uint8_t *values) {
    const char *choice = getenv("RKNN_DUMP_QUANT");
    long quant = choice != NULL ? strtol(choice, NULL, 10) : 0;
    if (held == RKABI_TYPE_UINT8 || held == RKABI_TYPE_INT64) {
        write_file(context, node, tensor, held, values);
        if (quant == 2) /* once as itself and once as the raw type, which is the same file (evidence 160_dumpquant_2) */
            write_file(context, node, tensor, held, values);
        return;
    }
    if (quant != 1)
        write_float(context, node, tensor, held, values);
    if (quant == 1 || quant == 2) {
        if (held == tensor->type)
            write_file(context, node, tensor, held, values);
        else
            write_requantized(context, node, tensor, values);
    }
}

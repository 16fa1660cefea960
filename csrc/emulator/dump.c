#include "emulator/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/input.h"
#include "emulator/log.h"
#include "emulator/output.h"

#define LEVEL_DUMPS 5
#define MAX_PATH_NBYTES 4096
#define LINE_NBYTES 16u

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
static size_t make_header(const emu_context *context, char *text, size_t size, const emu_tensor *tensor, const char *descr) {
    bool mini = context->version->mini; /* fewer blanks and commas; NumPy refuses its (20) (evidence mrt232_d1) */
    char shape[RKABI_MAX_DIMS * 12 + 4];
    size_t at = 0;
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, i == 0 ? "%u" : mini ? ",%u" : ", %u", tensor->dims[i]);
    if (tensor->n_dims == 1 && !mini)
        snprintf(shape + at, sizeof shape - at, ",");
    else if (tensor->n_dims == 0)
        shape[0] = '\0';
    int length = snprintf(text + 10, size - 11, "{'descr': '%s', 'fortran_order': False, 'shape': (%s)%s}", descr, shape,
                          mini ? "" : ", ");
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

/* `DIR/INDEX_OPTYPE_TENSOR_shape_D0_D1..`; false when it does not fit. */
static bool make_path(const emu_context *context, uint32_t node, const emu_tensor *tensor, char *path, size_t size) {
    const char *folder = getenv("RKNN_DUMP_DIR");
    char name[RKABI_MAX_NAME_LEN + 1];
    snprintf(name, sizeof name, "%s", tensor->name);
    for (char *c = name; *c != '\0'; c++)
        if (strchr("/:.;", *c) != NULL)
            *c = '_';
    int at = snprintf(path, size, "%s/%03u_%s_%s_shape", folder != NULL ? folder : "dumps", node,
                      context->model->nodes[node].op_type, name);
    for (uint32_t i = 0; i < tensor->n_dims && at > 0 && (size_t)at < size; i++)
        at += snprintf(path + at, size - (size_t)at, "_%u", tensor->dims[i]);
    return at > 0 && (size_t)at < size;
}

static FILE *open_dump(const emu_context *context, const char *what, const char *path) {
    emu_log(context->level, 'D', "dump %s tensor to: %s", what, path);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        emu_log(context->level, 'E', context->version->mini ? "Unable to create file %s" : "failed open dump path: %s", path);
    return file;
}

static void close_dump(const emu_context *context, FILE *file, const char *path, bool whole) {
    whole = fclose(file) == 0 && whole;
    if (!whole)
        emu_log(context->level, 'E', "rkparity emulated runtime: the dump is cut short (disk full?): %s", path);
}

static void write_file(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type type,
                       const void *values) {
    char base[MAX_PATH_NBYTES], path[MAX_PATH_NBYTES + 32];
    kind as = kind_of(type);
    if (!make_path(context, node, tensor, base, sizeof base))
        return;
    snprintf(path, sizeof path, "%s_%s.npy", base, as.suffix);
    FILE *file = open_dump(context, "npy", path);
    if (file == NULL)
        return;
    char header[512];
    size_t header_nbytes = make_header(context, header, sizeof header, tensor, as.descr);
    size_t data_nbytes = tensor->n_elems * emu_type_nbytes(type);
    size_t room = (size_t)emu_faults_room(&context->faults, node, header_nbytes + data_nbytes);
    size_t head = room < header_nbytes ? room : header_nbytes;
    size_t data = room - head < data_nbytes ? room - head : data_nbytes;
    bool whole = fwrite(header, 1, head, file) == head && fwrite(values, 1, data, file) == data &&
                 room == header_nbytes + data_nbytes;
    close_dump(context, file, path, whole);
}

/* The native memory as text: lines of 16 bytes, each one number, so the last byte first (evidence 160_dumptxt_1). */
static void write_text(const emu_context *context, uint32_t node, const emu_tensor *tensor, const emu_layout *native,
                       rkabi_type type, const uint8_t *values) {
    char base[MAX_PATH_NBYTES], path[MAX_PATH_NBYTES + 128];
    size_t nbytes = emu_type_nbytes(type);
    size_t total = (native->slots * nbytes + LINE_NBYTES - 1) / LINE_NBYTES * LINE_NBYTES;
    bool image = native->arrangement == EMU_NHWC;
    if (!make_path(context, node, tensor, base, sizeof base))
        return;
    if (context->version->mini) { /* named like the npy, pixels announced only (evidence mrt232_dumptxt_1) */
        snprintf(path, sizeof path, "%s_%s.tensor", base, image ? kind_of(type).suffix : "float");
        if (image) {
            emu_log(context->level, 'D', "dump txt tensor to: %s", path);
            return;
        }
    } else
        snprintf(path, sizeof path, "%s_to_%u_%u_%u_%u_%u_sa%u_%s.tensor", base, native->n, image ? 1 : native->c1, native->h,
             native->w, image ? native->c : native->c2, image ? 1 : EMU_SURFACE_ALIGNMENT, kind_of(type).suffix);
    uint8_t *memory = calloc(total, 1);
    FILE *file = memory != NULL ? open_dump(context, "txt", path) : NULL;
    if (file == NULL) {
        free(memory);
        return;
    }
    emu_layout logical = emu_layout_plain(tensor, EMU_NCHW, 0);
    emu_layout_copy(&logical, values, native, memory, total, nbytes);
    size_t room = (size_t)emu_faults_room(&context->faults, node, total);
    bool whole = room == total;
    for (size_t line = 0; line + LINE_NBYTES <= room; line += LINE_NBYTES) {
        char text[2 * LINE_NBYTES + 2];
        for (size_t i = 0; i < LINE_NBYTES; i++)
            snprintf(text + 2 * i, 3, "%02x", memory[line + LINE_NBYTES - 1 - i]);
        text[2 * LINE_NBYTES] = '\n';
        if (fwrite(text, 1, sizeof text - 1, file) != sizeof text - 1) {
            whole = false;
            break;
        }
    }
    close_dump(context, file, path, whole);
    free(memory);
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

/* Dequantised values back in the tensor's own type; they lie on its grid, so this loses nothing. NULL: no such type. The
   caller frees it. */
static uint8_t *requantized(const emu_tensor *tensor, const uint8_t *values) {
    size_t nbytes = emu_type_nbytes(tensor->type);
    uint8_t *raw = nbytes > 0 ? malloc(tensor->n_elems * nbytes) : NULL;
    for (size_t i = 0; raw != NULL && i < tensor->n_elems; i++) {
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
    return raw;
}

static long number_from_environment(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

void emu_dump(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held, const uint8_t *values) {
    long quant = number_from_environment("RKNN_DUMP_QUANT");
    if (context->version->mini && quant == 2) /* evidence mrt232_dumpquant_2 */
        quant = 1;
    bool text = number_from_environment("RKNN_DUMP_TXT_TENSOR") == 1 && emu_tensor_is_4d(tensor);
    /* Pixels and int64 are never dequantised; with RKNN_DUMP_QUANT=2 they are written twice under one name (evidence
       160_dumpquant_2). */
    bool as_held = held == RKABI_TYPE_UINT8 || held == RKABI_TYPE_INT64;
    bool raw_wanted = quant == 1 || quant == 2;
    uint8_t *made = NULL;
    const uint8_t *raw = values;
    if (!as_held && held != tensor->type && (raw_wanted || text)) {
        raw = made = requantized(tensor, values);
        if (raw == NULL)
            emu_log(context->level, 'E', "rkparity emulated runtime: no raw dump of %s", tensor->name);
    }
    rkabi_type raw_type = as_held ? held : tensor->type;
    if (quant != 1) {
        if (as_held)
            write_file(context, node, tensor, held, values);
        else
            write_float(context, node, tensor, held, values);
    }
    if (raw_wanted && raw != NULL)
        write_file(context, node, tensor, raw_type, raw);
    if (text && raw != NULL) {
        bool image = context->model->nodes[node].role == EMU_ROLE_INPUT;
        uint32_t alignment = context->version->mini ? 1 : EMU_SURFACE_ALIGNMENT;
        emu_layout native = image ? emu_layout_of_input(tensor, context->chip)
                                  : emu_layout_of_surface(tensor, context->chip, alignment);
        write_text(context, node, tensor, &native, raw_type, raw);
    }
    free(made);
}

int emu_dump_input(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held, const uint8_t *values) {
    bool mini = context->version->mini;
    if (mini && tensor->type == RKABI_TYPE_INT64) {
        char base[MAX_PATH_NBYTES];
        if (make_path(context, node, tensor, base, sizeof base))
            emu_log(context->level, 'D', "dump npy tensor to: %s_float.npy", base);
        emu_log(context->level, 'E', "Meet unsupported input dtype %d for dump", (int)tensor->type);
        emu_would_crash(context->level, "rknn_run", "the dump of an int64 input (evidence mrt232_ids)");
        return RKABI_ERR_FAIL;
    }
    if (mini && emu_tensor_is_image(tensor)) {
        /* The memory is read as if its rows had no padding, whatever w_stride is (evidence mrt232_zc_u8, mrt232_b2). */
        const uint8_t *memory = context->inputs[context->model->nodes[node].io_index].native;
        emu_layout packed = emu_layout_plain(tensor, EMU_NHWC, 0), logical = emu_layout_plain(tensor, EMU_NCHW, 0);
        size_t nbytes = emu_type_nbytes(held);
        uint8_t *read = malloc(tensor->n_elems * nbytes);
        if (read == NULL)
            return RKABI_ERR_MALLOC_FAIL;
        emu_layout_copy(&packed, memory, &logical, read, tensor->n_elems * nbytes, nbytes);
        emu_dump(context, node, tensor, held, read);
        free(read);
        return RKABI_OK;
    }
    emu_dump(context, node, tensor, held, values);
    if (mini && tensor->n_dims > 4) {
        emu_would_crash(context->level, "rknn_run", "the dump of an input with five dimensions (evidence mrt232_d5)");
        return RKABI_ERR_FAIL;
    }
    return RKABI_OK;
}

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/npy.h"
#include "runtime/tensor.h"

#define MAGIC "\x93NUMPY"
#define MAX_HEADER 4096u
#define MAX_DIM (UINT64_C(1) << 48)

/* A cursor over the header's text; `at` never passes `end`, where a NUL stands. */
typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

static void skip_space(cursor *in)
{
    while (in->at < in->end && strchr(" \t\n", *in->at)) {
        in->at++;
    }
}

static bool take(cursor *in, char wanted)
{
    skip_space(in);
    if (in->at < in->end && *in->at == wanted) {
        in->at++;
        return true;
    }
    return false;
}

static bool take_text(cursor *in, char *text, size_t size)
{
    size_t length = 0;
    char quote;

    skip_space(in);
    if (in->at >= in->end || (*in->at != '\'' && *in->at != '"')) {
        return false;
    }
    quote = *in->at++;
    while (in->at < in->end && *in->at != quote) {
        if (length + 1 >= size) {
            return false;
        }
        text[length++] = *in->at++;
    }
    text[length] = '\0';
    return take(in, quote);
}

static bool take_word(cursor *in, const char *word)
{
    size_t length = strlen(word);

    skip_space(in);
    if ((size_t)(in->end - in->at) >= length && memcmp(in->at, word, length) == 0) {
        in->at += length;
        return true;
    }
    return false;
}

static bool take_number(cursor *in, uint64_t *number)
{
    bool any = false;

    skip_space(in);
    *number = 0;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        *number = *number * 10 + (uint64_t)(*in->at++ - '0');
        any = true;
        if (*number >= MAX_DIM) {
            return false;
        }
    }
    return any;
}

static bool take_shape(cursor *in, rkrt_npy *npy)
{
    if (!take(in, '(')) {
        return false;
    }
    npy->n_dims = 0;
    while (!take(in, ')')) {
        if (npy->n_dims == RKRT_NPY_MAX_DIMS || !take_number(in, &npy->dims[npy->n_dims])) {
            return false;
        }
        npy->n_dims++;
        if (!take(in, ',')) {
            return take(in, ')');
        }
    }
    return true;
}

static bool parse_dictionary(cursor *in, rkrt_npy *npy)
{
    bool have_descr = false, have_order = false, have_shape = false;
    char key[20];

    if (!take(in, '{')) {
        return false;
    }
    while (!take(in, '}')) {
        if (!take_text(in, key, sizeof key) || !take(in, ':')) {
            return false;
        }
        if (!have_descr && strcmp(key, "descr") == 0) {
            have_descr = take_text(in, npy->descr, sizeof npy->descr);
        } else if (!have_order && strcmp(key, "fortran_order") == 0) {
            npy->fortran_order = take_word(in, "True");
            have_order = npy->fortran_order || take_word(in, "False");
        } else if (!have_shape && strcmp(key, "shape") == 0) {
            have_shape = take_shape(in, npy);
        } else {
            return false;
        }
        if (!take(in, ',')) {
            if (!take(in, '}')) {
                return false;
            }
            break;
        }
    }
    skip_space(in);
    return in->at == in->end && have_descr && have_order && have_shape;
}

/* The element size of a plain number type; 0 for anything else (objects, strings, records, big-endian). */
static uint64_t element_size(const char *descr)
{
    static const char *const sizes[] = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"};

    if (!descr[0] || !strchr("<|=", descr[0])) {
        return 0;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strcmp(descr + 1, sizes[i]) == 0) {
            return (uint64_t)(sizes[i][1] - '0');
        }
    }
    return 0;
}

static int read_header(FILE *file, const char *path, rkrt_npy *npy, rkrt_error *error)
{
    unsigned char prefix[12];
    char text[MAX_HEADER + 1];
    size_t length, prefix_nbytes = 10;
    cursor in;

    if (fread(prefix, 1, 10, file) != 10 || memcmp(prefix, MAGIC, 6) != 0) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: is not an npy file", path);
    }
    length = (size_t)prefix[8] | (size_t)prefix[9] << 8;
    if (prefix[6] == 2 || prefix[6] == 3) {
        prefix_nbytes = 12;
        if (fread(prefix + 10, 1, 2, file) != 2) {
            return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: npy header is cut off", path);
        }
        length |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
    } else if (prefix[6] != 1) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: npy version %d is not known", path, prefix[6]);
    }
    if (length > MAX_HEADER || fread(text, 1, length, file) != length) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: npy header of %lu bytes is cut off or too long", path,
                         (unsigned long)length);
    }
    text[length] = '\0';
    in.at = text;
    in.end = text + length;
    if (!parse_dictionary(&in, npy)) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: npy header cannot be read: %.80s", path, text);
    }
    npy->data_offset = prefix_nbytes + length;
    return 0;
}

static int check_size(const char *path, rkrt_npy *npy, rkrt_error *error)
{
    uint64_t size = element_size(npy->descr), expected;
    bool fits = true;

    if (size == 0) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: dtype '%s' is not a plain little-endian number type", path,
                         npy->descr);
    }
    npy->nbytes = size;
    for (uint32_t i = 0; i < npy->n_dims && fits; i++) {
        fits = rkrt_multiply(npy->nbytes, npy->dims[i], &npy->nbytes);
    }
    if (!fits || npy->nbytes > UINT64_MAX / 2) {
        return rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: the shape in the npy header is impossibly large", path);
    }
    expected = npy->data_offset + npy->nbytes;
    if (expected != npy->file_nbytes) {
        rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: %s: its header needs %llu bytes, the file has %llu", path,
                  npy->file_nbytes < expected ? "truncated" : "longer than its header says", (unsigned long long)expected,
                  (unsigned long long)npy->file_nbytes);
        return rkrt_hint(error, "the writer was cut off or the disk was full; make the file again");
    }
    npy->type = rkrt_type_from_descr(npy->descr);
    return 0;
}

int rkrt_npy_read_header(const char *path, rkrt_npy *npy, rkrt_error *error)
{
    FILE *file = fopen(path, "rbe");
    int result;

    memset(npy, 0, sizeof *npy);
    if (!file) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be opened: %s", path, strerror(errno));
    }
    result = read_header(file, path, npy, error);
    if (result == 0) {
        if (fseeko(file, 0, SEEK_END) != 0) {
            result = rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be read: %s", path, strerror(errno));
        } else {
            npy->file_nbytes = (uint64_t)ftello(file);
            result = check_size(path, npy, error);
        }
    }
    fclose(file);
    return result;
}

int rkrt_file_read(const char *path, uint64_t offset, uint64_t nbytes, void *into, rkrt_error *error)
{
    FILE *file = fopen(path, "rbe");
    int result = 0;

    if (!file || fseeko(file, (off_t)offset, SEEK_SET) != 0) {
        result = rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (fread(into, 1, (size_t)nbytes, file) != nbytes) {
        result = rkrt_fail(error, RKRT_ERROR_DATA, 0, NULL, "%s: ends before %llu bytes were read", path,
                           (unsigned long long)nbytes);
    }
    if (file) {
        fclose(file);
    }
    return result;
}

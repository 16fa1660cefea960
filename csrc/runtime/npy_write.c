#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/npy.h"
#include "runtime/tensor.h"

#define PREFIX_NBYTES 10u
#define ALIGNMENT 64u

/* Header of version 1.0, padded with spaces so that the values begin at a multiple of 64 bytes. Returns its length. */
static size_t make_header(char *header, size_t size, const char *descr, uint32_t n_dims, const uint32_t *dims)
{
    size_t length = PREFIX_NBYTES, padded;

    length += (size_t)snprintf(header + length, size - length, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (uint32_t i = 0; i < n_dims; i++) {
        /* A one-element tuple needs its comma. */
        length += (size_t)snprintf(header + length, size - length, n_dims == 1 ? "%u," : i ? ", %u" : "%u", dims[i]);
    }
    length += (size_t)snprintf(header + length, size - length, "), }");
    padded = (length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memset(header + length, ' ', padded - length - 1);
    header[padded - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((padded - PREFIX_NBYTES) & 0xff);
    header[9] = (char)((padded - PREFIX_NBYTES) >> 8);
    return padded;
}

static int write_file(const char *path, const char *header, size_t header_nbytes, const void *data, uint64_t nbytes,
                      rkrt_error *error)
{
    FILE *file = fopen(path, "wbe");
    bool written;
    int reason;

    if (!file) {
        return rkrt_fail(error, RKRT_ERROR_FILE, errno, NULL, "%s: cannot be created: %s", path, strerror(errno));
    }
    written = fwrite(header, 1, header_nbytes, file) == header_nbytes &&
              (nbytes == 0 || fwrite(data, 1, (size_t)nbytes, file) == nbytes);
    reason = errno;
    if (fclose(file) != 0) {
        written = false;
        reason = errno;
    }
    if (!written) {
        remove(path);
        rkrt_fail(error, RKRT_ERROR_FILE, reason, NULL, "%s: cannot be written: %s", path, strerror(reason));
        return rkrt_hint(error, "is the disk full?");
    }
    return 0;
}

int rkrt_npy_write(const char *path, int type, uint32_t n_dims, const uint32_t *dims, const void *data, uint64_t nbytes,
                   rkrt_error *error)
{
    char header[512], temporary[PATH_MAX];
    const char *descr = rkrt_type_descr(type);
    uint64_t expected = nbytes;
    uint32_t raw_dim;
    size_t header_nbytes;

    if (n_dims > RKRT_NPY_MAX_DIMS ||
        (descr && (!rkrt_count_elements(n_dims, dims, &expected) ||
                   !rkrt_multiply(expected, rkrt_type_size(type), &expected))) ||
        expected != nbytes || nbytes > UINT32_MAX) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s: %llu bytes do not fill a %s tensor of that shape", path,
                         (unsigned long long)nbytes, rkrt_type_name(type));
    }
    if (!descr) {
        raw_dim = (uint32_t)nbytes;
        descr = "|u1";
        n_dims = 1;
        dims = &raw_dim;
    }
    if (snprintf(temporary, sizeof temporary, "%s.part", path) >= (int)sizeof temporary) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%.80s...: the path is too long", path);
    }
    header_nbytes = make_header(header, sizeof header, descr, n_dims, dims);
    if (write_file(temporary, header, header_nbytes, data, nbytes, error) != 0) {
        return -1;
    }
    if (rename(temporary, path) != 0) {
        int reason = errno;
        remove(temporary);
        return rkrt_fail(error, RKRT_ERROR_FILE, reason, NULL, "%s: cannot be created: %s", path, strerror(reason));
    }
    return 0;
}

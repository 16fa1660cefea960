/* .npy files: a writer of version 1.0 and a strict reader of headers (plain little-endian numbers, no objects). */
#ifndef RKPARITY_RUNTIME_NPY_H
#define RKPARITY_RUNTIME_NPY_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/error.h"

#define RKRT_NPY_MAX_DIMS 16

typedef struct rkrt_npy {
    char descr[16];                   /* NumPy's dtype text, such as "<f4" */
    int type;                         /* the rkabi_type it is, -1 when librknnrt has none (float64) */
    bool fortran_order;
    uint32_t n_dims;
    uint64_t dims[RKRT_NPY_MAX_DIMS];
    uint64_t data_offset;             /* where the values begin in the file */
    uint64_t nbytes;                  /* of the values */
    uint64_t file_nbytes;             /* of the whole file */
} rkrt_npy;

/*
 * Reads the header of `path` and checks it against the file's size. 0; -1 with kind FILE (cannot be read) or DATA (no npy,
 * objects, truncated, bytes left over). A 1-D shape written `(20)` is accepted: the mini runtime writes it (evidence mrt232_d1).
 */
int rkrt_npy_read_header(const char *path, rkrt_npy *npy, rkrt_error *error);

/* Reads exactly `nbytes` bytes at `offset` of `path` into `into`. 0; -1 with kind FILE or DATA (file shorter). */
int rkrt_file_read(const char *path, uint64_t offset, uint64_t nbytes, void *into, rkrt_error *error);

/*
 * Writes `nbytes` bytes as an npy of `type` and shape, C order, under a temporary name that is renamed when complete. Types
 * NumPy lacks (INT4, BFLOAT16) are written as a 1-D |u1 array of the raw bytes. 0; -1 with kind FILE, or USAGE when the shape
 * does not need exactly `nbytes`.
 */
int rkrt_npy_write(const char *path, int type, uint32_t n_dims, const uint32_t *dims, const void *data, uint64_t nbytes,
                   rkrt_error *error);

#endif

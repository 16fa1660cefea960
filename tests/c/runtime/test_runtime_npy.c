/* The npy reader on a valid header with every byte changed to every value: read or refused, never outside its buffer. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kernels/check.h"
#include "runtime/npy.h"
#include "runtime/tensor.h"

static void write_file(const char *path, const unsigned char *bytes, size_t nbytes)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    CHECK(fwrite(bytes, 1, nbytes, file) == nbytes);
    fclose(file);
}

int main(void)
{
    static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    static const unsigned char values[] = {0, 1, '\'', '(', ')', ',', '9', '{', '}', 0x7f, 0xff};
    char path[] = "/tmp/rkparity-npy-XXXXXX";
    unsigned char file[10 + sizeof text - 1 + 24] = "\x93NUMPY\x01";
    uint32_t dims[2] = {2, 3};
    rkrt_error error;
    rkrt_npy npy;
    int handle = mkstemp(path);

    CHECK(handle >= 0);
    close(handle);
    file[8] = sizeof text - 1;
    memcpy(file + 10, text, sizeof text - 1);
    write_file(path, file, sizeof file);
    CHECK(rkrt_npy_read_header(path, &npy, &error) == 0);
    CHECK(npy.n_dims == 2 && npy.dims[1] == 3 && npy.nbytes == 24 && npy.type == RKABI_TYPE_FLOAT32);
    for (size_t at = 0; at < 10 + sizeof text - 1; at++) {
        unsigned char kept = file[at];
        for (size_t v = 0; v < sizeof values; v++) {
            file[at] = values[v];
            write_file(path, file, sizeof file);
            if (rkrt_npy_read_header(path, &npy, &error) == 0) {
                CHECK(npy.data_offset + npy.nbytes == sizeof file);
            }
        }
        file[at] = kept;
    }
    for (size_t length = 0; length < sizeof file; length++) {
        write_file(path, file, length);
        CHECK(rkrt_npy_read_header(path, &npy, &error) == -1);
    }
    CHECK(rkrt_npy_write(path, RKABI_TYPE_FLOAT32, 2, dims, file, 24, &error) == 0);
    CHECK(rkrt_npy_read_header(path, &npy, &error) == 0 && npy.data_offset == 128);
    CHECK(rkrt_npy_write(path, RKABI_TYPE_FLOAT32, 2, dims, file, 23, &error) == -1);
    CHECK(rkrt_type_from_descr("") == -1 && rkrt_type_from_descr("<f8") == -1 && rkrt_type_from_descr("|u1") == RKABI_TYPE_UINT8);
    unlink(path);
    return 0;
}

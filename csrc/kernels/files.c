#include "kernels/files.h"

#include <errno.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

/* Reads exactly `nbytes`; 0, errno, or -1 when the file ends before. */
static int32_t read_fully(const struct rkp_file *file, char *to, size_t nbytes)
{
    size_t done = 0;
    while (done < nbytes) {
        const ssize_t got = pread(file->fd, to + done, nbytes - done, (off_t)(file->offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            return -1;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* Bytes of a piece of `count` elements of one file, so that the next one's begins aligned. */
static size_t room(const struct rkp_file *file, size_t count)
{
    const size_t nbytes = count * rkp_dtype_nbytes(file->source.dtype);
    return (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static char *place(const struct rkp_file *files, uint32_t number, size_t count, char *buffer)
{
    for (uint32_t i = 0; i < number; i++) {
        buffer += room(&files[i], count);
    }
    return buffer;
}

static int read_piece(struct rkp_file *files, uint32_t n_files, size_t count, size_t piece, char *buffer)
{
    for (uint32_t i = 0; i < n_files; i++) {
        const size_t nbytes = count * rkp_dtype_nbytes(files[i].source.dtype);
        files[i].error = read_fully(&files[i], place(files, i, piece, buffer), nbytes);
        if (files[i].error) {
            return RKP_FILE_FAILED;
        }
        files[i].offset += nbytes;
    }
    return RKP_FILES_SCORED;
}

int rkp_score_files(struct rkp_file *files, uint32_t n_files, const struct rkp_link *links, uint32_t n_links, uint64_t n,
                    void *buffer, size_t buffer_nbytes)
{
    size_t block_nbytes = 0;
    for (uint32_t i = 0; i < n_files; i++) {
        if (rkp_dtype_nbytes(files[i].source.dtype) == 0) {
            return RKP_TYPE_UNKNOWN;
        }
        block_nbytes += room(&files[i], RKP_BLOCK);
        files[i].error = 0;
    }
    if (block_nbytes > buffer_nbytes) {
        return RKP_BUFFER_SMALL;
    }
    /* Whole blocks: sums do not depend on where a piece ends. */
    const size_t piece = n_files > 0 ? buffer_nbytes / block_nbytes * RKP_BLOCK : 0;
    for (uint64_t start = 0; start < n && n_files > 0; start += piece) {
        const size_t count = n - start < piece ? (size_t)(n - start) : piece;
        const int result = read_piece(files, n_files, count, piece, buffer);
        if (result) {
            return result;
        }
        for (uint32_t k = 0; k < n_links; k++) {
            const uint32_t test = links[k].test, reference = links[k].reference;
            if (rkp_pair_update(links[k].pair, place(files, test, piece, buffer), &files[test].source,
                                place(files, reference, piece, buffer), &files[reference].source, count)) {
                return RKP_TYPE_UNKNOWN;
            }
        }
    }
    return RKP_FILES_SCORED;
}

/* Scores of pairs among open files, read a piece at a time into memory that is used again.
 *
 * Files are read, not mapped: a mapped file that another program cuts off kills the process. */
#ifndef RKPARITY_KERNELS_FILES_H
#define RKPARITY_KERNELS_FILES_H

#include "kernels/pair.h"

/* `offset` is where the next value is, in bytes; it need not be a multiple of the type's size. */
struct rkp_file {
    int32_t fd;
    int32_t error; /* after RKP_FILE_FAILED: errno, or -1 when the file ended early; 0 for files that did not fail */
    uint64_t offset;
    struct rkp_source source;
};

/* One pair of files, by position, and where its scores go. */
struct rkp_link {
    struct rkp_pair *pair;
    uint32_t test;
    uint32_t reference;
};

enum rkp_files_result { RKP_FILES_SCORED = 0, RKP_TYPE_UNKNOWN = -1, RKP_FILE_FAILED = -2, RKP_BUFFER_SMALL = -3 };

/* Adds the next `n` elements of every file, of native byte order, to every link's pair. Each file is read once. `buffer` is
 * aligned for every type and holds at least RKP_BLOCK elements of each file. */
int rkp_score_files(struct rkp_file *files, uint32_t n_files, const struct rkp_link *links, uint32_t n_links, uint64_t n,
                    void *buffer, size_t buffer_nbytes);

#endif

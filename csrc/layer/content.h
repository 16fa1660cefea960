/* What a buffer holds: hash, statistics, and on request a copy as .npy. */
#ifndef RKPARITY_LAYER_CONTENT_H
#define RKPARITY_LAYER_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "layer/stats.h"
#include "layer/text.h"

enum { RKL_TYPE_UNKNOWN = -1, RKL_NAME_SIZE = 96 };

struct rkl_content {
    bool taken; /* false: hashing is off, or the call gave nothing to look at */
    bool full;  /* with statistics */
    uint64_t size;
    uint64_t read;
    const char *unread;
    uint64_t hash;
    int64_t type;
    struct rkl_stats values;
    struct rkl_stats bytes;
    uint32_t words;
    uint32_t float_like;
    char file[RKL_NAME_SIZE]; /* the kept copy's name, empty if none */
};

/*
 * Looks at `size` declared bytes at `buffer`, as far as they are readable. `keep`: the name of the copy to be written
 * into the trace folder, or NULL.
 */
void rkl_content_take(struct rkl_content *content, const void *buffer, uint64_t size, int64_t type, bool full, const char *keep);
void rkl_put_content(struct rkl_text *text, const char *key, const struct rkl_content *content);

#endif

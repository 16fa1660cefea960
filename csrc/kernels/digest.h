/* What one tensor file holds: a hash of its bytes and statistics of its values, both fed with chunks of any size. */
#ifndef RKPARITY_KERNELS_DIGEST_H
#define RKPARITY_KERNELS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/convert.h"
#include "kernels/pair.h"

/* XXH64, written from its public specification (xxHash fast digest algorithm, format version 0.1.1). */
struct rkp_xxh64 {
    uint64_t seed;
    uint64_t nbytes;
    uint64_t lanes[4];
    uint8_t pending[32];
};

void rkp_xxh64_init(struct rkp_xxh64 *hash, uint64_t seed);
void rkp_xxh64_update(struct rkp_xxh64 *hash, const void *data, size_t nbytes);
uint64_t rkp_xxh64_value(const struct rkp_xxh64 *hash);

/* Sums and range are over the finite values; `side` counts the others. */
struct rkp_tensor {
    uint64_t n;
    struct rkp_sum sum;
    struct rkp_sum square;
    struct rkp_side side;
};

void rkp_tensor_init(struct rkp_tensor *tensor);

/* Adds the next `n` elements, aligned for their type. Returns 0, or -1 for a type that is not known. */
int rkp_tensor_update(struct rkp_tensor *tensor, const void *data, const struct rkp_source *source, size_t n);

#endif

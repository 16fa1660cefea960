/* Statistics of a buffer's values, fed with aligned chunks of at most RKL_CHUNK bytes. */
#ifndef RKPARITY_LAYER_STATS_H
#define RKPARITY_LAYER_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { RKL_CHUNK = 65536, RKL_FLOAT_LIKE_WORDS = 4096 };

/* Range and sum are over the finite values; minimum > maximum when there is none. */
struct rkl_stats {
    uint64_t n;
    uint64_t zeros;
    uint64_t nan;
    uint64_t inf;
    double minimum;
    double maximum;
    double sum;
};

void rkl_stats_init(struct rkl_stats *stats);
void rkl_stats_bytes(struct rkl_stats *stats, const uint8_t *data, size_t n);
/* `type` is a number of the API with whole bytes; a rest that is no whole element is left out. */
void rkl_stats_values(struct rkl_stats *stats, int64_t type, const void *data, size_t nbytes);
/* How many of `n` 32-bit words are 0 or floats with a magnitude in [2^-24, 2^24). */
uint32_t rkl_count_float_like(const void *data, size_t n);

#endif

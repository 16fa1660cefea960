/* Inside of the statistics: what a run of values adds, written plainly and again for each vector unit. */
#ifndef RKPARITY_LAYER_STATS_LANES_H
#define RKPARITY_LAYER_STATS_LANES_H

#include <stddef.h>
#include <stdint.h>

/* A run is at most RKL_RUN values and a multiple of RKL_RUN_STEP; integers come in runs of any number but 0. */
enum { RKL_RUN = 1024, RKL_RUN_STEP = 32 };

/* Range, sum and zeros of bytes, each XORed with `flip` first; zeros are those before. */
struct rkl_byte_range {
    uint8_t low;
    uint8_t high;
    uint64_t zeros;
    uint64_t sum;
};

struct rkl_float_range {
    float low;
    float high;
    uint64_t zeros;
    double sum;
};

/* `low` and `high` are the 16 bits as they are ordered: of negative values the magnitude is turned over. */
struct rkl_half_range {
    int16_t low;
    int16_t high;
    uint64_t zeros;
    double sum;
};

struct rkl_int_range {
    int64_t low;
    int64_t high;
    uint64_t zeros;
    double sum;
};

/* `floats`, `halves` (binary16) and `bfloats` return 0, and have done nothing, when a value is not finite. NULL: all is left to the plain way. */
struct rkl_stats_lanes {
    const char *name;
    void (*bytes)(struct rkl_byte_range *range, const uint8_t *data, size_t n, uint8_t flip);
    int (*floats)(struct rkl_float_range *range, const float *data, size_t n);
    int (*halves)(struct rkl_half_range *range, const uint16_t *data, size_t n);
    int (*bfloats)(struct rkl_half_range *range, const uint16_t *data, size_t n);
    void (*int16)(struct rkl_int_range *range, const int16_t *data, size_t n);
    void (*uint16)(struct rkl_int_range *range, const uint16_t *data, size_t n);
    void (*int32)(struct rkl_int_range *range, const int32_t *data, size_t n);
    void (*uint32)(struct rkl_int_range *range, const uint32_t *data, size_t n);
    void (*int64)(struct rkl_int_range *range, const int64_t *data, size_t n);
};

#if defined(__x86_64__)
extern const struct rkl_stats_lanes rkl_stats_sse2;
extern const struct rkl_stats_lanes rkl_stats_avx2;
#elif defined(__aarch64__)
extern const struct rkl_stats_lanes rkl_stats_neon;
#endif

/* The ways this machine has by number, the best first, the plain one last; NULL for a number beyond. */
const struct rkl_stats_lanes *rkl_stats_way(size_t number);

struct rkl_stats;
void rkl_stats_add(struct rkl_stats *stats, const struct rkl_stats_lanes *way, int64_t type, const void *data, size_t nbytes);

#endif

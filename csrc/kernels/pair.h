/* All scores of a pair of tensors in one pass: an accumulator that is fed with chunks of any size.
 *
 * `test` is the run under judgement, `reference` what it is judged by. Accuracy: products and differences are taken and
 * summed in float64; a block of RKP_BLOCK elements is summed in plain partial sums, blocks are added with Neumaier's
 * compensation. A sum of squares is therefore right to about RKP_BLOCK * 2^-53 (2e-13) relative, whatever n is and
 * however the tensor is cut into chunks.
 *
 * A pair of elements counts towards the sums only when both are finite. |test - reference| for maximum, tolerance, LSB
 * and ulp is evaluated in float32 for a pair of tensors that float32 holds (in float64 where float32 overflows),
 * otherwise in float64. */
#ifndef RKPARITY_KERNELS_PAIR_H
#define RKPARITY_KERNELS_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/convert.h"

enum { RKP_BLOCK = 2048 };

enum rkp_implementation {
    RKP_BEST = 0,
    RKP_REFERENCE = 1,
    RKP_SSE2 = 2,
    RKP_AVX2 = 3,
    RKP_AVX512 = 4,
    RKP_NEON = 5
};

struct rkp_pair_options {
    double atol;
    double rtol;
    double lsb;                  /* size of one step of the grid; 0: no LSB statistics */
    double ulp_limit;            /* count errors over this many float16 ulps of the reference */
    double saturation_low;       /* count values <= this ... */
    double saturation_high;      /* ... and >= this */
    int32_t with_ulp;
    int32_t with_saturation;
    int32_t implementation;      /* enum rkp_implementation; the reference stands in for one this machine lacks */
};

struct rkp_sum {
    double sum;
    double correction;
};

/* One side by itself: minimum, maximum, zeros and saturation over its finite values. */
struct rkp_side {
    uint64_t nan;
    uint64_t positive_inf;
    uint64_t negative_inf;
    uint64_t zeros;
    uint64_t saturated_low;
    uint64_t saturated_high;
    double minimum;
    double maximum;
};

struct rkp_pair {
    struct rkp_pair_options options;
    uint64_t n;
    uint64_t n_finite;            /* pairs with both sides finite */
    uint64_t equal;               /* equal values, equal infinities, NaN on both sides */
    uint64_t nonfinite_mismatch;  /* pairs not both finite and not equal in the sense above */
    uint64_t over_tolerance;      /* |error| > atol + rtol * |reference|, nonfinite_mismatch included */
    uint64_t over_lsb[3];         /* errors of more than 0.5, 1.5, 2.5 LSB */
    uint64_t over_ulp;
    uint64_t max_abs_index;       /* the first element with the largest error; UINT64_MAX if n_finite is 0 */
    double max_abs_error;
    double max_ulp;
    struct rkp_sum dot;
    struct rkp_sum test_square;
    struct rkp_sum reference_square;
    struct rkp_sum error_square;
    struct rkp_sum error;
    struct rkp_side test;
    struct rkp_side reference;
};

void rkp_pair_init(struct rkp_pair *pair, const struct rkp_pair_options *options);

/* Adds the next `n` elements of both sides, aligned for their types. Returns 0, or -1 for a type that is not known. */
int rkp_pair_update(struct rkp_pair *pair, const void *test, const struct rkp_source *test_source,
                    const void *reference, const struct rkp_source *reference_source, size_t n);

/* Adds the elements that `next` saw, as if they had followed those of `pair`. */
void rkp_pair_merge(struct rkp_pair *pair, const struct rkp_pair *next);

double rkp_sum_value(const struct rkp_sum *sum);

/* What RKP_BEST means on this machine. */
int32_t rkp_best_implementation(void);

#endif

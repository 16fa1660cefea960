#include "kernels/pair.h"

#include <math.h>

#include "kernels/pair_blocks.h"

void rkp_sum_add(struct rkp_sum *sum, double value)
{
    const double total = sum->sum + value;
    if (fabs(sum->sum) >= fabs(value)) {
        sum->correction += (sum->sum - total) + value;
    } else {
        sum->correction += (value - total) + sum->sum;
    }
    sum->sum = total;
}

double rkp_sum_value(const struct rkp_sum *sum)
{
    /* Once a float64 sum has overflowed its correction is inf - inf. */
    return isfinite(sum->sum) ? sum->sum + sum->correction : sum->sum;
}

static void init_side(struct rkp_side *side)
{
    *side = (struct rkp_side){.minimum = INFINITY, .maximum = -INFINITY};
}

void rkp_pair_init(struct rkp_pair *pair, const struct rkp_pair_options *options)
{
    *pair = (struct rkp_pair){.options = *options, .max_abs_index = UINT64_MAX};
    init_side(&pair->test);
    init_side(&pair->reference);
}

int32_t rkp_best_implementation(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
        return RKP_AVX512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return RKP_AVX2;
    }
    return RKP_SSE2;
#elif defined(__aarch64__)
    return RKP_NEON;
#else
    return RKP_REFERENCE;
#endif
}

static rkp_pair_block_float32 *choose(int32_t wanted)
{
    const int32_t best = rkp_best_implementation();
    switch (wanted == RKP_BEST ? best : wanted) {
#if defined(__x86_64__)
    case RKP_SSE2:
        return rkp_pair_block_float32_sse2;
    case RKP_AVX2:
        return best >= RKP_AVX2 ? rkp_pair_block_float32_avx2 : rkp_pair_block_float32_reference;
    case RKP_AVX512:
        return best >= RKP_AVX512 ? rkp_pair_block_float32_avx512 : rkp_pair_block_float32_reference;
#elif defined(__aarch64__)
    case RKP_NEON:
        return rkp_pair_block_float32_neon;
#endif
    default:
        return rkp_pair_block_float32_reference;
    }
}

static void update_float32(struct rkp_pair *pair, const float *test, const float *reference, size_t n,
                           rkp_pair_block_float32 *block)
{
    for (size_t start = 0; start < n; start += RKP_BLOCK) {
        block(pair, test + start, reference + start, n - start < RKP_BLOCK ? n - start : RKP_BLOCK);
    }
}

static int update_narrow(struct rkp_pair *pair, const void *test, const struct rkp_source *test_source,
                         const void *reference, const struct rkp_source *reference_source, size_t n)
{
    rkp_pair_block_float32 *const block = choose(pair->options.implementation);
    const int test_direct = test_source->dtype == RKP_FLOAT32;
    const int reference_direct = reference_source->dtype == RKP_FLOAT32;
    if (test_direct && reference_direct) {
        update_float32(pair, test, reference, n, block);
        return 0;
    }
    const size_t test_nbytes = rkp_dtype_nbytes(test_source->dtype);
    const size_t reference_nbytes = rkp_dtype_nbytes(reference_source->dtype);
    float test_block[RKP_BLOCK];
    float reference_block[RKP_BLOCK];
    for (size_t start = 0; start < n; start += RKP_BLOCK) {
        const size_t count = n - start < RKP_BLOCK ? n - start : RKP_BLOCK;
        const void *const a = (const char *)test + start * test_nbytes;
        const void *const b = (const char *)reference + start * reference_nbytes;
        if ((!test_direct && rkp_convert_float32(test_block, a, count, test_source))
            || (!reference_direct && rkp_convert_float32(reference_block, b, count, reference_source))) {
            return -1;
        }
        update_float32(pair, test_direct ? a : test_block, reference_direct ? b : reference_block, count, block);
    }
    return 0;
}

static int update_wide(struct rkp_pair *pair, const void *test, const struct rkp_source *test_source,
                       const void *reference, const struct rkp_source *reference_source, size_t n)
{
    const size_t test_nbytes = rkp_dtype_nbytes(test_source->dtype);
    const size_t reference_nbytes = rkp_dtype_nbytes(reference_source->dtype);
    double test_block[RKP_BLOCK];
    double reference_block[RKP_BLOCK];
    for (size_t start = 0; start < n; start += RKP_BLOCK) {
        const size_t count = n - start < RKP_BLOCK ? n - start : RKP_BLOCK;
        if (rkp_convert_float64(test_block, (const char *)test + start * test_nbytes, count, test_source)
            || rkp_convert_float64(reference_block, (const char *)reference + start * reference_nbytes, count,
                                   reference_source)) {
            return -1;
        }
        rkp_pair_block_float64_reference(pair, test_block, reference_block, count);
    }
    return 0;
}

int rkp_pair_update(struct rkp_pair *pair, const void *test, const struct rkp_source *test_source,
                    const void *reference, const struct rkp_source *reference_source, size_t n)
{
    if (rkp_dtype_nbytes(test_source->dtype) == 0 || rkp_dtype_nbytes(reference_source->dtype) == 0) {
        return -1;
    }
    if (rkp_source_fits_float32(test_source) && rkp_source_fits_float32(reference_source)) {
        return update_narrow(pair, test, test_source, reference, reference_source, n);
    }
    return update_wide(pair, test, test_source, reference, reference_source, n);
}

static void merge_sum(struct rkp_sum *sum, const struct rkp_sum *next)
{
    rkp_sum_add(sum, next->sum);
    sum->correction += next->correction;
}

static void merge_side(struct rkp_side *side, const struct rkp_side *next)
{
    side->nan += next->nan;
    side->positive_inf += next->positive_inf;
    side->negative_inf += next->negative_inf;
    side->zeros += next->zeros;
    side->saturated_low += next->saturated_low;
    side->saturated_high += next->saturated_high;
    side->minimum = fmin(side->minimum, next->minimum);
    side->maximum = fmax(side->maximum, next->maximum);
}

void rkp_pair_merge(struct rkp_pair *pair, const struct rkp_pair *next)
{
    if (next->max_abs_index != UINT64_MAX
        && (pair->max_abs_index == UINT64_MAX || next->max_abs_error > pair->max_abs_error)) {
        pair->max_abs_error = next->max_abs_error;
        pair->max_abs_index = pair->n + next->max_abs_index;
    }
    pair->n += next->n;
    pair->n_finite += next->n_finite;
    pair->equal += next->equal;
    pair->nonfinite_mismatch += next->nonfinite_mismatch;
    pair->over_tolerance += next->over_tolerance;
    for (size_t i = 0; i < sizeof pair->over_lsb / sizeof *pair->over_lsb; i++) {
        pair->over_lsb[i] += next->over_lsb[i];
    }
    pair->over_ulp += next->over_ulp;
    pair->max_ulp = fmax(pair->max_ulp, next->max_ulp);
    merge_sum(&pair->dot, &next->dot);
    merge_sum(&pair->test_square, &next->test_square);
    merge_sum(&pair->reference_square, &next->reference_square);
    merge_sum(&pair->error_square, &next->error_square);
    merge_sum(&pair->error, &next->error);
    merge_side(&pair->test, &next->test);
    merge_side(&pair->reference, &next->reference);
}

/* Compiled with -mavx2 -mfma; called only where the processor has both. */
#include <float.h>
#include <math.h>
#include <immintrin.h>

#include "kernels/pair_blocks.h"

#define WIDTH 8
#define BLOCK_FUNCTION rkp_pair_block_float32_avx2

typedef __m256 vf;
typedef __m256d vd;
typedef __m256i vc;

static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vf vf_set(float x) { return _mm256_set1_ps(x); }
static inline vf vf_sub(vf x, vf y) { return _mm256_sub_ps(x, y); }
static inline vf vf_add(vf x, vf y) { return _mm256_add_ps(x, y); }
static inline vf vf_mul(vf x, vf y) { return _mm256_mul_ps(x, y); }
static inline vf vf_abs(vf x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
static inline vf vf_min(vf x, vf y) { return _mm256_min_ps(x, y); }
static inline vf vf_max(vf x, vf y) { return _mm256_max_ps(x, y); }

static inline vf vf_larger(vf x, vf y)
{
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y)));
}

static inline float vf_lowest(vf x)
{
    __m128 half = _mm_min_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_min_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_min_ss(half, _mm_shuffle_ps(half, half, 1)));
}

static inline float vf_highest(vf x)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}

static inline vf vf_exponent(vf x)
{
    return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7f800000)));
}

static inline vf vf_ulps(vf x, vf y)
{
    const __m256i inverse = _mm256_sub_epi32(_mm256_set1_epi32((int)(264u << 23)), _mm256_castps_si256(y));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(inverse));
}

static inline vd vd_widen(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static inline vd vd_zero(void) { return _mm256_setzero_pd(); }
static inline vd vd_sub(vd x, vd y) { return _mm256_sub_pd(x, y); }
static inline vd vd_add(vd x, vd y) { return _mm256_add_pd(x, y); }
static inline vd vd_fma(vd x, vd y, vd z) { return _mm256_fmadd_pd(x, y, z); }

static inline double vd_total(vd x)
{
    const __m128d half = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
}

static inline vc vc_zero(void) { return _mm256_setzero_si256(); }

static inline vc vc_null(vc c, vf x)
{
    return _mm256_sub_epi32(c, _mm256_cmpeq_epi32(_mm256_castps_si256(x), vc_zero()));
}

static inline vc vc_greater(vc c, vf x, vf y)
{
    return _mm256_sub_epi32(c, _mm256_cmpgt_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y)));
}

static inline vc vc_at_most(vc c, vf x, vf y)
{
    return _mm256_sub_epi32(c, _mm256_castps_si256(_mm256_cmp_ps(x, y, _CMP_LE_OQ)));
}

static inline uint32_t vc_total(vc c)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(half);
}

#include "kernels/pair_vector.inc"

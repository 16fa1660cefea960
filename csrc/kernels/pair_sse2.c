/* Baseline x86-64. */
#include <float.h>
#include <math.h>
#include <emmintrin.h>

#include "kernels/pair_blocks.h"

#define WIDTH 4
#define BLOCK_FUNCTION rkp_pair_block_float32_sse2

typedef __m128 vf;
typedef __m128d vd;
typedef __m128i vc;

static inline vf vf_load(const float *p) { return _mm_loadu_ps(p); }
static inline vf vf_set(float x) { return _mm_set1_ps(x); }
static inline vf vf_sub(vf x, vf y) { return _mm_sub_ps(x, y); }
static inline vf vf_add(vf x, vf y) { return _mm_add_ps(x, y); }
static inline vf vf_mul(vf x, vf y) { return _mm_mul_ps(x, y); }
static inline vf vf_abs(vf x) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), x); }
static inline vf vf_min(vf x, vf y) { return _mm_min_ps(x, y); }
static inline vf vf_max(vf x, vf y) { return _mm_max_ps(x, y); }
static inline vf vf_larger(vf x, vf y) { return _mm_max_ps(x, y); }

static inline float vf_lowest(vf x)
{
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_shuffle_ps(x, x, 1)));
}

static inline float vf_highest(vf x)
{
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

static inline vf vf_exponent(vf x)
{
    return _mm_and_ps(x, _mm_castsi128_ps(_mm_set1_epi32(0x7f800000)));
}

static inline vf vf_ulps(vf x, vf y)
{
    const __m128i inverse = _mm_sub_epi32(_mm_set1_epi32((int)(264u << 23)), _mm_castps_si128(y));
    return _mm_mul_ps(x, _mm_castsi128_ps(inverse));
}

static inline vd vd_widen(const float *p)
{
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline vd vd_zero(void) { return _mm_setzero_pd(); }
static inline vd vd_sub(vd x, vd y) { return _mm_sub_pd(x, y); }
static inline vd vd_add(vd x, vd y) { return _mm_add_pd(x, y); }
static inline vd vd_fma(vd x, vd y, vd z) { return _mm_add_pd(_mm_mul_pd(x, y), z); }
static inline double vd_total(vd x) { return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x))); }

static inline vc vc_zero(void) { return _mm_setzero_si128(); }
static inline vc vc_null(vc c, vf x) { return _mm_sub_epi32(c, _mm_cmpeq_epi32(_mm_castps_si128(x), vc_zero())); }
static inline vc vc_at_most(vc c, vf x, vf y) { return _mm_sub_epi32(c, _mm_castps_si128(_mm_cmple_ps(x, y))); }

static inline vc vc_greater(vc c, vf x, vf y)
{
    return _mm_sub_epi32(c, _mm_cmpgt_epi32(_mm_castps_si128(x), _mm_castps_si128(y)));
}

static inline uint32_t vc_total(vc c)
{
    c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0x4e));
    c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(c);
}

#include "kernels/pair_vector.inc"

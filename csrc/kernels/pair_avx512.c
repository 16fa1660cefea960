/* Compiled with -mavx512f -mavx512dq; called only where the processor has both. */
#include <float.h>
#include <math.h>
#include <immintrin.h>

#include "kernels/pair_blocks.h"

#define WIDTH 16
#define BLOCK_FUNCTION rkp_pair_block_float32_avx512

typedef __m512 vf;
typedef __m512d vd;
typedef __m512i vc;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vf vf_set(float x) { return _mm512_set1_ps(x); }
static inline vf vf_sub(vf x, vf y) { return _mm512_sub_ps(x, y); }
static inline vf vf_add(vf x, vf y) { return _mm512_add_ps(x, y); }
static inline vf vf_mul(vf x, vf y) { return _mm512_mul_ps(x, y); }
static inline vf vf_abs(vf x) { return _mm512_abs_ps(x); }
static inline vf vf_min(vf x, vf y) { return _mm512_min_ps(x, y); }
static inline vf vf_max(vf x, vf y) { return _mm512_max_ps(x, y); }
static inline vf vf_larger(vf x, vf y) { return _mm512_max_ps(x, y); }
static inline float vf_lowest(vf x) { return _mm512_reduce_min_ps(x); }
static inline float vf_highest(vf x) { return _mm512_reduce_max_ps(x); }

static inline vf vf_exponent(vf x)
{
    return _mm512_and_ps(x, _mm512_castsi512_ps(_mm512_set1_epi32(0x7f800000)));
}

static inline vf vf_ulps(vf x, vf y)
{
    const __m512i inverse = _mm512_sub_epi32(_mm512_set1_epi32((int)(264u << 23)), _mm512_castps_si512(y));
    return _mm512_mul_ps(x, _mm512_castsi512_ps(inverse));
}

static inline vd vd_widen(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline vd vd_zero(void) { return _mm512_setzero_pd(); }
static inline vd vd_sub(vd x, vd y) { return _mm512_sub_pd(x, y); }
static inline vd vd_add(vd x, vd y) { return _mm512_add_pd(x, y); }
static inline vd vd_fma(vd x, vd y, vd z) { return _mm512_fmadd_pd(x, y, z); }
static inline double vd_total(vd x) { return _mm512_reduce_add_pd(x); }

static inline vc count(vc c, __mmask16 mask) { return _mm512_mask_add_epi32(c, mask, c, _mm512_set1_epi32(1)); }
static inline vc vc_zero(void) { return _mm512_setzero_si512(); }
static inline vc vc_null(vc c, vf x) { return count(c, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_EQ_OQ)); }
static inline vc vc_greater(vc c, vf x, vf y) { return count(c, _mm512_cmp_ps_mask(x, y, _CMP_GT_OQ)); }
static inline vc vc_at_most(vc c, vf x, vf y) { return count(c, _mm512_cmp_ps_mask(x, y, _CMP_LE_OQ)); }
static inline uint32_t vc_total(vc c) { return (uint32_t)_mm512_reduce_add_epi32(c); }

#include "kernels/pair_vector.inc"

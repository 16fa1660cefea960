#if defined(__x86_64__)
#include <emmintrin.h>
#include <math.h>
#include <string.h>

#include "layer/stats_lanes.h"

#define VECTOR 16
typedef __m128i vi;
typedef __m128 vf;
typedef __m128d vd;
#define vi_load(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define vi_zero() _mm_setzero_si128()
#define vi_set8(x) _mm_set1_epi8((char)(x))
#define vi_set16(x) _mm_set1_epi16(x)
#define vi_set32(x) _mm_set1_epi32(x)
#define vi_and(x, y) _mm_and_si128(x, y)
#define vi_or(x, y) _mm_or_si128(x, y)
#define vi_xor(x, y) _mm_xor_si128(x, y)
#define vi_minu8(x, y) _mm_min_epu8(x, y)
#define vi_maxu8(x, y) _mm_max_epu8(x, y)
#define vi_min16(x, y) _mm_min_epi16(x, y)
#define vi_max16(x, y) _mm_max_epi16(x, y)
#define vi_sign16(x) _mm_srai_epi16(x, 15)
#define vi_above16(x, y) _mm_cmpgt_epi16(x, y)
#define vi_above32(x, y) _mm_cmpgt_epi32(x, y)
#define vi_null8(c, x) _mm_sub_epi8(c, _mm_cmpeq_epi8(x, _mm_setzero_si128()))
#define vi_null16(c, x) _mm_sub_epi16(c, _mm_cmpeq_epi16(x, _mm_setzero_si128()))
#define vi_null32(c, x) _mm_sub_epi32(c, _mm_cmpeq_epi32(x, _mm_setzero_si128()))
#define vi_total8(s, x) _mm_add_epi64(s, _mm_sad_epu8(x, _mm_setzero_si128()))
#define vf_load(p) _mm_loadu_ps(p)
#define vf_set(x) _mm_set1_ps(x)
#define vf_min(x, y) _mm_min_ps(x, y)
#define vf_max(x, y) _mm_max_ps(x, y)
#define vf_bits(x) _mm_castps_si128(x)
#define vd_zero() _mm_setzero_pd()
#define vd_add(x, y) _mm_add_pd(x, y)
#define vd_low(x) _mm_cvtps_pd(x)
#define vd_high(x) _mm_cvtps_pd(_mm_movehl_ps(x, x))
/* `x` holds the 16 bits at the top. The exponent is moved to its place, and its bias made good by a product. */
#define vf_half(x)                                                                                                              \
    _mm_mul_ps(_mm_castsi128_ps(_mm_and_si128(_mm_srai_epi32(x, 3), _mm_set1_epi32((int)0x8fffe000))), _mm_set1_ps(0x1p112f))
#define vf_half_low(x) vf_half(_mm_unpacklo_epi16(_mm_setzero_si128(), x))
#define vf_half_high(x) vf_half(_mm_unpackhi_epi16(_mm_setzero_si128(), x))
#define vf_bfloat_low(x) _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), x))
#define vf_bfloat_high(x) _mm_castsi128_ps(_mm_unpackhi_epi16(_mm_setzero_si128(), x))
#define LANES rkl_stats_sse2
#define LANES_NAME "sse2"
#include "layer/stats_integers.inc"
#include "layer/stats_vector.inc"
#endif

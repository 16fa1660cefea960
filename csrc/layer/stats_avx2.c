#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "layer/stats_lanes.h"

#define VECTOR 32
typedef __m256i vi;
typedef __m256 vf;
typedef __m256d vd;
#define vi_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vi_zero() _mm256_setzero_si256()
#define vi_set8(x) _mm256_set1_epi8((char)(x))
#define vi_set16(x) _mm256_set1_epi16(x)
#define vi_set32(x) _mm256_set1_epi32(x)
#define vi_and(x, y) _mm256_and_si256(x, y)
#define vi_or(x, y) _mm256_or_si256(x, y)
#define vi_xor(x, y) _mm256_xor_si256(x, y)
#define vi_minu8(x, y) _mm256_min_epu8(x, y)
#define vi_maxu8(x, y) _mm256_max_epu8(x, y)
#define vi_min16(x, y) _mm256_min_epi16(x, y)
#define vi_max16(x, y) _mm256_max_epi16(x, y)
#define vi_sign16(x) _mm256_srai_epi16(x, 15)
#define vi_above16(x, y) _mm256_cmpgt_epi16(x, y)
#define vi_above32(x, y) _mm256_cmpgt_epi32(x, y)
#define vi_null8(c, x) _mm256_sub_epi8(c, _mm256_cmpeq_epi8(x, _mm256_setzero_si256()))
#define vi_null16(c, x) _mm256_sub_epi16(c, _mm256_cmpeq_epi16(x, _mm256_setzero_si256()))
#define vi_null32(c, x) _mm256_sub_epi32(c, _mm256_cmpeq_epi32(x, _mm256_setzero_si256()))
#define vi_total8(s, x) _mm256_add_epi64(s, _mm256_sad_epu8(x, _mm256_setzero_si256()))
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_set(x) _mm256_set1_ps(x)
#define vf_min(x, y) _mm256_min_ps(x, y)
#define vf_max(x, y) _mm256_max_ps(x, y)
#define vf_bits(x) _mm256_castps_si256(x)
#define vd_zero() _mm256_setzero_pd()
#define vd_add(x, y) _mm256_add_pd(x, y)
#define vd_low(x) _mm256_cvtps_pd(_mm256_castps256_ps128(x))
#define vd_high(x) _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))
/* F16C, which every processor with AVX2 has; asked for all the same. */
#define vf_half_low(x) _mm256_cvtph_ps(_mm256_castsi256_si128(x))
#define vf_half_high(x) _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))
#define vf_bfloat_low(x) _mm256_castsi256_ps(_mm256_unpacklo_epi16(_mm256_setzero_si256(), x))
#define vf_bfloat_high(x) _mm256_castsi256_ps(_mm256_unpackhi_epi16(_mm256_setzero_si256(), x))
#define LANES rkl_stats_avx2
#define LANES_NAME "avx2"
#include "layer/stats_integers.inc"
#include "layer/stats_vector.inc"
#endif

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "layer/stats_lanes.h"

#define VECTOR 16
typedef uint8x16_t vi;
typedef float32x4_t vf;
typedef float64x2_t vd;
#define u16(x) vreinterpretq_u16_u8(x)
#define u32(x) vreinterpretq_u32_u8(x)
#define s16(x) vreinterpretq_s16_u8(x)
#define s32(x) vreinterpretq_s32_u8(x)
#define vi_load(p) vld1q_u8((const uint8_t *)(p))
#define vi_zero() vdupq_n_u8(0)
#define vi_set8(x) vdupq_n_u8(x)
#define vi_set16(x) vreinterpretq_u8_s16(vdupq_n_s16(x))
#define vi_set32(x) vreinterpretq_u8_s32(vdupq_n_s32(x))
#define vi_and(x, y) vandq_u8(x, y)
#define vi_or(x, y) vorrq_u8(x, y)
#define vi_xor(x, y) veorq_u8(x, y)
#define vi_minu8(x, y) vminq_u8(x, y)
#define vi_maxu8(x, y) vmaxq_u8(x, y)
#define vi_min16(x, y) vreinterpretq_u8_s16(vminq_s16(s16(x), s16(y)))
#define vi_max16(x, y) vreinterpretq_u8_s16(vmaxq_s16(s16(x), s16(y)))
#define vi_sign16(x) vreinterpretq_u8_s16(vshrq_n_s16(s16(x), 15))
#define vi_above16(x, y) vreinterpretq_u8_u16(vcgtq_s16(s16(x), s16(y)))
#define vi_above32(x, y) vreinterpretq_u8_u32(vcgtq_s32(s32(x), s32(y)))
#define vi_null8(c, x) vsubq_u8(c, vceqzq_u8(x))
#define vi_null16(c, x) vreinterpretq_u8_u16(vsubq_u16(u16(c), vceqzq_u16(u16(x))))
#define vi_null32(c, x) vreinterpretq_u8_u32(vsubq_u32(u32(c), vceqzq_u32(u32(x))))
#define vi_total8(s, x) vreinterpretq_u8_u64(vpadalq_u32(vreinterpretq_u64_u8(s), vpaddlq_u16(vpaddlq_u8(x))))
#define vf_load(p) vld1q_f32(p)
#define vf_set(x) vdupq_n_f32(x)
#define vf_min(x, y) vminq_f32(x, y)
#define vf_max(x, y) vmaxq_f32(x, y)
#define vf_bits(x) vreinterpretq_u8_f32(x)
#define vd_zero() vdupq_n_f64(0)
#define vd_add(x, y) vaddq_f64(x, y)
#define vd_low(x) vcvt_f64_f32(vget_low_f32(x))
#define vd_high(x) vcvt_high_f64_f32(x)
/* FCVTL is part of ARMv8.0, unlike arithmetic in binary16. */
#define vf_half_low(x) vcvt_f32_f16(vreinterpret_f16_u8(vget_low_u8(x)))
#define vf_half_high(x) vcvt_high_f32_f16(vreinterpretq_f16_u8(x))
#define vf_bfloat_low(x) vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(u16(x)), 16))
#define vf_bfloat_high(x) vreinterpretq_f32_u32(vshll_high_n_u16(u16(x), 16))
#define LANES rkl_stats_neon
#define LANES_NAME "neon"
#include "layer/stats_integers.inc"
#include "layer/stats_vector.inc"
#endif

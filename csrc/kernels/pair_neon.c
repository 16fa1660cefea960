/* AArch64; 32-bit ARM has no float64 vectors and uses the reference. */
#include <float.h>
#include <math.h>
#include <arm_neon.h>

#include "kernels/pair_blocks.h"

#define WIDTH 4
#define BLOCK_FUNCTION rkp_pair_block_float32_neon

typedef float32x4_t vf;
typedef float64x2_t vd;
typedef uint32x4_t vc;

static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline vf vf_set(float x) { return vdupq_n_f32(x); }
static inline vf vf_sub(vf x, vf y) { return vsubq_f32(x, y); }
static inline vf vf_add(vf x, vf y) { return vaddq_f32(x, y); }
static inline vf vf_mul(vf x, vf y) { return vmulq_f32(x, y); }
static inline vf vf_abs(vf x) { return vabsq_f32(x); }
static inline vf vf_min(vf x, vf y) { return vminq_f32(x, y); }
static inline vf vf_max(vf x, vf y) { return vmaxq_f32(x, y); }
static inline vf vf_larger(vf x, vf y) { return vmaxq_f32(x, y); }
static inline float vf_lowest(vf x) { return vminvq_f32(x); }
static inline float vf_highest(vf x) { return vmaxvq_f32(x); }

static inline vf vf_exponent(vf x)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x7f800000u)));
}

static inline vf vf_ulps(vf x, vf y)
{
    const uint32x4_t inverse = vsubq_u32(vdupq_n_u32(264u << 23), vreinterpretq_u32_f32(y));
    return vmulq_f32(x, vreinterpretq_f32_u32(inverse));
}

static inline vd vd_widen(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static inline vd vd_zero(void) { return vdupq_n_f64(0.0); }
static inline vd vd_sub(vd x, vd y) { return vsubq_f64(x, y); }
static inline vd vd_add(vd x, vd y) { return vaddq_f64(x, y); }
static inline vd vd_fma(vd x, vd y, vd z) { return vfmaq_f64(z, x, y); }
static inline double vd_total(vd x) { return vaddvq_f64(x); }

static inline vc vc_zero(void) { return vdupq_n_u32(0); }
static inline vc vc_null(vc c, vf x) { return vsubq_u32(c, vceqzq_f32(x)); }
static inline vc vc_greater(vc c, vf x, vf y) { return vsubq_u32(c, vcgtq_f32(x, y)); }
static inline vc vc_at_most(vc c, vf x, vf y) { return vsubq_u32(c, vcleq_f32(x, y)); }
static inline uint32_t vc_total(vc c) { return vaddvq_u32(c); }

#include "kernels/pair_vector.inc"

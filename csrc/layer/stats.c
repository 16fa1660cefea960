#include "layer/stats.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "abi/rknn_abi.h"
#include "kernels/convert.h"

enum { BYTES_PER_SUM = 4096, FLOATS_PER_BLOCK = 512 };

void rkl_stats_init(struct rkl_stats *stats)
{
    *stats = (struct rkl_stats){.minimum = INFINITY, .maximum = -INFINITY};
}

static void widen(struct rkl_stats *stats, double low, double high)
{
    stats->minimum = low < stats->minimum ? low : stats->minimum;
    stats->maximum = high > stats->maximum ? high : stats->maximum;
}

/* Range, sum and zeros of bytes, each XORed with `flip` first. */
struct byte_range {
    uint8_t low;
    uint8_t high;
    uint32_t zeros;
    uint64_t sum;
};

static void bytes_plainly(struct byte_range *range, const uint8_t *data, size_t n, uint8_t flip)
{
    for (size_t start = 0; start < n; start += BYTES_PER_SUM) {
        const size_t count = n - start < BYTES_PER_SUM ? n - start : BYTES_PER_SUM;
        const uint8_t *const p = data + start;
        uint32_t sum = 0, zeros = 0;
        for (size_t i = 0; i < count; i++) {
            const uint8_t value = p[i] ^ flip;
            range->low = value < range->low ? value : range->low;
            range->high = value > range->high ? value : range->high;
            sum += value;
            zeros += p[i] == 0;
        }
        range->sum += sum;
        range->zeros += zeros;
    }
}

#if defined(__SSE2__)
/* The same, 16 at a time; `n` is a multiple of 16. */
static void bytes_wide(struct byte_range *range, const uint8_t *data, size_t n, uint8_t flip)
{
    const __m128i none = _mm_setzero_si128(), flips = _mm_set1_epi8((char)flip);
    __m128i low = _mm_set1_epi8((char)0xff), high = none, sum = none, zeros = none;
    uint8_t lows[16], highs[16];
    uint64_t sums[2], counts[2];
    for (size_t i = 0; i < n;) {
        /* One byte counts up to 255. */
        const size_t end = n - i < 255 * 16 ? n : i + 255 * 16;
        __m128i some = none;
        for (; i < end; i += 16) {
            const __m128i raw = _mm_loadu_si128((const __m128i *)(const void *)(data + i));
            const __m128i x = _mm_xor_si128(raw, flips);
            low = _mm_min_epu8(low, x);
            high = _mm_max_epu8(high, x);
            sum = _mm_add_epi64(sum, _mm_sad_epu8(x, none));
            some = _mm_sub_epi8(some, _mm_cmpeq_epi8(raw, none));
        }
        zeros = _mm_add_epi64(zeros, _mm_sad_epu8(some, none));
    }
    _mm_storeu_si128((__m128i *)(void *)lows, low);
    _mm_storeu_si128((__m128i *)(void *)highs, high);
    _mm_storeu_si128((__m128i *)(void *)sums, sum);
    _mm_storeu_si128((__m128i *)(void *)counts, zeros);
    for (int k = 0; k < 16; k++) {
        range->low = lows[k] < range->low ? lows[k] : range->low;
        range->high = highs[k] > range->high ? highs[k] : range->high;
    }
    range->sum += sums[0] + sums[1];
    range->zeros += (uint32_t)(counts[0] + counts[1]);
}
#elif defined(__aarch64__)
static void bytes_wide(struct byte_range *range, const uint8_t *data, size_t n, uint8_t flip)
{
    const uint8x16_t flips = vdupq_n_u8(flip);
    uint8x16_t low = vdupq_n_u8(0xff), high = vdupq_n_u8(0);
    for (size_t i = 0; i < n;) {
        const size_t end = n - i < 255 * 16 ? n : i + 255 * 16;
        uint8x16_t some = vdupq_n_u8(0);
        uint32x4_t sum = vdupq_n_u32(0);
        for (; i < end; i += 16) {
            const uint8x16_t raw = vld1q_u8(data + i);
            const uint8x16_t x = veorq_u8(raw, flips);
            low = vminq_u8(low, x);
            high = vmaxq_u8(high, x);
            sum = vpadalq_u16(sum, vpaddlq_u8(x));
            some = vsubq_u8(some, vceqzq_u8(raw));
        }
        range->sum += vaddlvq_u32(sum);
        range->zeros += vaddlvq_u8(some);
    }
    if (n > 0) {
        const uint8_t lowest = vminvq_u8(low), highest = vmaxvq_u8(high);
        range->low = lowest < range->low ? lowest : range->low;
        range->high = highest > range->high ? highest : range->high;
    }
}
#else
static void bytes_wide(struct byte_range *range, const uint8_t *data, size_t n, uint8_t flip)
{
    bytes_plainly(range, data, n, flip);
}
#endif

/* int8 is uint8 with its sign bit turned over, minus 128. */
static void add_bytes(struct rkl_stats *stats, const uint8_t *data, size_t n, int is_signed)
{
    const uint8_t flip = is_signed ? 0x80 : 0;
    const double offset = is_signed ? -128 : 0;
    struct byte_range range = {.low = 0xff};
    if (n == 0) {
        return;
    }
    bytes_wide(&range, data, n - n % 16, flip);
    bytes_plainly(&range, data + (n - n % 16), n % 16, flip);
    widen(stats, (double)range.low + offset, (double)range.high + offset);
    stats->sum += (double)range.sum + offset * (double)n;
    stats->zeros += range.zeros;
    stats->n += n;
}

#define DEFINE_SMALL(NAME, T)                                                                                                   \
    static void NAME(struct rkl_stats *stats, const T *data, size_t n)                                                          \
    {                                                                                                                           \
        for (size_t start = 0; start < n; start += BYTES_PER_SUM) {                                                             \
            const size_t count = n - start < BYTES_PER_SUM ? n - start : BYTES_PER_SUM;                                         \
            const T *const p = data + start;                                                                                    \
            T low = p[0], high = p[0];                                                                                          \
            int32_t sum = 0, zeros = 0;                                                                                         \
            for (size_t i = 0; i < count; i++) {                                                                                \
                low = p[i] < low ? p[i] : low;                                                                                  \
                high = p[i] > high ? p[i] : high;                                                                               \
                sum += p[i];                                                                                                    \
                zeros += p[i] == 0;                                                                                             \
            }                                                                                                                   \
            widen(stats, (double)low, (double)high);                                                                            \
            stats->sum += sum;                                                                                                  \
            stats->zeros += (uint64_t)zeros;                                                                                    \
        }                                                                                                                       \
        stats->n += n;                                                                                                          \
    }

DEFINE_SMALL(add_int16, int16_t)
DEFINE_SMALL(add_uint16, uint16_t)

#define DEFINE_LARGE(NAME, T)                                                                                                   \
    static void NAME(struct rkl_stats *stats, const T *data, size_t n)                                                          \
    {                                                                                                                           \
        T low = n ? data[0] : 0, high = low;                                                                                    \
        double sum = 0;                                                                                                         \
        for (size_t i = 0; i < n; i++) {                                                                                        \
            low = data[i] < low ? data[i] : low;                                                                                \
            high = data[i] > high ? data[i] : high;                                                                             \
            sum += (double)data[i];                                                                                             \
            stats->zeros += data[i] == 0;                                                                                       \
        }                                                                                                                       \
        if (n > 0) {                                                                                                            \
            widen(stats, (double)low, (double)high);                                                                            \
        }                                                                                                                       \
        stats->sum += sum;                                                                                                      \
        stats->n += n;                                                                                                          \
    }

DEFINE_LARGE(add_int32, int32_t)
DEFINE_LARGE(add_uint32, uint32_t)
DEFINE_LARGE(add_int64, int64_t)

struct float_range {
    float low;
    float high;
    double sum;
    uint64_t zeros;
    uint64_t nan;
    uint64_t special;
};

static void floats_plainly(struct float_range *range, const float *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        bits &= 0x7fffffffu;
        if (bits < 0x7f800000u) {
            range->low = data[i] < range->low ? data[i] : range->low;
            range->high = data[i] > range->high ? data[i] : range->high;
            range->sum += (double)data[i];
            range->zeros += bits == 0;
        } else {
            range->nan += bits > 0x7f800000u;
            range->special++;
        }
    }
}

#if defined(__SSE2__)
/* The same, 4 at a time; false, and nothing done, when a value is not finite. `n` is a multiple of 4. */
static int finite_floats_wide(struct float_range *range, const float *data, size_t n)
{
    const __m128i magnitude = _mm_set1_epi32(0x7fffffff), largest = _mm_set1_epi32(0x7f7fffff), none = _mm_setzero_si128();
    __m128 low = _mm_set1_ps(INFINITY), high = _mm_set1_ps(-INFINITY);
    __m128d sum = _mm_setzero_pd(), sum2 = _mm_setzero_pd();
    __m128i special = none, zeros = none;
    float lows[4], highs[4];
    double sums[2];
    uint32_t counts[4];
    for (size_t i = 0; i < n; i += 4) {
        const __m128 x = _mm_loadu_ps(data + i);
        const __m128i bits = _mm_and_si128(_mm_castps_si128(x), magnitude);
        special = _mm_or_si128(special, _mm_cmpgt_epi32(bits, largest));
        zeros = _mm_sub_epi32(zeros, _mm_cmpeq_epi32(bits, none));
        low = _mm_min_ps(low, x);
        high = _mm_max_ps(high, x);
        sum = _mm_add_pd(sum, _mm_cvtps_pd(x));
        sum2 = _mm_add_pd(sum2, _mm_cvtps_pd(_mm_movehl_ps(x, x)));
    }
    if (_mm_movemask_epi8(special)) {
        return 0;
    }
    _mm_storeu_ps(lows, low);
    _mm_storeu_ps(highs, high);
    _mm_storeu_pd(sums, _mm_add_pd(sum, sum2));
    _mm_storeu_si128((__m128i *)(void *)counts, zeros);
    for (int k = 0; k < 4; k++) {
        range->low = lows[k] < range->low ? lows[k] : range->low;
        range->high = highs[k] > range->high ? highs[k] : range->high;
        range->zeros += counts[k];
    }
    range->sum += sums[0] + sums[1];
    return 1;
}
#elif defined(__aarch64__)
static int finite_floats_wide(struct float_range *range, const float *data, size_t n)
{
    const uint32x4_t magnitude = vdupq_n_u32(0x7fffffffu), largest = vdupq_n_u32(0x7f7fffffu);
    float32x4_t low = vdupq_n_f32(INFINITY), high = vdupq_n_f32(-INFINITY);
    float64x2_t sum = vdupq_n_f64(0), sum2 = vdupq_n_f64(0);
    uint32x4_t special = vdupq_n_u32(0), zeros = vdupq_n_u32(0);
    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t x = vld1q_f32(data + i);
        const uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(x), magnitude);
        special = vorrq_u32(special, vcgtq_u32(bits, largest));
        zeros = vsubq_u32(zeros, vceqzq_u32(bits));
        low = vminq_f32(low, x);
        high = vmaxq_f32(high, x);
        sum = vaddq_f64(sum, vcvt_f64_f32(vget_low_f32(x)));
        sum2 = vaddq_f64(sum2, vcvt_high_f64_f32(x));
    }
    if (vmaxvq_u32(special)) {
        return 0;
    }
    if (n > 0) {
        const float lowest = vminvq_f32(low), highest = vmaxvq_f32(high);
        range->low = lowest < range->low ? lowest : range->low;
        range->high = highest > range->high ? highest : range->high;
        range->zeros += vaddlvq_u32(zeros);
        range->sum += vaddvq_f64(vaddq_f64(sum, sum2));
    }
    return 1;
}
#else
static int finite_floats_wide(struct float_range *range, const float *data, size_t n)
{
    (void)range;
    (void)data;
    (void)n;
    return 0;
}
#endif

static void add_float32(struct rkl_stats *stats, const float *data, size_t n)
{
    struct float_range range = {.low = INFINITY, .high = -INFINITY};
    for (size_t start = 0; start < n; start += FLOATS_PER_BLOCK) {
        const size_t count = n - start < FLOATS_PER_BLOCK ? n - start : FLOATS_PER_BLOCK;
        const size_t wide = count - count % 4;
        if (finite_floats_wide(&range, data + start, wide)) {
            floats_plainly(&range, data + start + wide, count - wide);
        } else {
            floats_plainly(&range, data + start, count);
        }
    }
    widen(stats, (double)range.low, (double)range.high);
    stats->sum += range.sum;
    stats->zeros += range.zeros;
    stats->nan += range.nan;
    stats->inf += range.special - range.nan;
    stats->n += n;
}

enum { HALVES_PER_BLOCK = 1024 };

/* float16 without branches, for values that are finite: the exponent is moved over and its bias made good by a product. */
static int finite_halves(float *to, const uint16_t *from, size_t n)
{
    uint32_t bits[HALVES_PER_BLOCK];
    uint32_t special = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t magnitude = from[i] & 0x7fffu;
        special |= magnitude + 0x400u;
        bits[i] = magnitude << 13 | (uint32_t)(from[i] & 0x8000u) << 16;
    }
    if (special & 0x8000u) {
        return 0;
    }
    memcpy(to, bits, n * sizeof *to);
    for (size_t i = 0; i < n; i++) {
        to[i] *= 0x1p112f;
    }
    return 1;
}

static void add_halves(struct rkl_stats *stats, const uint16_t *data, size_t n, int is_bfloat)
{
    float values[HALVES_PER_BLOCK];
    for (size_t start = 0; start < n; start += HALVES_PER_BLOCK) {
        const size_t count = n - start < HALVES_PER_BLOCK ? n - start : HALVES_PER_BLOCK;
        if (is_bfloat) {
            for (size_t i = 0; i < count; i++) {
                const uint32_t bits = (uint32_t)data[start + i] << 16;
                memcpy(&values[i], &bits, sizeof bits);
            }
        } else if (!finite_halves(values, data + start, count)) {
            rkp_half_to_float(values, data + start, count);
        }
        add_float32(stats, values, count);
    }
}

void rkl_stats_bytes(struct rkl_stats *stats, const uint8_t *data, size_t n)
{
    add_bytes(stats, data, n, 0);
}

void rkl_stats_values(struct rkl_stats *stats, int64_t type, const void *data, size_t nbytes)
{
    switch (type) {
    case RKABI_TYPE_FLOAT32:
        add_float32(stats, data, nbytes / 4);
        break;
    case RKABI_TYPE_FLOAT16:
    case RKABI_TYPE_BFLOAT16:
        add_halves(stats, data, nbytes / 2, type == RKABI_TYPE_BFLOAT16);
        break;
    case RKABI_TYPE_INT8:
        add_bytes(stats, data, nbytes, 1);
        break;
    case RKABI_TYPE_UINT8:
    case RKABI_TYPE_BOOL:
        add_bytes(stats, data, nbytes, 0);
        break;
    case RKABI_TYPE_INT16:
        add_int16(stats, data, nbytes / 2);
        break;
    case RKABI_TYPE_UINT16:
        add_uint16(stats, data, nbytes / 2);
        break;
    case RKABI_TYPE_INT32:
        add_int32(stats, data, nbytes / 4);
        break;
    case RKABI_TYPE_UINT32:
        add_uint32(stats, data, nbytes / 4);
        break;
    case RKABI_TYPE_INT64:
        add_int64(stats, data, nbytes / 8);
        break;
    default:
        break;
    }
}

uint32_t rkl_count_float_like(const void *data, size_t n)
{
    const uint32_t *words = data;
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t magnitude = words[i] & 0x7fffffffu;
        /* Exponents -24 to 23, biased by 127. */
        count += words[i] == 0 || (magnitude >= 103u << 23 && magnitude < 151u << 23);
    }
    return count;
}

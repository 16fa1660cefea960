#include "layer/stats.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "abi/rknn_abi.h"
#include "kernels/convert.h"
#include "layer/stats_lanes.h"

#include "layer/stats_integers.inc"

static void bytes_plainly(struct rkl_byte_range *range, const uint8_t *data, size_t n, uint8_t flip)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t value = data[i] ^ flip;
        range->low = value < range->low ? value : range->low;
        range->high = value > range->high ? value : range->high;
        range->sum += value;
        range->zeros += data[i] == 0;
    }
}

static const struct rkl_stats_lanes plain = {
    "plain", NULL, NULL, NULL, NULL, add_int16, add_uint16, add_int32, add_uint32, add_int64,
};

#if defined(__x86_64__)
/* F16C: CPUID leaf 1, ECX bit 29. */
static int has_avx2_and_f16c(void)
{
    unsigned a, b, c, d;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}
#endif

const struct rkl_stats_lanes *rkl_stats_way(size_t number)
{
    const struct rkl_stats_lanes *ways[3] = {&plain};
    size_t n = 0;
#if defined(__x86_64__)
    if (has_avx2_and_f16c()) {
        ways[n++] = &rkl_stats_avx2;
    }
    ways[n++] = &rkl_stats_sse2;
#elif defined(__aarch64__)
    ways[n++] = &rkl_stats_neon;
#endif
    ways[n] = &plain;
    return number <= n ? ways[number] : NULL;
}

/* Asking the processor is slow on virtual machines. */
static const struct rkl_stats_lanes *best_way(void)
{
    static _Atomic(const struct rkl_stats_lanes *) best;
    const struct rkl_stats_lanes *way = atomic_load_explicit(&best, memory_order_relaxed);
    if (!way) {
        way = rkl_stats_way(0);
        atomic_store_explicit(&best, way, memory_order_relaxed);
    }
    return way;
}

void rkl_stats_init(struct rkl_stats *stats)
{
    *stats = (struct rkl_stats){.minimum = INFINITY, .maximum = -INFINITY};
}

static void widen(struct rkl_stats *stats, double low, double high)
{
    stats->minimum = low < stats->minimum ? low : stats->minimum;
    stats->maximum = high > stats->maximum ? high : stats->maximum;
}

/* int8 is uint8 with its sign bit turned over, minus 128. */
static void add_bytes(struct rkl_stats *stats, const struct rkl_stats_lanes *way, const uint8_t *data, size_t n, int is_signed)
{
    const uint8_t flip = is_signed ? 0x80 : 0;
    const double offset = is_signed ? -128 : 0;
    const size_t whole = way->bytes ? n - n % RKL_RUN_STEP : 0;
    struct rkl_byte_range range = {.low = 0xff};
    if (n == 0) {
        return;
    }
    if (whole > 0) {
        way->bytes(&range, data, whole, flip);
    }
    bytes_plainly(&range, data + whole, n - whole, flip);
    widen(stats, (double)range.low + offset, (double)range.high + offset);
    stats->sum += (double)range.sum + offset * (double)n;
    stats->zeros += range.zeros;
    stats->n += n;
}

static void floats_plainly(struct rkl_stats *stats, const float *data, size_t n)
{
    float low = INFINITY, high = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(data[i])) {
            low = data[i] < low ? data[i] : low;
            high = data[i] > high ? data[i] : high;
            sum += (double)data[i];
            stats->zeros += data[i] == 0;
        } else if (isnan(data[i])) {
            stats->nan++;
        } else {
            stats->inf++;
        }
    }
    widen(stats, (double)low, (double)high);
    stats->sum += sum;
}

static void add_floats(struct rkl_stats *stats, const struct rkl_stats_lanes *way, const float *data, size_t n)
{
    const size_t whole = way->floats ? n - n % RKL_RUN_STEP : 0;
    struct rkl_float_range range = {.low = INFINITY, .high = -INFINITY};
    for (size_t start = 0; start < whole; start += RKL_RUN) {
        const size_t count = whole - start < RKL_RUN ? whole - start : RKL_RUN;
        if (!way->floats(&range, data + start, count)) {
            floats_plainly(stats, data + start, count);
        }
    }
    floats_plainly(stats, data + whole, n - whole);
    widen(stats, (double)range.low, (double)range.high);
    stats->sum += range.sum;
    stats->zeros += range.zeros;
    stats->n += n;
}

static void widen_halves(float *to, const uint16_t *from, size_t n, int is_bfloat)
{
    if (!is_bfloat) {
        rkp_half_to_float(to, from, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

static void halves_plainly(struct rkl_stats *stats, const uint16_t *data, size_t n, int is_bfloat)
{
    float values[RKL_RUN];
    for (size_t start = 0; start < n; start += RKL_RUN) {
        const size_t count = n - start < RKL_RUN ? n - start : RKL_RUN;
        widen_halves(values, data + start, count, is_bfloat);
        floats_plainly(stats, values, count);
    }
}

static void add_halves(struct rkl_stats *stats, const struct rkl_stats_lanes *way, const uint16_t *data, size_t n, int is_bfloat)
{
    int (*const run)(struct rkl_half_range *, const uint16_t *, size_t) = is_bfloat ? way->bfloats : way->halves;
    const size_t whole = run ? n - n % RKL_RUN_STEP : 0;
    struct rkl_half_range range = {.low = INT16_MAX, .high = INT16_MIN};
    for (size_t start = 0; start < whole; start += RKL_RUN) {
        const size_t count = whole - start < RKL_RUN ? whole - start : RKL_RUN;
        if (!run(&range, data + start, count)) {
            halves_plainly(stats, data + start, count, is_bfloat);
        }
    }
    halves_plainly(stats, data + whole, n - whole, is_bfloat);
    if (range.low <= range.high) {
        const int16_t ordered[2] = {range.low, range.high};
        uint16_t ends[2];
        float values[2];
        for (int i = 0; i < 2; i++) {
            ends[i] = (uint16_t)(ordered[i] < 0 ? ordered[i] ^ 0x7fff : ordered[i]);
        }
        widen_halves(values, ends, 2, is_bfloat);
        widen(stats, (double)values[0], (double)values[1]);
    }
    stats->sum += range.sum;
    stats->zeros += range.zeros;
    stats->n += n;
}

#define DEFINE_INTEGER_STATS(T)                                                                                                 \
    static void stats_##T(struct rkl_stats *stats, const struct rkl_stats_lanes *way, const T##_t *data, size_t n)              \
    {                                                                                                                           \
        for (size_t start = 0; start < n; start += RKL_RUN) {                                                                   \
            struct rkl_int_range range = {.low = INT64_MAX, .high = INT64_MIN};                                                 \
            way->T(&range, data + start, n - start < RKL_RUN ? n - start : RKL_RUN);                                            \
            widen(stats, (double)range.low, (double)range.high);                                                                \
            stats->sum += range.sum;                                                                                            \
            stats->zeros += range.zeros;                                                                                        \
        }                                                                                                                       \
        stats->n += n;                                                                                                          \
    }

DEFINE_INTEGER_STATS(int16)
DEFINE_INTEGER_STATS(uint16)
DEFINE_INTEGER_STATS(int32)
DEFINE_INTEGER_STATS(uint32)
DEFINE_INTEGER_STATS(int64)

void rkl_stats_add(struct rkl_stats *stats, const struct rkl_stats_lanes *way, int64_t type, const void *data, size_t nbytes)
{
    switch (type) {
    case RKABI_TYPE_FLOAT32:
        add_floats(stats, way, data, nbytes / 4);
        break;
    case RKABI_TYPE_FLOAT16:
    case RKABI_TYPE_BFLOAT16:
        add_halves(stats, way, data, nbytes / 2, type == RKABI_TYPE_BFLOAT16);
        break;
    case RKABI_TYPE_INT8:
        add_bytes(stats, way, data, nbytes, 1);
        break;
    case RKABI_TYPE_UINT8:
    case RKABI_TYPE_BOOL:
        add_bytes(stats, way, data, nbytes, 0);
        break;
    case RKABI_TYPE_INT16:
        stats_int16(stats, way, data, nbytes / 2);
        break;
    case RKABI_TYPE_UINT16:
        stats_uint16(stats, way, data, nbytes / 2);
        break;
    case RKABI_TYPE_INT32:
        stats_int32(stats, way, data, nbytes / 4);
        break;
    case RKABI_TYPE_UINT32:
        stats_uint32(stats, way, data, nbytes / 4);
        break;
    case RKABI_TYPE_INT64:
        stats_int64(stats, way, data, nbytes / 8);
        break;
    default:
        break;
    }
}

void rkl_stats_bytes(struct rkl_stats *stats, const uint8_t *data, size_t n)
{
    add_bytes(stats, best_way(), data, n, 0);
}

void rkl_stats_values(struct rkl_stats *stats, int64_t type, const void *data, size_t nbytes)
{
    rkl_stats_add(stats, best_way(), type, data, nbytes);
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

#include "layer/stats.h"

#include <math.h>
#include <string.h>

#include "abi/rknn_abi.h"
#include "kernels/convert.h"

enum { LANES = 8, BYTES_PER_SUM = 4096 };

void rkl_stats_init(struct rkl_stats *stats)
{
    *stats = (struct rkl_stats){.minimum = INFINITY, .maximum = -INFINITY};
}

static void widen(struct rkl_stats *stats, double low, double high)
{
    stats->minimum = low < stats->minimum ? low : stats->minimum;
    stats->maximum = high > stats->maximum ? high : stats->maximum;
}

/* Narrow counters let the compiler keep 16 or 32 bytes in one register; blocks are short enough for them. */
#define DEFINE_SMALL(NAME, T, ZERO_T)                                                                                           \
    static void NAME(struct rkl_stats *stats, const T *data, size_t n)                                                          \
    {                                                                                                                           \
        for (size_t start = 0; start < n; start += BYTES_PER_SUM) {                                                             \
            const size_t count = n - start < BYTES_PER_SUM ? n - start : BYTES_PER_SUM;                                         \
            const T *const p = data + start;                                                                                    \
            T low = p[0], high = p[0];                                                                                          \
            int32_t sum = 0;                                                                                                    \
            uint32_t zeros = 0;                                                                                                 \
            for (size_t i = 0; i < count; i++) {                                                                                \
                low = p[i] < low ? p[i] : low;                                                                                  \
                high = p[i] > high ? p[i] : high;                                                                               \
            }                                                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                                                \
                sum += p[i];                                                                                                    \
            }                                                                                                                   \
            for (size_t block = 0; block < count; block += 128) {                                                               \
                const size_t end = count - block < 128 ? count : block + 128;                                                   \
                ZERO_T some = 0;                                                                                                \
                for (size_t i = block; i < end; i++) {                                                                          \
                    some = (ZERO_T)(some + (p[i] == 0));                                                                        \
                }                                                                                                               \
                zeros += some;                                                                                                  \
            }                                                                                                                   \
            widen(stats, (double)low, (double)high);                                                                            \
            stats->sum += sum;                                                                                                  \
            stats->zeros += zeros;                                                                                              \
        }                                                                                                                       \
        stats->n += n;                                                                                                          \
    }

DEFINE_SMALL(add_uint8, uint8_t, uint8_t)
DEFINE_SMALL(add_int8, int8_t, uint8_t)
DEFINE_SMALL(add_int16, int16_t, uint16_t)
DEFINE_SMALL(add_uint16, uint16_t, uint16_t)

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

static void add_float32(struct rkl_stats *stats, const float *data, size_t n)
{
    float low[LANES], high[LANES];
    double sum[LANES] = {0};
    uint32_t zeros[LANES] = {0}, nan[LANES] = {0}, special[LANES] = {0};
    const size_t whole = n - n % LANES;
    float rest[LANES];

    for (int k = 0; k < LANES; k++) {
        low[k] = INFINITY;
        high[k] = -INFINITY;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const float *p = data + i;
        if (i == whole) {
            /* NaN fills up the last lanes and is taken off the count again. */
            for (int k = 0; k < LANES; k++) {
                rest[k] = i + (size_t)k < n ? p[k] : NAN;
            }
            p = rest;
        }
        for (int k = 0; k < LANES; k++) {
            uint32_t bits;
            memcpy(&bits, &p[k], sizeof bits);
            bits &= 0x7fffffffu;
            const int finite = bits < 0x7f800000u;
            const float down = finite ? p[k] : INFINITY;
            const float up = finite ? p[k] : -INFINITY;
            low[k] = down < low[k] ? down : low[k];
            high[k] = up > high[k] ? up : high[k];
            sum[k] += (double)(finite ? p[k] : 0.0f);
            zeros[k] += bits == 0;
            nan[k] += bits > 0x7f800000u;
            special[k] += !finite;
        }
    }
    uint64_t n_nan = 0, n_special = 0;
    for (int k = 0; k < LANES; k++) {
        widen(stats, (double)low[k], (double)high[k]);
        stats->sum += sum[k];
        stats->zeros += zeros[k];
        n_nan += nan[k];
        n_special += special[k];
    }
    const uint64_t added = n % LANES ? LANES - n % LANES : 0;
    stats->nan += n_nan - added;
    stats->inf += n_special - n_nan;
    stats->n += n;
}

static void add_halves(struct rkl_stats *stats, const uint16_t *data, size_t n, int is_bfloat)
{
    enum { BLOCK = 1024 };
    float values[BLOCK];
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t count = n - start < BLOCK ? n - start : BLOCK;
        if (is_bfloat) {
            for (size_t i = 0; i < count; i++) {
                const uint32_t bits = (uint32_t)data[start + i] << 16;
                memcpy(&values[i], &bits, sizeof bits);
            }
        } else {
            rkp_half_to_float(values, data + start, count);
        }
        add_float32(stats, values, count);
    }
}

void rkl_stats_bytes(struct rkl_stats *stats, const uint8_t *data, size_t n)
{
    add_uint8(stats, data, n);
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
        add_int8(stats, data, nbytes);
        break;
    case RKABI_TYPE_UINT8:
    case RKABI_TYPE_BOOL:
        add_uint8(stats, data, nbytes);
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

#include "kernels/digest.h"

#include <math.h>
#include <string.h>

#include "kernels/pair_blocks.h"

#define PRIME1 0x9E3779B185EBCA87u
#define PRIME2 0xC2B2AE3D27D4EB4Fu
#define PRIME3 0x165667B19E3779F9u
#define PRIME4 0x85EBCA77C2B2AE63u
#define PRIME5 0x27D4EB2F165667C5u

enum { STRIPE = 32 };

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t read64(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | p[i];
    }
    return value;
}

static uint64_t read32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t round64(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * PRIME2, 31) * PRIME1;
}

static void consume_stripes(uint64_t lanes[4], const uint8_t *data, size_t stripes)
{
    uint64_t lane0 = lanes[0], lane1 = lanes[1], lane2 = lanes[2], lane3 = lanes[3];
    for (; stripes > 0; stripes--, data += STRIPE) {
        lane0 = round64(lane0, read64(data));
        lane1 = round64(lane1, read64(data + 8));
        lane2 = round64(lane2, read64(data + 16));
        lane3 = round64(lane3, read64(data + 24));
    }
    lanes[0] = lane0;
    lanes[1] = lane1;
    lanes[2] = lane2;
    lanes[3] = lane3;
}

void rkp_xxh64_init(struct rkp_xxh64 *hash, uint64_t seed)
{
    *hash = (struct rkp_xxh64){
        .seed = seed,
        .lanes = {seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1},
    };
}

void rkp_xxh64_update(struct rkp_xxh64 *hash, const void *data, size_t nbytes)
{
    const uint8_t *p = data;
    const size_t used = (size_t)(hash->nbytes % STRIPE);
    if (nbytes == 0) {
        return;
    }
    hash->nbytes += nbytes;
    if (used > 0) {
        const size_t missing = STRIPE - used;
        const size_t taken = nbytes < missing ? nbytes : missing;
        memcpy(hash->pending + used, p, taken);
        if (used + taken < STRIPE) {
            return;
        }
        consume_stripes(hash->lanes, hash->pending, 1);
        p += taken;
        nbytes -= taken;
    }
    consume_stripes(hash->lanes, p, nbytes / STRIPE);
    if (nbytes % STRIPE > 0) {
        memcpy(hash->pending, p + nbytes - nbytes % STRIPE, nbytes % STRIPE);
    }
}

uint64_t rkp_xxh64_value(const struct rkp_xxh64 *hash)
{
    uint64_t value = hash->seed + PRIME5;
    if (hash->nbytes >= STRIPE) {
        value = rotate(hash->lanes[0], 1) + rotate(hash->lanes[1], 7) + rotate(hash->lanes[2], 12)
                + rotate(hash->lanes[3], 18);
        for (int i = 0; i < 4; i++) {
            value = (value ^ round64(0, hash->lanes[i])) * PRIME1 + PRIME4;
        }
    }
    value += hash->nbytes;
    const uint8_t *p = hash->pending;
    size_t left = (size_t)(hash->nbytes % STRIPE);
    for (; left >= 8; left -= 8, p += 8) {
        value = rotate(value ^ round64(0, read64(p)), 27) * PRIME1 + PRIME4;
    }
    if (left >= 4) {
        value = rotate(value ^ (read32(p) * PRIME1), 23) * PRIME2 + PRIME3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++) {
        value = rotate(value ^ (*p * PRIME5), 11) * PRIME1;
    }
    value = (value ^ value >> 33) * PRIME2;
    value = (value ^ value >> 29) * PRIME3;
    return value ^ value >> 32;
}

void rkp_tensor_init(struct rkp_tensor *tensor)
{
    *tensor = (struct rkp_tensor){.side = {.minimum = INFINITY, .maximum = -INFINITY}};
}

static void add_block(struct rkp_tensor *tensor, const double *values, size_t n)
{
    struct rkp_side *const side = &tensor->side;
    double sum = 0;
    double square = 0;
    for (size_t i = 0; i < n; i++) {
        const double value = values[i];
        if (isfinite(value)) {
            sum += value;
            square += value * value;
            side->zeros += value == 0;
            side->minimum = value < side->minimum ? value : side->minimum;
            side->maximum = value > side->maximum ? value : side->maximum;
        } else if (isnan(value)) {
            side->nan++;
        } else if (value > 0) {
            side->positive_inf++;
        } else {
            side->negative_inf++;
        }
    }
    rkp_sum_add(&tensor->sum, sum);
    rkp_sum_add(&tensor->square, square);
    tensor->n += n;
}

int rkp_tensor_update(struct rkp_tensor *tensor, const void *data, const struct rkp_source *source, size_t n)
{
    double block[RKP_BLOCK];
    const size_t nbytes = rkp_dtype_nbytes(source->dtype);
    for (size_t start = 0; start < n; start += RKP_BLOCK) {
        const size_t count = n - start < RKP_BLOCK ? n - start : RKP_BLOCK;
        if (rkp_convert_float64(block, (const char *)data + start * nbytes, count, source)) {
            return -1;
        }
        add_block(tensor, block, count);
    }
    return 0;
}

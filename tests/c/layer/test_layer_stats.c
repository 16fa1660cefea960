/* The layer's statistics against the obvious computation, SHA-256 against its published vectors, and text as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"
#include "layer/names.h"
#include "layer/sha256.h"
#include "layer/stats.h"
#include "layer/stats_lanes.h"
#include "layer/text.h"

static int failures;

static void check(int good, const char *what, long detail)
{
    if (!good) {
        printf("FAILED %s (%ld)\n", what, detail);
        failures++;
    }
}

static double half(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31) {
        return mantissa ? NAN : sign * INFINITY;
    }
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static double element(int type, const void *data, size_t i)
{
    const char *p = (const char *)data + i * rkl_type_nbytes(type);
    switch (type) {
#define READ(TYPE, T)                                                                                                           \
    case RKABI_TYPE_##TYPE: {                                                                                                   \
        T value;                                                                                                                \
        memcpy(&value, p, sizeof value);                                                                                        \
        return (double)value;                                                                                                   \
    }
        READ(FLOAT32, float)
        READ(INT8, int8_t)
        READ(UINT8, uint8_t)
        READ(BOOL, uint8_t)
        READ(INT16, int16_t)
        READ(UINT16, uint16_t)
        READ(INT32, int32_t)
        READ(UINT32, uint32_t)
        READ(INT64, int64_t)
    default: {
        uint16_t bits;
        memcpy(&bits, p, sizeof bits);
        if (type == RKABI_TYPE_FLOAT16) {
            return half(bits);
        }
        const uint32_t wide = (uint32_t)bits << 16;
        float value;
        memcpy(&value, &wide, sizeof value);
        return (double)value;
    }
    }
}

static void check_type(const struct rkl_stats_lanes *way, int type, const uint8_t *data, size_t nbytes)
{
    struct rkl_stats got, expected;
    const size_t n = nbytes / rkl_type_nbytes(type);
    double scale = 1;
    rkl_stats_init(&got);
    rkl_stats_init(&expected);
    rkl_stats_add(&got, way, type, data, nbytes);
    for (size_t i = 0; i < n; i++) {
        const double value = element(type, data, i);
        expected.n++;
        if (isnan(value)) {
            expected.nan++;
        } else if (isinf(value)) {
            expected.inf++;
        } else {
            expected.minimum = value < expected.minimum ? value : expected.minimum;
            expected.maximum = value > expected.maximum ? value : expected.maximum;
            expected.zeros += value == 0;
            expected.sum += value;
            scale += fabs(value);
        }
    }
    check(got.n == expected.n, "n", type);
    check(got.zeros == expected.zeros, "zeros", type);
    check(got.nan == expected.nan && got.inf == expected.inf, "not finite", type);
    check(got.minimum == expected.minimum && got.maximum == expected.maximum, "range", type);
    check(fabs(got.sum - expected.sum) <= 1e-12 * scale, "sum", type);
}

enum { KINDS = 6 };

/* Zeros, anything, finite float32, finite binary16 and bfloat16 of both signs, and those with one NaN near the end. */
static void fill(uint8_t *data, size_t n, int kind)
{
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case 0:
            data[i] = 0;
            break;
        case 1:
            data[i] = (uint8_t)rand();
            break;
        case 2:
            data[i] = (uint8_t)(i % 4 == 3 ? 0x3f | (rand() & 0x80) : i * 7);
            break;
        default:
            data[i] = (uint8_t)(i % 2 ? rand() & 0xbb : rand());
        }
    }
    if (kind >= 4 && n >= 8) {
        data[n - 5] = kind == 4 ? 0x7f : 0xff;
        data[n - 6] = kind == 4 ? 0x80 : 0xff;
    }
}

/* Every binary16 and bfloat16, 32 of a kind at a time. */
static void check_every_half(const struct rkl_stats_lanes *way)
{
    uint16_t values[32];
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        for (size_t i = 0; i < 32; i++) {
            values[i] = i % 3 ? (uint16_t)bits : 0x3c00;
        }
        check_type(way, RKABI_TYPE_FLOAT16, (const uint8_t *)values, sizeof values);
        check_type(way, RKABI_TYPE_BFLOAT16, (const uint8_t *)values, sizeof values);
    }
}

static void check_way(const struct rkl_stats_lanes *way)
{
    static const size_t sizes[] = {0, 8, 16, 24, 40, 64, 136, 4088, 4096, 4104, 8192, RKL_CHUNK - 8, RKL_CHUNK};
    uint8_t *data = aligned_alloc(64, RKL_CHUNK);
    if (!data) {
        abort();
    }
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            fill(data, sizes[i], kind);
            for (int type = 0; type < RKABI_TYPE_COUNT; type++) {
                if (rkl_type_nbytes(type) > 0) {
                    check_type(way, type, data, sizes[i]);
                }
            }
        }
    }
    free(data);
    check_every_half(way);
}

static void check_stats(void)
{
    const struct rkl_stats_lanes *way;
    size_t ways = 0;
    for (; (way = rkl_stats_way(ways)) != NULL; ways++) {
        const int before = failures;
        check_way(way);
        printf("%s: %s\n", way->name, failures == before ? "ok" : "FAILED");
    }
#if defined(__x86_64__) || defined(__aarch64__)
    check(ways >= 2, "a vector unit", (long)ways);
#endif
}

static void check_float_like(void)
{
    /* 1.0, NaN, 2^-24, the value below it, 2^24, and -0, which has no magnitude of a value; ten zeros. */
    static const uint32_t words[16] = {0x3f800000, 0x7fc00000, 103u << 23, (103u << 23) - 1, 151u << 23, 0x80000000};
    check(rkl_count_float_like(words, 16) == 2 + 10, "float like", (long)rkl_count_float_like(words, 16));
}

static void check_sha256(void)
{
    /* FIPS 180-4 examples. */
    static const struct {
        const char *text;
        const char *digest;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char text[65];
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t cut = 0; cut <= strlen(vectors[i].text); cut++) {
            struct rkl_sha256 hash;
            rkl_sha256_init(&hash);
            rkl_sha256_update(&hash, vectors[i].text, cut);
            rkl_sha256_update(&hash, vectors[i].text + cut, strlen(vectors[i].text) - cut);
            rkl_sha256_text(&hash, text);
            check(strcmp(text, vectors[i].digest) == 0, "sha256", (long)i);
        }
    }
    char *many = malloc(1000000);
    struct rkl_sha256 hash;
    if (!many) {
        abort();
    }
    memset(many, 'a', 1000000);
    rkl_sha256_init(&hash);
    rkl_sha256_update(&hash, many, 1000000);
    rkl_sha256_text(&hash, text);
    check(strcmp(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0, "sha256 of a million", 0);
    free(many);
}

static void check_text(void)
{
    struct rkl_text text;
    rkl_text_init(&text);
    rkl_open(&text, NULL, '{');
    rkl_put_text(&text, "t", "a\"\\\n\x01\xc3\xa9\xff\xed\xa0\x80\xf0\x9f\x98\x80", 64);
    rkl_put_text(&text, "cut", "abcdef", 3);
    rkl_put_text(&text, "none", NULL, 3);
    rkl_put_int(&text, "low", INT64_MIN);
    rkl_put_uint(&text, "high", UINT64_MAX);
    rkl_put_number(&text, "nan", NAN);
    rkl_put_number(&text, "inf", -INFINITY);
    rkl_put_number(&text, "float", (double)0.0572583526f);
    rkl_put_number(&text, "whole", -3.0);
    rkl_put_hash(&text, "hash", 0xabc);
    rkl_put_hex(&text, "hex", 0);
    rkl_put_name(&text, "name", NULL, -7);
    rkl_open(&text, "list", '[');
    rkl_close(&text, ']');
    rkl_close(&text, '}');
    const char expected[] = "{\"t\":\"a\\\"\\\\\\u000a\\u0001\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\xf0\x9f\x98\x80\",\"cut\":\"abc\",\"none\":null,"
                            "\"low\":-9223372036854775808,\"high\":18446744073709551615,\"nan\":null,\"inf\":null,"
                            "\"float\":0.0572583526,\"whole\":-3,\"hash\":\"0000000000000abc\",\"hex\":\"0x0\","
                            "\"name\":\"UNKNOWN(-7)\",\"list\":[]}";
    check(!text.failed && text.used == strlen(expected) && memcmp(text.data, expected, text.used) == 0, "text", (long)text.used);
    for (int i = 0; i < 5000; i++) {
        rkl_put_uint(&text, "more", (uint64_t)i);
    }
    check(!text.failed && text.used > 50000, "growing", (long)text.used);
    rkl_text_free(&text);
}

int main(void)
{
    check_stats();
    check_float_like();
    check_sha256();
    check_text();
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}

/* XXH64 against the test vectors of the reference distribution, in every cut; tensor statistics with special values. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "kernels/digest.h"

static uint64_t hash_in_chunks(const uint8_t *data, size_t nbytes, uint64_t seed, size_t chunk)
{
    struct rkp_xxh64 hash;
    rkp_xxh64_init(&hash, seed);
    for (size_t start = 0; start < nbytes; start += chunk) {
        rkp_xxh64_update(&hash, data + start, nbytes - start < chunk ? nbytes - start : chunk);
    }
    return rkp_xxh64_value(&hash);
}

static void test_hash(void)
{
    static const struct {
        size_t nbytes;
        uint64_t seed;
        uint64_t value;
    } vectors[] = {
        {0, 0, 0xEF46DB3751D8E999u},   {0, 2654435761u, 0xAC75FDA2929B17EFu},  {1, 0, 0xE934A84ADB052768u},
        {1, 2654435761u, 0x5014607643A9B4C3u},  {4, 0, 0x9136A0DCA57457EEu},   {14, 0, 0x8282DCC4994E35C8u},
        {14, 2654435761u, 0xC3BD6BF63DEB6DF0u}, {222, 0, 0xB641AE8CB691C174u}, {222, 2654435761u, 0x20CB8AB7AE10C14Au},
    };
    /* The reference distribution's test buffer: the high bytes of a multiplicative sequence. */
    uint8_t buffer[222];
    uint64_t generator = 2654435761u;
    for (size_t i = 0; i < sizeof buffer; i++) {
        buffer[i] = (uint8_t)(generator >> 56);
        generator *= 0x9E3779B185EBCA8Du;
    }
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++) {
        for (size_t chunk = 1; chunk <= sizeof buffer; chunk++) {
            CHECK(hash_in_chunks(buffer, vectors[k].nbytes, vectors[k].seed, chunk) == vectors[k].value);
        }
    }
    CHECK(hash_in_chunks((const uint8_t *)"abc", 3, 0, 3) == 0x44BC2CF5AD770999u);
}

static void test_statistics(void)
{
    static float values[5000];
    for (size_t i = 0; i < 5000; i++) {
        values[i] = (float)i;
    }
    values[10] = NAN;
    values[11] = INFINITY;
    values[12] = -INFINITY;
    values[13] = -7.0f;
    const struct rkp_source source = {.dtype = RKP_FLOAT32};
    struct rkp_tensor tensor;
    rkp_tensor_init(&tensor);
    CHECK(rkp_tensor_update(&tensor, values, &source, 4999) == 0);
    CHECK(rkp_tensor_update(&tensor, values + 4999, &source, 1) == 0);
    CHECK(tensor.n == 5000);
    CHECK(tensor.side.nan == 1 && tensor.side.positive_inf == 1 && tensor.side.negative_inf == 1);
    CHECK(tensor.side.zeros == 1);
    CHECK(tensor.side.minimum == -7.0);
    CHECK(tensor.side.maximum == 4999.0);
    CHECK(rkp_sum_value(&tensor.sum) == 4999.0 * 5000.0 / 2 - (10 + 11 + 12 + 13) - 7);
    CHECK(rkp_sum_value(&tensor.square)
          == 4999.0 * 5000.0 * 9999.0 / 6 - (10.0 * 10 + 11 * 11 + 12 * 12 + 13 * 13) + 49);
    const struct rkp_source unknown = {.dtype = 0};
    CHECK(rkp_tensor_update(&tensor, values, &unknown, 1) == -1);
}

int main(void)
{
    test_hash();
    test_statistics();
    return 0;
}

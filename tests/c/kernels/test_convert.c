/* Every float16 there is, and every element type with and without quantisation, through both conversions. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "kernels/convert.h"

static void test_half(void)
{
    static uint16_t halves[65536];
    static float expected[65536];
    static float got[65536];
    for (uint32_t i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    rkp_half_to_float_reference(expected, halves, 65536);
    rkp_half_to_float(got, halves, 65536);
    for (uint32_t i = 0; i < 65536; i++) {
        CHECK(isnan(expected[i]) ? isnan(got[i]) : got[i] == expected[i] && !signbit(got[i]) == !signbit(expected[i]));
    }
    CHECK(got[0x3c00] == 1.0f);
    CHECK(got[0x7bff] == 65504.0f);
    CHECK(got[0x0001] == 0x1p-24f);
    CHECK(got[0xfc00] == -INFINITY);
    CHECK(isnan(got[0x7e00]));
}

#define CHECK_INTEGER(type, code, low, high)                                                                           \
    do {                                                                                                               \
        const type values[] = {(type)(low), 0, 1, (type)(high)};                                                       \
        const struct rkp_source plain = {.dtype = (code), .scale = 1};                                                 \
        const struct rkp_source quantized = {.dtype = (code), .quantized = 1, .zero_point = 3, .scale = 0.5};          \
        double wide[4];                                                                                                \
        float narrow[4];                                                                                               \
        CHECK(rkp_dtype_nbytes(code) == sizeof(type));                                                                 \
        CHECK(rkp_convert_float64(wide, values, 4, &plain) == 0);                                                      \
        for (int i = 0; i < 4; i++) {                                                                                  \
            CHECK(wide[i] == (double)values[i]);                                                                       \
        }                                                                                                              \
        CHECK(rkp_convert_float64(wide, values, 4, &quantized) == 0);                                                  \
        for (int i = 0; i < 4; i++) {                                                                                  \
            CHECK(wide[i] == ((double)values[i] - 3) * 0.5);                                                           \
        }                                                                                                              \
        CHECK(rkp_source_fits_float32(&quantized) == (sizeof(type) <= 2));                                             \
        CHECK(rkp_convert_float32(narrow, values, 4, &quantized) == (sizeof(type) <= 2 ? 0 : -1));                     \
        if (sizeof(type) <= 2) {                                                                                       \
            CHECK((double)narrow[3] == wide[3]);                                                                       \
        }                                                                                                              \
    } while (0)

int main(void)
{
    test_half();
    CHECK_INTEGER(int8_t, RKP_INT8, INT8_MIN, INT8_MAX);
    CHECK_INTEGER(uint8_t, RKP_UINT8, 0, UINT8_MAX);
    CHECK_INTEGER(int16_t, RKP_INT16, INT16_MIN, INT16_MAX);
    CHECK_INTEGER(uint16_t, RKP_UINT16, 0, UINT16_MAX);
    CHECK_INTEGER(int32_t, RKP_INT32, INT32_MIN, INT32_MAX);
    CHECK_INTEGER(uint32_t, RKP_UINT32, 0, UINT32_MAX);
    CHECK_INTEGER(int64_t, RKP_INT64, -(INT64_C(1) << 52), INT64_C(1) << 52);
    CHECK_INTEGER(uint64_t, RKP_UINT64, 0, UINT64_C(1) << 52);

    const uint8_t flags[] = {0, 1, 2};
    const struct rkp_source boolean = {.dtype = RKP_BOOL};
    float values[3];
    CHECK(rkp_convert_float32(values, flags, 3, &boolean) == 0);
    CHECK(values[0] == 0.0f && values[1] == 1.0f && values[2] == 1.0f);

    /* A zero point beyond float32's integers is taken through float64. */
    const int8_t one = 1;
    const struct rkp_source far = {.dtype = RKP_INT8, .quantized = 1, .zero_point = INT64_C(1) << 40, .scale = 1};
    double wide;
    CHECK(!rkp_source_fits_float32(&far));
    CHECK(rkp_convert_float64(&wide, &one, 1, &far) == 0);
    CHECK(wide == 1.0 - 0x1p40);

    const struct rkp_source unknown = {.dtype = 99};
    CHECK(rkp_dtype_nbytes(99) == 0);
    CHECK(rkp_convert_float32(values, flags, 3, &unknown) == -1);
    CHECK(rkp_convert_float64(&wide, flags, 1, &unknown) == -1);
    return 0;
}

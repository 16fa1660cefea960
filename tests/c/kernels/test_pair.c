/* Every vector twin against the scalar reference: lengths around every boundary, special values at every position,
 * chunks and merges. Run under AddressSanitizer and UndefinedBehaviorSanitizer, arrays end exactly where their memory ends. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "kernels/pair.h"

static const struct rkp_source FLOAT32 = {.dtype = RKP_FLOAT32};
static const int32_t TWINS[] = {RKP_BEST, RKP_SSE2, RKP_AVX2, RKP_AVX512, RKP_NEON};

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float random_float(void)
{
    return (float)((double)(next_random() >> 11) * 0x1p-53 * 4.0 - 2.0);
}

static float special_float(void)
{
    static const float values[] = {0.0f,    -0.0f,   INFINITY,   -INFINITY,   NAN,   FLT_MAX, -FLT_MAX,
                                   FLT_MIN, 1e-45f, -1e-45f, 65504.0f, 65536.0f, 1.0f, -1.0f};
    return values[next_random() % (sizeof values / sizeof *values)];
}

static struct rkp_pair score(const float *test, const float *reference, size_t n, int32_t implementation, size_t chunk)
{
    const struct rkp_pair_options options = {
        .atol = 1e-3,
        .rtol = 1e-2,
        .lsb = 0.0078125,
        .ulp_limit = 4,
        .saturation_low = -1.0,
        .saturation_high = 1.0,
        .with_ulp = 1,
        .with_saturation = 1,
        .implementation = implementation,
    };
    struct rkp_pair pair;
    rkp_pair_init(&pair, &options);
    for (size_t start = 0; start < n; start += chunk) {
        const size_t count = n - start < chunk ? n - start : chunk;
        CHECK(rkp_pair_update(&pair, test + start, &FLOAT32, reference + start, &FLOAT32, count) == 0);
    }
    return pair;
}

static int close_to(double a, double b, double scale)
{
    return a == b || fabs(a - b) <= 1e-12 * fabs(scale) || (isnan(a) && isnan(b));
}

static void check_side(const struct rkp_side *a, const struct rkp_side *b)
{
    CHECK(a->nan == b->nan);
    CHECK(a->positive_inf == b->positive_inf);
    CHECK(a->negative_inf == b->negative_inf);
    CHECK(a->zeros == b->zeros);
    CHECK(a->saturated_low == b->saturated_low);
    CHECK(a->saturated_high == b->saturated_high);
    CHECK(a->minimum == b->minimum);
    CHECK(a->maximum == b->maximum);
}

static void check_same(const struct rkp_pair *a, const struct rkp_pair *b)
{
    const double test_square = rkp_sum_value(&b->test_square);
    const double reference_square = rkp_sum_value(&b->reference_square);
    const double size = sqrt(test_square) * sqrt(reference_square);
    CHECK(a->n == b->n);
    CHECK(a->n_finite == b->n_finite);
    CHECK(a->equal == b->equal);
    CHECK(a->nonfinite_mismatch == b->nonfinite_mismatch);
    CHECK(a->over_tolerance == b->over_tolerance);
    CHECK(memcmp(a->over_lsb, b->over_lsb, sizeof a->over_lsb) == 0);
    CHECK(a->over_ulp == b->over_ulp);
    CHECK(close_to(a->max_ulp, b->max_ulp, b->max_ulp));
    CHECK(a->max_abs_index == b->max_abs_index);
    CHECK(a->max_abs_error == b->max_abs_error);
    CHECK(close_to(rkp_sum_value(&a->test_square), test_square, test_square));
    CHECK(close_to(rkp_sum_value(&a->reference_square), reference_square, reference_square));
    CHECK(close_to(rkp_sum_value(&a->dot), rkp_sum_value(&b->dot), size));
    CHECK(close_to(rkp_sum_value(&a->error_square), rkp_sum_value(&b->error_square), rkp_sum_value(&b->error_square)));
    const double reach = sqrt(test_square * (double)a->n) + sqrt(reference_square * (double)a->n);
    CHECK(close_to(rkp_sum_value(&a->error), rkp_sum_value(&b->error), reach));
    check_side(&a->test, &b->test);
    check_side(&a->reference, &b->reference);
}

static void check_case(const float *test, const float *reference, size_t n)
{
    const struct rkp_pair expected = score(test, reference, n, RKP_REFERENCE, n + 1);
    CHECK(expected.n == n);
    for (size_t i = 0; i < sizeof TWINS / sizeof *TWINS; i++) {
        const struct rkp_pair whole = score(test, reference, n, TWINS[i], n + 1);
        check_same(&whole, &expected);
        const struct rkp_pair cut = score(test, reference, n, TWINS[i], 1 + (size_t)(next_random() % 3000));
        check_same(&cut, &expected);
        const size_t middle = (size_t)(next_random() % (n + 1));
        struct rkp_pair left = score(test, reference, middle, TWINS[i], n + 1);
        const struct rkp_pair right = score(test + middle, reference + middle, n - middle, TWINS[i], n + 1);
        rkp_pair_merge(&left, &right);
        check_same(&left, &expected);
    }
}

int main(void)
{
    static const size_t lengths[] = {0,  1,  2,  3,  4,    5,    7,    8,    9,    15,  16,
                                     17, 31, 33, 63, 2047, 2048, 2049, 4096, 5000, 9999};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        const size_t n = lengths[k];
        /* An extra element in front, so that vectors are not aligned either. */
        float *const test = malloc((n + 1) * sizeof *test);
        float *const reference = malloc((n + 1) * sizeof *reference);
        CHECK(test && reference);
        for (int noise = 0; noise < 3; noise++) {
            for (size_t i = 0; i <= n; i++) {
                reference[i] = random_float();
                test[i] = noise == 0 ? reference[i] : reference[i] + 0.01f * (float)noise * random_float();
            }
            check_case(test + 1, reference + 1, n);
        }
        /* A few special values in many, then nothing but special values. */
        for (size_t i = 1; i <= n; i += 1 + (size_t)(next_random() % 700)) {
            test[i] = special_float();
            reference[i] = next_random() % 2 ? test[i] : special_float();
        }
        check_case(test + 1, reference + 1, n);
        for (size_t i = 1; i <= n; i++) {
            test[i] = special_float();
            reference[i] = special_float();
        }
        check_case(test + 1, reference + 1, n);
        free(test);
        free(reference);
    }
    return 0;
}

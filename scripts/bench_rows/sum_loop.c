/* The yardstick of the scoring row: reads two buffers and does as little as can be done with what was read. */
#include <stddef.h>

float sum_loop(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] + b[i];
    }
    return sum;
}

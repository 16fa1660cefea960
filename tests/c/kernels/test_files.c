/* Scores of files against the same scores in memory, whatever the buffer's size; files that end early and cannot be read. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "kernels/files.h"

enum { N = 3 * RKP_BLOCK + 17, HEADER = 10 };

static const struct rkp_pair_options options = {.atol = 1e-5, .rtol = 1e-3, .lsb = 0.01};
static const struct rkp_source floats = {.dtype = RKP_FLOAT32, .scale = 1}, bytes = {.dtype = RKP_INT8, .quantized = 1, .scale = 0.01};

static int file_of(const void *data, size_t nbytes)
{
    char name[] = "/tmp/rkparity-test-XXXXXX";
    const int fd = mkstemp(name);
    CHECK(fd >= 0 && unlink(name) == 0);
    CHECK(write(fd, "0123456789", HEADER) == HEADER && write(fd, data, nbytes) == (ssize_t)nbytes);
    return fd;
}

static int same(const struct rkp_pair *a, const struct rkp_pair *b)
{
    return a->n == b->n && a->equal == b->equal && a->max_abs_index == b->max_abs_index
           && rkp_sum_value(&a->dot) == rkp_sum_value(&b->dot) && rkp_sum_value(&a->error) == rkp_sum_value(&b->error)
           && a->over_tolerance == b->over_tolerance && memcmp(a->over_lsb, b->over_lsb, sizeof a->over_lsb) == 0;
}

int main(void)
{
    static float x[N], y[N];
    static int8_t q[N];
    static _Alignas(64) char buffer[64 * RKP_BLOCK];
    struct rkp_pair expected[2], got[2];
    for (size_t i = 0; i < N; i++) {
        q[i] = (int8_t)(i * 7);
        x[i] = (float)q[i] * 0.01f;
        y[i] = x[i] + (i % 5 ? 0.0f : 0.02f);
    }
    rkp_pair_init(&expected[0], &options);
    rkp_pair_init(&expected[1], &options);
    CHECK(rkp_pair_update(&expected[0], x, &floats, y, &floats, N) == 0);
    CHECK(rkp_pair_update(&expected[1], q, &bytes, y, &floats, N) == 0);

    const int fds[3] = {file_of(x, sizeof x), file_of(y, sizeof y), file_of(q, sizeof q)};
    const struct rkp_link links[2] = {{&got[0], 0, 1}, {&got[1], 2, 1}};
    for (size_t blocks = 9; blocks <= 64; blocks++) {
        struct rkp_file files[3] = {{fds[0], 7, HEADER, floats}, {fds[1], 7, HEADER, floats}, {fds[2], 7, HEADER, bytes}};
        rkp_pair_init(&got[0], &options);
        rkp_pair_init(&got[1], &options);
        /* In two goes, the first of which ends between two blocks. */
        CHECK(rkp_score_files(files, 3, links, 2, 2 * RKP_BLOCK, buffer, blocks * RKP_BLOCK) == RKP_FILES_SCORED);
        CHECK(rkp_score_files(files, 3, links, 2, N - 2 * RKP_BLOCK, buffer, blocks * RKP_BLOCK) == RKP_FILES_SCORED);
        CHECK(same(&got[0], &expected[0]) && same(&got[1], &expected[1]));
        CHECK(files[0].offset == HEADER + sizeof x && files[2].offset == HEADER + sizeof q && files[1].error == 0);
    }

    struct rkp_file files[3] = {{fds[0], 0, HEADER, floats}, {fds[1], 0, HEADER, floats}, {fds[2], 0, HEADER, bytes}};
    CHECK(rkp_score_files(files, 3, links, 2, N, buffer, 9 * RKP_BLOCK - 1) == RKP_BUFFER_SMALL);
    CHECK(rkp_score_files(files, 3, links, 2, N + 1, buffer, sizeof buffer) == RKP_FILE_FAILED && files[0].error == -1);
    CHECK(ftruncate(fds[1], HEADER + 4 * RKP_BLOCK) == 0);
    files[0].offset = files[1].offset = files[2].offset = HEADER;
    CHECK(rkp_score_files(files, 3, links, 2, N, buffer, sizeof buffer) == RKP_FILE_FAILED);
    CHECK(files[0].error == 0 && files[1].error == -1 && files[2].error == 0);
    files[0].offset = HEADER;
    files[0].fd = -1;
    CHECK(rkp_score_files(files, 3, links, 2, N, buffer, sizeof buffer) == RKP_FILE_FAILED && files[0].error == EBADF);
    files[0].source.dtype = 99;
    CHECK(rkp_score_files(files, 3, links, 2, N, buffer, sizeof buffer) == RKP_TYPE_UNKNOWN);
    CHECK(rkp_score_files(files, 0, links, 0, N, buffer, 0) == RKP_FILES_SCORED);
    return 0;
}

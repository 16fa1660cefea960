/* The session on the test double: every path once, for the sanitizers; values are asserted in tests/unit/device. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../kernels/check.h"
#include "runtime/session.h"
#include "runtime/tensor.h"

static char folder[] = "/tmp/rkparity-session-XXXXXX";
static char model[64];

static void write_file(const char *name, const char *text)
{
    char path[96];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void configure(const char *more)
{
    char text[1024];

    snprintf(text, sizeof text,
             "input x NHWC INT8 -4 0.05 32 864 1,9,30,3\ninput n UNDEFINED INT64 0 1 0 32 4\n"
             "output y NCHW INT8 9 0.06 0 4608 1,5,9,30\noutput z UNDEFINED INT64 0 1 0 16 2\n"
             "native_output y NC1HWC2 INT8 9 0.06 0 8704 1,2,1,272,16\nnative_output z UNDEFINED INT64 0 1 0 16 2\n%s",
             more);
    write_file("double.conf", text);
}

static rkrt_session *opened(void)
{
    rkrt_session *session = NULL;
    rkrt_error error;

    CHECK(rkrt_session_open(getenv("RKDOUBLE_LIBRARY"), model, 1, &session, &error) == 0);
    return session;
}

static void inputs_for(rkrt_input *inputs, const unsigned char *bytes)
{
    inputs[0] = (rkrt_input){bytes, 810, RKABI_TYPE_UINT8, RKABI_FMT_NHWC, 0};
    inputs[1] = (rkrt_input){bytes, 32, RKABI_TYPE_INT64, RKABI_FMT_UNDEFINED, 0};
}

static void test_general(const unsigned char *bytes)
{
    rkrt_output_request requests[2] = {{1, 0, 0, -1, -1}, {1, 1, 0, -1, -1}};
    rkrt_session *session = opened();
    rkrt_output_view view;
    rkrt_input inputs[2];
    rkrt_error error;
    int64_t elapsed;

    inputs_for(inputs, bytes);
    CHECK(rkrt_session_set_inputs(session, 2, inputs, &error) == 0);
    for (int round = 0; round < 3; round++) {
        requests[0].prealloc = round & 1;
        CHECK(rkrt_session_run(session, &elapsed, &error) == 0);
        CHECK(rkrt_session_get_outputs(session, 2, requests, &error) == 0);
        CHECK(rkrt_session_output(session, 0, &view, &error) == 0);
        CHECK(view.type == RKABI_TYPE_FLOAT32 && view.nbytes == 5400 && ((const float *)view.data)[3] == 1.5f);
        CHECK(rkrt_session_output(session, 1, &view, &error) == 0);
        CHECK(view.type == RKABI_TYPE_INT64 && view.nbytes == 16);
    }
    CHECK(rkrt_session_output(session, 2, &view, &error) == -1 && error.kind == RKRT_ERROR_USAGE);
    rkrt_session_close(session);
}

static void test_zero_copy(const unsigned char *bytes)
{
    rkrt_output_request request = {0, 0, 0, -1, -1};
    rkrt_session *session = opened();
    rkrt_output_view view;
    rkrt_input inputs[2];
    rkrt_error error;
    int64_t elapsed;

    inputs_for(inputs, bytes);
    for (int round = 0; round < 2; round++) {
        request.native = round;
        for (uint32_t i = 0; i < 2; i++) {
            CHECK(rkrt_session_bind_input(session, i, &inputs[i], &error) == 0);
            CHECK(rkrt_session_bind_output(session, i, &request, &error) == 0);
        }
    }
    CHECK(rkrt_session_output(session, 0, &view, &error) == 0);
    CHECK(view.fmt == RKABI_FMT_NC1HWC2 && view.n_dims == 5 && view.nbytes == 8704);
    rkrt_session_close(session);
    /* The double keeps every memory it was ever given, so a run needs a session without re-binding. */
    session = opened();
    request.native = 0;
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(rkrt_session_bind_input(session, i, &inputs[i], &error) == 0);
        CHECK(rkrt_session_bind_output(session, i, &request, &error) == 0);
    }
    CHECK(rkrt_session_run(session, &elapsed, &error) == 0);
    CHECK(rkrt_session_output(session, 0, &view, &error) == 0);
    CHECK(view.nbytes == 1350 && ((const unsigned char *)view.data)[130] == 2 && !view.untouched);
    rkrt_session_close(session);
}

static void test_refusals(const unsigned char *bytes)
{
    static const char *const failing[] = {"rknn_init", "rknn_query", "rknn_inputs_set", "rknn_run", "rknn_outputs_get"};
    rkrt_output_request requests[2] = {{0, 0, 0, -1, -1}, {0, 1, 0, -1, -1}};
    rkrt_input inputs[2];
    rkrt_error error = {0};
    int64_t elapsed;

    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        char line[64];
        rkrt_session *session = NULL;
        int status;
        snprintf(line, sizeof line, "return %s -5\n", failing[i]);
        configure(line);
        inputs_for(inputs, bytes);
        status = rkrt_session_open(getenv("RKDOUBLE_LIBRARY"), model, 0, &session, &error);
        if (status == 0) {
            status = rkrt_session_set_inputs(session, 2, inputs, &error);
        }
        if (status == 0) {
            status = rkrt_session_run(session, &elapsed, &error);
        }
        if (status == 0) {
            status = rkrt_session_get_outputs(session, 2, requests, &error);
        }
        CHECK(status == -1 && error.code == -5 && strcmp(error.call, failing[i]) == 0);
        rkrt_session_close(session);
    }
}

/* Attributes no sane library gives: sizes must overflow nothing. */
static void test_hostile_attributes(const unsigned char *bytes)
{
    rkrt_output_request request = {1, 1, 0, -1, -1};
    rkrt_session *session;
    rkrt_input input = {bytes, 16, RKABI_TYPE_FLOAT32, RKABI_FMT_NHWC, 0};
    rkrt_error error;

    write_file("double.conf", "input x NHWC INT8 0 1 4294967295 4294967295 65535,65535,65535,65535\n"
                              "output y NCHW INT8 0 1 0 4294967295 65535,65535,65535,65535\n");
    session = opened();
    CHECK(rkrt_session_set_inputs(session, 1, &input, &error) == -1);
    CHECK(rkrt_session_bind_input(session, 0, &input, &error) == -1);
    CHECK(rkrt_session_bind_output(session, 0, &request, &error) == -1);
    rkrt_session_close(session);
}

int main(void)
{
    static unsigned char bytes[1024];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    CHECK(mkdtemp(folder) != NULL);
    snprintf(model, sizeof model, "%s/double.conf", folder);
    setenv("RKDOUBLE_CONFIG", model, 1);
    configure("");
    test_general(bytes);
    test_zero_copy(bytes);
    test_refusals(bytes);
    test_hostile_attributes(bytes);
    unlink(model);
    rmdir(folder);
    return 0;
}

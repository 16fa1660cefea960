/*
 * An application with mistakes, for the tests of the lint: `lint_app MODEL [--api general|zero-copy|threads|contexts]
 * [--mistake NAME] [--runs N] [--data FILE] [--second MODEL]`. The second context's model is MODEL.
 * Without a mistake every call is right. With FILE the first input's bytes are the file's.
 * A mistake that needs a second context or thread makes it itself. Data, general API and zero-copy are in files of their own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lint_app.h"

const char *mistake = "";
const char *model_path;
unsigned char *data_file;
size_t data_size;
int runs = 2;

int is(const char *name)
{
    return strcmp(mistake, name) == 0;
}

void check(int status, const char *call)
{
    if (status != 0) {
        fprintf(stderr, "%s = %d\n", call, status);
        exit(1);
    }
}
void open_model(io *app)
{
    memset(app, 0, sizeof *app);
    size_t size = 0;
    unsigned char *model = read_file(model_path, &size);
    if (is("init-garbage")) {
        memset(model, 0x55, size);
    }
    int status = rknn_init(&app->ctx, model, (uint32_t)size, is("no-flush") ? 0x4000 : 0, NULL);
    free(model);
    if (is("init-garbage")) {
        (void)rknn_query(app->ctx, RKABI_QUERY_IN_OUT_NUM, &app->number, sizeof app->number);
        exit(0);
    }
    check(status, "rknn_init");
    CHECK(rknn_query(app->ctx, RKABI_QUERY_IN_OUT_NUM, &app->number, sizeof app->number));
    if (is("query-size")) {
        (void)rknn_query(app->ctx, RKABI_QUERY_INPUT_ATTR, &app->in[0], 8);
    }
    for (uint32_t i = 0; i < app->number.n_input; i++) {
        app->in[i].index = i;
        CHECK(rknn_query(app->ctx, RKABI_QUERY_INPUT_ATTR, &app->in[i], sizeof app->in[i]));
    }
    for (uint32_t i = 0; i < app->number.n_output; i++) {
        app->out[i].index = i;
        CHECK(rknn_query(app->ctx, RKABI_QUERY_OUTPUT_ATTR, &app->out[i], sizeof app->out[i]));
    }
}

static const char *second_path;

static void open_second(io *app)
{
    model_path = second_path ? second_path : model_path;
    open_model(app);
}

static pthread_barrier_t barrier;
static float *shared_output;

/* Two threads: each with a context of its own, or, as a mistake, with one context or one output buffer. */
static void *work(void *argument)
{
    io *app = argument;
    if (is("shared-context") || is("shared-output")) {
        rkabi_type type = natural_type(&app->in[0]);
        uint32_t nbytes = app->in[0].n_elems * type_size(type);
        void *buffer = allocate(nbytes);
        for (int run = 0; run < runs; run++) {
            fill(buffer, type, app->in[0].n_elems, run + (argument == NULL ? 1 : 0));
            rkabi_input input = {0, buffer, nbytes, 0, type, RKABI_FMT_NHWC};
            CHECK(rknn_inputs_set(app->ctx, 1, &input));
            pthread_barrier_wait(&barrier);
            CHECK(rknn_run(app->ctx, NULL));
            rkabi_output output = {.want_float = 1};
            if (is("shared-output")) {
                output.is_prealloc = 1;
                output.buf = shared_output;
                output.size = app->out[0].n_elems * 4;
            }
            CHECK(rknn_outputs_get(app->ctx, 1, &output, NULL));
            CHECK(rknn_outputs_release(app->ctx, 1, &output));
            pthread_barrier_wait(&barrier);
        }
        free(buffer);
    } else {
        general(app);
    }
    return NULL;
}

static void threads(void)
{
    io apps[2];
    pthread_t ids[2];
    open_model(&apps[0]);
    open_second(&apps[1]);
    pthread_barrier_init(&barrier, NULL, 2);
    shared_output = allocate(apps[0].out[0].n_elems * 4u);
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&ids[i], NULL, work, is("shared-context") ? &apps[0] : &apps[i]) != 0) {
            exit(7);
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(ids[i], NULL);
    }
    CHECK(rknn_destroy(apps[0].ctx));
    CHECK(rknn_destroy(apps[1].ctx));
    free(shared_output);
}

int main(int argc, char **argv)
{
    const char *api = "general";
    model_path = argc > 1 ? argv[1] : "";
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--api") == 0) {
            api = argv[i + 1];
        } else if (strcmp(argv[i], "--mistake") == 0) {
            mistake = argv[i + 1];
        } else if (strcmp(argv[i], "--runs") == 0) {
            runs = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--second") == 0) {
            second_path = argv[i + 1];
        } else if (strcmp(argv[i], "--data") == 0) {
            data_file = read_file(argv[i + 1], &data_size);
        }
    }
    if (strcmp(api, "threads") == 0) {
        threads();
        return 0;
    }
    io app;
    open_model(&app);
    if (strcmp(api, "contexts") == 0) {
        io other;
        open_second(&other);
        if (is("shared-outputs")) {
            zero_copy(&app);
            zero_copy(&other);
        } else {
            general(&app);
            zero_copy(&other);
            general(&app);
        }
        CHECK(rknn_destroy(other.ctx));
    } else if (strcmp(api, "zero-copy") == 0) {
        zero_copy(&app);
    } else {
        general(&app);
    }
    if (!is("context-leak")) {
        CHECK(rknn_destroy(app.ctx));
    }
    if (is("use-destroyed")) {
        (void)rknn_run(app.ctx, NULL);
    }
    free(data_file);
    puts("done");
    return 0;
}

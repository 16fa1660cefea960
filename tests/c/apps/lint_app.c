/*
 * An application with mistakes, for the tests of the lint: `lint_app MODEL [--api general|zero-copy|threads|contexts]
 * [--mistake NAME] [--runs N] [--data FILE]`. Without a mistake every call is right. With FILE the first input's bytes are the file's.
 * A mistake that needs a second context or thread makes it itself.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/rknn_abi.h"

#define MAX_IO 8

static const char *mistake = "";
static const char *model_path;
static unsigned char *data_file;
static size_t data_size;
static int runs = 2;

static int is(const char *name)
{
    return strcmp(mistake, name) == 0;
}

static uint32_t type_size(rkabi_type type)
{
    switch (type) {
    case RKABI_TYPE_FLOAT32:
    case RKABI_TYPE_INT32:
        return 4;
    case RKABI_TYPE_FLOAT16:
        return 2;
    case RKABI_TYPE_INT64:
        return 8;
    default:
        return 1;
    }
}

static void check(int status, const char *call)
{
    if (status != 0) {
        fprintf(stderr, "%s = %d\n", call, status);
        exit(1);
    }
}
#define CHECK(call) check((call), #call)

static void *allocate(size_t nbytes)
{
    void *memory = calloc(1, nbytes > 0 ? nbytes : 1);
    if (memory == NULL) {
        exit(4);
    }
    return memory;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(5);
    }
    long length = ftell(file);
    rewind(file);
    unsigned char *data = allocate((size_t)length);
    if (fread(data, 1, (size_t)length, file) != (size_t)length) {
        exit(5);
    }
    fclose(file);
    *size = (size_t)length;
    return data;
}

/* What one tensor of the model takes from a careful application: pictures as uint8, the rest as its own or as float32. */
static rkabi_type natural_type(const rkabi_tensor_attr *attr)
{
    if (attr->n_dims == 4) {
        return RKABI_TYPE_UINT8;
    }
    return attr->type == RKABI_TYPE_INT64 ? RKABI_TYPE_INT64 : RKABI_TYPE_FLOAT32;
}

static uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void fill(void *buffer, rkabi_type type, uint32_t n, int run)
{
    uint32_t state = (uint32_t)run * 77u + 5u;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t value = noise(&state);
        if (type == RKABI_TYPE_UINT8 || type == RKABI_TYPE_INT8) {
            ((uint8_t *)buffer)[i] = (uint8_t)value;
        } else if (type == RKABI_TYPE_FLOAT32) {
            ((float *)buffer)[i] = (float)(value % 2048u) / 512.0f - 2.0f;
        } else if (type == RKABI_TYPE_INT64) {
            ((int64_t *)buffer)[i] = (int64_t)(value % 16u);
        } else {
            memset((uint8_t *)buffer + (size_t)i * type_size(type), (int)(value & 0x3f), type_size(type));
        }
    }
}

typedef struct io {
    rkabi_context ctx;
    rkabi_in_out_num number;
    rkabi_tensor_attr in[MAX_IO], out[MAX_IO];
} io;

static void open_model(io *app)
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

static void *first_data(const rkabi_tensor_attr *attr, rkabi_type type, size_t nbytes, int run)
{
    /* Room behind the data, so that the mistakes of size read what is there. */
    unsigned char *buffer = allocate(nbytes * 4 + 4096);
    fill(buffer, type, is("type-zero-full") ? attr->n_elems * 4 : attr->n_elems, run);
    if (data_file != NULL) {
        memcpy(buffer, data_file, data_size < nbytes * 4 ? data_size : nbytes * 4);
    }
    float *values = (float *)(void *)buffer;
    uint32_t state = 9u + (uint32_t)run;
    if (is("constant")) {
        memset(buffer, 7, nbytes);
    } else if (is("warm-up") && run == 0) {
        memset(buffer, 0, nbytes);
    } else if (is("unit-bytes")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            buffer[i] = (uint8_t)(noise(&state) & 1u);
        }
    } else if (is("unit-floats") || is("float-bytes") || is("normalized")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u) / 255.0f;
        }
    } else if (is("tiny-floats")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u) / 255.0f * 0.01f;
        }
    } else if (is("pixel-floats")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u);
        }
    } else if (is("not-finite")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = i % 7 == 0 ? 0.0f / (float)(i * 0u) : 3.0f * (float)(i % 50u);
        }
    }
    return buffer;
}

/* The first input of the general API, with the mistakes that its structure can hold. */
static void break_input(rkabi_input *input, const rkabi_tensor_attr *attr, const rkabi_tensor_attr *native)
{
    if (is("fmt-nchw")) {
        input->fmt = RKABI_FMT_NCHW;
    } else if (is("fmt-undefined")) {
        input->fmt = RKABI_FMT_UNDEFINED;
    } else if (is("fmt-rank")) {
        input->fmt = RKABI_FMT_NHWC;
    } else if (is("size-small")) {
        input->size -= 10;
    } else if (is("size-big")) {
        input->size += 100;
    } else if (is("type-zero")) {
        input->type = RKABI_TYPE_FLOAT32;
    } else if (is("type-zero-full")) {
        input->type = RKABI_TYPE_FLOAT32;
        input->size = attr->n_elems * 4;
    } else if (is("type-refused")) {
        input->type = RKABI_TYPE_INT64;
        input->size = attr->n_elems * 8;
    } else if (is("int8-pixels")) {
        input->type = RKABI_TYPE_INT8;
    } else if (is("unit-floats") || is("pixel-floats") || is("normalized") || is("not-finite") || is("tiny-floats") ||
               is("float-data")) {
        input->type = RKABI_TYPE_FLOAT32;
        input->size = attr->n_elems * 4;
    } else if (is("pass-through")) {
        input->pass_through = 1;
    } else if (is("pass-through-native")) {
        input->pass_through = 1;
        input->type = native->type;
        input->fmt = native->fmt;
        input->size = native->size_with_stride;
    } else if (is("garbage")) {
        input->pass_through = 0x5a;
    } else if (is("type-99")) {
        input->type = (rkabi_type)99;
    } else if (is("null-buffer")) {
        input->buf = NULL;
    }
}

static void get_outputs(io *app, int run)
{
    rkabi_output outputs[MAX_IO];
    memset(outputs, 0, sizeof outputs);
    uint32_t n = app->number.n_output;
    for (uint32_t i = 0; i < n; i++) {
        outputs[i].index = is("output-index-zero") ? 0 : is("output-index-swapped") ? n - 1 - i : i;
        outputs[i].want_float = is("want-raw") || is("raw-as-float") || is("prealloc-raw") ? 0 : 1;
        if (is("prealloc") || is("prealloc-small") || is("raw-as-float") || is("prealloc-raw")) {
            outputs[i].is_prealloc = 1;
            outputs[i].size = app->out[i].n_elems * (is("prealloc-raw") ? type_size(app->out[i].type) : 4u);
            outputs[i].buf = allocate(outputs[i].size);
            if (is("prealloc-small")) {
                outputs[i].size /= 8;
            }
        }
    }
    if (is("output-garbage")) {
        outputs[0].want_float = 0xa5;
    } else if (is("output-range")) {
        outputs[n - 1].index = 127;
    }
    uint32_t count = is("output-few") ? n - 1 : n;
    int status = rknn_outputs_get(app->ctx, count, outputs, NULL);
    if (!is("output-range")) {
        check(status, "rknn_outputs_get");
    }
    if (status == 0 && !is("not-released")) {
        CHECK(rknn_outputs_release(app->ctx, count, outputs));
    }
    for (uint32_t i = 0; i < n; i++) {
        if (outputs[i].is_prealloc) {
            free(outputs[i].buf);
        }
    }
    (void)run;
}

static void general(io *app)
{
    rkabi_tensor_attr native = {.index = 0};
    CHECK(rknn_query(app->ctx, RKABI_QUERY_NATIVE_INPUT_ATTR, &native, sizeof native));
    if (is("get-before-run")) {
        get_outputs(app, 0);
    }
    uint32_t n = app->number.n_input;
    for (int run = 0; run < runs; run++) {
        rkabi_input inputs[MAX_IO + 1];
        memset(inputs, 0, sizeof inputs);
        void *buffers[MAX_IO];
        for (uint32_t i = 0; i < n; i++) {
            rkabi_type type = natural_type(&app->in[i]);
            size_t nbytes = (size_t)app->in[i].n_elems * type_size(type);
            if (i == 0) {
                buffers[i] = first_data(&app->in[i], type, nbytes, is("stale") ? 0 : run);
            } else {
                buffers[i] = allocate(nbytes);
                fill(buffers[i], type, app->in[i].n_elems, run * 3 + (int)i);
            }
            inputs[i] = (rkabi_input){.index = i,
                                      .buf = buffers[i],
                                      .size = (uint32_t)nbytes,
                                      .type = type,
                                      .fmt = app->in[i].n_dims == 4 ? RKABI_FMT_NHWC : RKABI_FMT_UNDEFINED};
        }
        break_input(&inputs[0], &app->in[0], &native);
        if (is("index-swapped") && n > 1) {
            inputs[0].index = 1;
            inputs[1].index = 0;
        } else if (is("index-same") && n > 1) {
            inputs[1].index = 0;
        }
        uint32_t count = is("inputs-few") ? n - 1 : is("inputs-many") ? n + 1 : n;
        if (!is("no-inputs")) {
            int status = rknn_inputs_set(is("context-zero") ? 0 : app->ctx, count, inputs);
            if (status != 0 && is("size-small-stop")) {
                exit(1);
            }
        }
        int status = rknn_run(app->ctx, NULL);
        (void)status;
        get_outputs(app, run);
        for (uint32_t i = 0; i < n; i++) {
            free(buffers[i]);
        }
    }
    if (is("core-mask-missing")) {
        (void)rknn_set_batch_core_num(app->ctx, 1);
    }
}

static rkabi_tensor_mem *bind(io *app, rkabi_tensor_attr *attr, uint32_t nbytes, rkabi_tensor_mem *shared)
{
    rkabi_tensor_mem *mem = shared != NULL ? shared : rknn_create_mem(app->ctx, nbytes);
    if (mem == NULL) {
        exit(6);
    }
    int status = rknn_set_io_mem(app->ctx, mem, attr);
    if (status != 0) {
        fprintf(stderr, "rknn_set_io_mem = %d\n", status);
    }
    return mem;
}

static void write_rows(const rkabi_tensor_attr *attr, const rkabi_tensor_attr *plain, unsigned char *target, int run)
{
    uint32_t element = type_size(attr->type);
    if (plain->n_dims != 4 || attr->w_stride == 0) {
        fill(target, attr->type, plain->n_elems, run);
        return;
    }
    uint32_t width = plain->dims[2], channels = plain->dims[3], stride = attr->w_stride;
    for (uint32_t y = 0; y < plain->dims[0] * plain->dims[1]; y++) {
        fill(target + (size_t)y * stride * channels * element, attr->type, width * channels, run * 1000 + (int)y);
    }
}

static void zero_copy(io *app)
{
    rkabi_tensor_mem *in_mem[MAX_IO], *out_mem[MAX_IO];
    rkabi_tensor_attr in[MAX_IO], out[MAX_IO];
    int plain = is("plain-query");
    uint32_t bound_out = is("unbound-output") ? app->number.n_output - 1 : app->number.n_output;
    for (uint32_t i = 0; i < app->number.n_input; i++) {
        in[i] = app->in[i];
        if (!plain) {
            in[i] = (rkabi_tensor_attr){.index = i};
            CHECK(rknn_query(app->ctx, RKABI_QUERY_NATIVE_INPUT_ATTR, &in[i], sizeof in[i]));
        }
        uint32_t nbytes = in[i].size_with_stride;
        if (in[i].n_dims == 4 && !is("zc-int8")) {
            in[i].type = RKABI_TYPE_UINT8;
        }
        if (is("zc-size")) {
            nbytes = in[i].size;
        } else if (is("zc-nchw")) {
            in[i].fmt = RKABI_FMT_NCHW;
        } else if (is("zc-nc1hwc2")) {
            in[i].fmt = RKABI_FMT_NC1HWC2;
        } else if (is("zc-stride")) {
            in[i].w_stride = app->in[i].dims[2];
        } else if (is("zc-name")) {
            snprintf(in[i].name, sizeof in[i].name, "no_such_tensor");
        }
        /* One of our own from the start when the memory is to come from outside. */
        if (is("external")) {
            void *address = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            rkabi_tensor_mem *outside = rknn_create_mem_from_fd(app->ctx, 0, address, nbytes, 0);
            in_mem[i] = bind(app, &in[i], nbytes, outside);
        } else if (is("non-cacheable")) {
            in_mem[i] = bind(app, &in[i], nbytes, rknn_create_mem2(app->ctx, nbytes, 2));
        } else {
            in_mem[i] = bind(app, &in[i], is("shared") ? nbytes + 65536 : nbytes, NULL);
        }
    }
    for (uint32_t i = 0; i < bound_out; i++) {
        out[i] = app->out[i];
        if (!plain) {
            out[i] = (rkabi_tensor_attr){.index = i};
            CHECK(rknn_query(app->ctx, RKABI_QUERY_NATIVE_OUTPUT_ATTR, &out[i], sizeof out[i]));
        }
        uint32_t nbytes = out[i].size_with_stride;
        if (is("zc-out-float")) {
            out[i].type = RKABI_TYPE_FLOAT32;
            nbytes *= 4;
        }
        if (is("shared-outputs")) {
            static void *common;
            if (common == NULL) {
                common = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
            }
            out_mem[i] = bind(app, &out[i], nbytes, rknn_create_mem_from_fd(app->ctx, 0, common, nbytes, 0));
            continue;
        }
        out_mem[i] = bind(app, &out[i], is("zc-out-small") ? nbytes / 2 : nbytes, is("shared") && i == 0 ? in_mem[0] : NULL);
    }
    for (int run = 0; run < runs; run++) {
        for (uint32_t i = 0; i < app->number.n_input; i++) {
            if (!is("zc-size")) {
                write_rows(&in[i], &app->in[i], in_mem[i]->virt_addr, is("stale") ? 0 : run);
            }
            if (!is("no-sync") && !is("no-flush") && !is("external") && !is("non-cacheable")) {
                CHECK(rknn_mem_sync(app->ctx, in_mem[i], RKABI_SYNC_TO_DEVICE));
            }
        }
        if (is("mixed")) {
            uint32_t nbytes = app->in[0].n_elems;
            unsigned char *pixels = first_data(&app->in[0], RKABI_TYPE_UINT8, nbytes, run);
            rkabi_input input = {0, pixels, nbytes, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
            CHECK(rknn_inputs_set(app->ctx, 1, &input));
            free(pixels);
        }
        (void)rknn_run(app->ctx, NULL);
        for (uint32_t i = 0; i < bound_out; i++) {
            if (!is("no-sync")) {
                CHECK(rknn_mem_sync(app->ctx, out_mem[i], RKABI_SYNC_FROM_DEVICE));
            }
        }
    }
    for (uint32_t i = 0; i < app->number.n_input && !is("memory-leak"); i++) {
        CHECK(rknn_destroy_mem(app->ctx, in_mem[i]));
    }
    if (is("use-freed")) {
        (void)rknn_set_io_mem(app->ctx, in_mem[0], &in[0]);
    }
    for (uint32_t i = 0; i < bound_out; i++) {
        if (!is("shared") || i > 0) {
            CHECK(rknn_destroy_mem(app->ctx, out_mem[i]));
        }
    }
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
    open_model(&apps[1]);
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
        open_model(&other);
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

/* The general API: rknn_inputs_set, rknn_run, rknn_outputs_get. */
#include <stdlib.h>
#include <string.h>

#include "lint_app.h"

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

void general(io *app)
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
        if (is("type-changes") && run > 0) {
            static float floats[1 << 20];
            for (uint32_t k = 0; k < app->in[0].n_elems; k++) {
                floats[k] = (float)((const unsigned char *)buffers[0])[k];
            }
            inputs[0].buf = floats;
            inputs[0].type = RKABI_TYPE_FLOAT32;
            inputs[0].size = app->in[0].n_elems * 4;
        }
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

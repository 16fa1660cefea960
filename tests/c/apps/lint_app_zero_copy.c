/* Zero-copy: memories bound to tensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lint_app.h"

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

void zero_copy(io *app)
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
        } else if (in[i].n_dims != 4) {
            in[i].pass_through = 1; /* native already: 1.5.2 does not take int8 data of other ranks otherwise */
        }
        if (is("zc-float")) {
            in[i].type = RKABI_TYPE_FLOAT32;
            nbytes *= 4;
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
        if (is("zc-out-int8")) {
            out[i] = app->out[i];
            out[i].type = RKABI_TYPE_INT8;
            nbytes = out[i].n_elems * 4;
        }
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

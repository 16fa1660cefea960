/* The zero-copy API: rknn_create_mem, rknn_set_io_mem, rknn_destroy_mem. */
#include <string.h>

#include "runtime/session_private.h"
#include "runtime/tensor.h"

void rkrt_unbind(rkrt_session *session, rkrt_bound *bound)
{
    if (bound->mem && session->library.destroy_mem) {
        session->library.destroy_mem(session->context, bound->mem);
    }
    bound->mem = NULL;
}

static int require_zero_copy(const rkrt_session *session, rkrt_error *error)
{
    if (rkrt_require(&session->library, session->library.create_mem != NULL, "rknn_create_mem", error) != 0 ||
        rkrt_require(&session->library, session->library.destroy_mem != NULL, "rknn_destroy_mem", error) != 0) {
        return -1;
    }
    return rkrt_require(&session->library, session->library.set_io_mem != NULL, "rknn_set_io_mem", error);
}

/* How an input lies in its memory: for each image, `rows` of `row_nbytes`, `stride_nbytes` apart, in `rows_with_stride` places. */
typedef struct rows {
    uint64_t images;
    uint64_t rows;
    uint64_t rows_with_stride;
    uint64_t row_nbytes;
    uint64_t stride_nbytes;
    uint64_t dense_nbytes;
    uint64_t strided_nbytes;
} rows;

/*
 * Rows exist in NHWC tensors of four dimensions only; w_stride is in pixels and h_stride in rows (RKNN manual, zero-copy
 * API; read so by the library: evidence 160_b25_zc_c3w30_u8_int8). Everything else is one row without a gap.
 */
static bool lay_out(const rkabi_tensor_attr *attr, uint64_t element_nbytes, rows *layout)
{
    bool fits;

    memset(layout, 0, sizeof *layout);
    layout->images = layout->rows = layout->rows_with_stride = 1;
    if (attr->fmt == RKABI_FMT_NHWC && attr->n_dims == 4) {
        uint64_t pixel = 0, width = attr->dims[2], stride = attr->w_stride > width ? attr->w_stride : width;
        layout->images = attr->dims[0];
        layout->rows = attr->dims[1];
        layout->rows_with_stride = attr->h_stride > layout->rows ? attr->h_stride : layout->rows;
        fits = rkrt_multiply(attr->dims[3], element_nbytes, &pixel) && rkrt_multiply(pixel, width, &layout->row_nbytes) &&
               rkrt_multiply(pixel, stride, &layout->stride_nbytes);
    } else {
        uint64_t count;
        fits = rkrt_count_elements(attr->n_dims, attr->dims, &count) &&
               rkrt_multiply(count, element_nbytes, &layout->row_nbytes);
        layout->stride_nbytes = layout->row_nbytes;
    }
    return fits && rkrt_multiply(layout->images, layout->rows, &layout->dense_nbytes) &&
           rkrt_multiply(layout->dense_nbytes, layout->row_nbytes, &layout->dense_nbytes) &&
           rkrt_multiply(layout->images, layout->rows_with_stride, &layout->strided_nbytes) &&
           rkrt_multiply(layout->strided_nbytes, layout->stride_nbytes, &layout->strided_nbytes);
}

static void copy_rows(const rows *layout, const unsigned char *from, unsigned char *to)
{
    for (uint64_t image = 0; image < layout->images; image++) {
        for (uint64_t row = 0; row < layout->rows; row++) {
            uint64_t source = (image * layout->rows + row) * layout->row_nbytes;
            uint64_t target = (image * layout->rows_with_stride + row) * layout->stride_nbytes;
            memcpy(to + target, from + source, (size_t)layout->row_nbytes);
        }
    }
}

static int bind(rkrt_session *session, rkrt_bound *bound, uint64_t nbytes, rkrt_error *error)
{
    rkrt_unbind(session, bound);
    if (nbytes == 0 || nbytes > UINT32_MAX) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_create_mem", "tensor '%s' would need a memory of %llu bytes",
                         bound->attr.name, (unsigned long long)nbytes);
    }
    bound->mem = session->library.create_mem(session->context, (uint32_t)nbytes);
    if (!bound->mem || !bound->mem->virt_addr || bound->mem->size < nbytes) {
        rkrt_unbind(session, bound);
        return rkrt_fail(error, RKRT_ERROR_CALL, RKABI_ERR_MALLOC_FAIL, "rknn_create_mem",
                         "rknn_create_mem gave no memory of %llu bytes for tensor '%s'", (unsigned long long)nbytes,
                         bound->attr.name);
    }
    return 0;
}

static int set_io_mem(rkrt_session *session, rkrt_bound *bound, rkrt_error *error)
{
    int status = session->library.set_io_mem(session->context, bound->mem, &bound->attr);

    if (status != RKABI_OK) {
        rkrt_unbind(session, bound);
        return rkrt_fail_call(error, "rknn_set_io_mem", status);
    }
    return 0;
}

/* Attributes to bind an input with: the native ones when the bytes are native, else the plain ones in the caller's type. */
static int input_attr(rkrt_session *session, uint32_t index, const rkrt_input *input, rkabi_tensor_attr *attr,
                      rkrt_error *error)
{
    if (input->pass_through) {
        if (rkrt_session_attr(session, RKABI_QUERY_NATIVE_INPUT_ATTR, index, attr, error) != 0) {
            return -1;
        }
        attr->pass_through = 1;
    } else {
        *attr = session->input_attrs[index];
        attr->fmt = (rkabi_fmt)input->fmt;
        attr->pass_through = 0;
    }
    return 0;
}

int rkrt_session_bind_input(rkrt_session *session, uint32_t index, const rkrt_input *input, rkrt_error *error)
{
    rkrt_bound *bound;
    rows layout;
    uint64_t native_size, type_size, nbytes;

    if (require_zero_copy(session, error) != 0) {
        return -1;
    }
    if (index >= session->n_inputs || !input->data) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_io_mem", "input %u does not exist or has no data", index);
    }
    bound = &session->bound_inputs[index];
    rkrt_unbind(session, bound);
    if (input_attr(session, index, input, &bound->attr, error) != 0) {
        return -1;
    }
    native_size = rkrt_type_size((int)bound->attr.type);
    if (!input->pass_through) {
        bound->attr.type = (rkabi_type)input->type;
    }
    type_size = rkrt_type_size((int)bound->attr.type);
    if (type_size == 0 || native_size == 0 || !lay_out(&bound->attr, type_size, &layout)) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_io_mem", "input %u ('%s') cannot be given as type %s", index,
                         bound->attr.name, rkrt_type_name(input->type));
    }
    nbytes = bound->attr.size_with_stride;
    if (type_size > native_size) {
        /* size_with_stride counts bytes of the native type; FLOAT32 into an INT8 input needs four times that. */
        nbytes = nbytes / native_size * type_size;
    }
    nbytes = layout.strided_nbytes > nbytes ? layout.strided_nbytes : nbytes;
    if (input->nbytes != layout.dense_nbytes && !(input->pass_through && input->nbytes == nbytes)) {
        rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_io_mem", "input %u ('%s') has %llu bytes; its shape in %s needs %llu",
                  index, bound->attr.name, (unsigned long long)input->nbytes, rkrt_type_name((int)bound->attr.type),
                  (unsigned long long)layout.dense_nbytes);
        return rkrt_hint(error, "give the input in the model's shape and in the type declared for it");
    }
    if (bind(session, bound, nbytes, error) != 0) {
        return -1;
    }
    memset(bound->mem->virt_addr, 0, (size_t)nbytes);
    if (input->nbytes == layout.dense_nbytes) {
        copy_rows(&layout, input->data, bound->mem->virt_addr);
    } else {
        memcpy(bound->mem->virt_addr, input->data, (size_t)nbytes);
    }
    return set_io_mem(session, bound, error);
}

int rkrt_session_bind_output(rkrt_session *session, uint32_t index, const rkrt_output_request *request, rkrt_error *error)
{
    rkrt_bound *bound;
    uint64_t nbytes, count;

    if (require_zero_copy(session, error) != 0) {
        return -1;
    }
    if (index >= session->n_outputs) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_io_mem", "output %u does not exist; the model has %u", index,
                         session->n_outputs);
    }
    bound = &session->bound_outputs[index];
    rkrt_unbind(session, bound);
    if (request->native) {
        if (rkrt_session_attr(session, RKABI_QUERY_NATIVE_OUTPUT_ATTR, index, &bound->attr, error) != 0) {
            return -1;
        }
    } else {
        bound->attr = session->output_attrs[index];
        if (request->type >= 0) {
            bound->attr.type = (rkabi_type)request->type;
        } else if (request->want_float && bound->attr.type != RKABI_TYPE_INT64) {
            bound->attr.type = RKABI_TYPE_FLOAT32;
        }
        if (request->fmt >= 0) {
            bound->attr.fmt = (rkabi_fmt)request->fmt;
        }
    }
    if (!rkrt_count_elements(bound->attr.n_dims, bound->attr.dims, &count) ||
        !rkrt_multiply(count, rkrt_type_size((int)bound->attr.type), &bound->view_nbytes) || bound->view_nbytes == 0) {
        return rkrt_fail(error, RKRT_ERROR_USAGE, 0, "rknn_set_io_mem", "output %u ('%s') cannot be given as type %s", index,
                         bound->attr.name, rkrt_type_name((int)bound->attr.type));
    }
    nbytes = bound->attr.size_with_stride > bound->view_nbytes ? bound->attr.size_with_stride : bound->view_nbytes;
    if (bind(session, bound, nbytes, error) != 0) {
        return -1;
    }
    return set_io_mem(session, bound, error);
}

int rkrt_bound_output(rkrt_session *session, uint32_t index, rkrt_output_view *view, rkrt_error *error)
{
    const rkrt_bound *bound = &session->bound_outputs[index];
    const rkabi_tensor_attr *plain = &session->output_attrs[index];

    (void)error;
    view->data = bound->mem->virt_addr;
    view->nbytes = bound->view_nbytes;
    view->type = (int)bound->attr.type;
    view->fmt = (int)bound->attr.fmt;
    view->n_dims = bound->attr.n_dims;
    memcpy(view->dims, bound->attr.dims, sizeof view->dims);
    /* The attributes' dimensions stay in the plain order whatever layout is asked for; the values are in the one asked for. */
    if (bound->attr.fmt == RKABI_FMT_NHWC && plain->fmt == RKABI_FMT_NCHW && view->n_dims == 4) {
        view->dims[1] = bound->attr.dims[2];
        view->dims[2] = bound->attr.dims[3];
        view->dims[3] = bound->attr.dims[1];
    }
    view->untouched = rkrt_is_pattern(view->data, view->nbytes);
    return 0;
}

#include "layer/describe.h"

#include <string.h>

#include "layer/names.h"
#include "layer/readable.h"

void rkl_put_type(struct rkl_text *text, const char *key, int64_t type)
{
    rkl_put_name(text, key, rkl_type_name(type), type);
}

void rkl_put_fmt(struct rkl_text *text, const char *key, int64_t fmt)
{
    rkl_put_name(text, key, rkl_fmt_name(fmt), fmt);
}

void rkl_put_attr(struct rkl_text *text, const char *key, const rkabi_tensor_attr *attr)
{
    const uint32_t n_dims = attr->n_dims < RKABI_MAX_DIMS ? attr->n_dims : RKABI_MAX_DIMS;
    rkl_open(text, key, '{');
    rkl_put_uint(text, "index", attr->index);
    rkl_put_text(text, "name", attr->name, sizeof attr->name);
    rkl_put_uint(text, "n_dims", attr->n_dims);
    rkl_open(text, "dims", '[');
    for (uint32_t i = 0; i < n_dims; i++) {
        rkl_put_uint(text, NULL, attr->dims[i]);
    }
    rkl_close(text, ']');
    rkl_put_uint(text, "n_elems", attr->n_elems);
    rkl_put_uint(text, "size", attr->size);
    rkl_put_fmt(text, "fmt", (int32_t)attr->fmt);
    rkl_put_type(text, "type", (int32_t)attr->type);
    rkl_put_name(text, "qnt_type", rkl_qnt_name((int32_t)attr->qnt_type), (int32_t)attr->qnt_type);
    rkl_put_int(text, "fl", attr->fl);
    rkl_put_int(text, "zp", attr->zp);
    rkl_put_number(text, "scale", (double)attr->scale);
    rkl_put_uint(text, "w_stride", attr->w_stride);
    rkl_put_uint(text, "size_with_stride", attr->size_with_stride);
    rkl_put_uint(text, "pass_through", attr->pass_through);
    rkl_put_uint(text, "h_stride", attr->h_stride);
    rkl_close(text, '}');
}

void rkl_put_attrs(struct rkl_text *text, const char *key, const struct rkl_attrs *attrs)
{
    rkl_open(text, key, '[');
    for (uint32_t i = 0; i < attrs->n; i++) {
        rkl_put_attr(text, NULL, &attrs->list[i]);
    }
    rkl_close(text, ']');
}

void rkl_put_memory(struct rkl_text *text, rkabi_tensor_mem *mem)
{
    rkabi_tensor_mem copy = {.fd = -1};
    const uint32_t number = mem ? rkl_memory_number(mem) : 0;
    if (!mem) {
        rkl_put_null(text, "memory");
        return;
    }
    if (number > 0) {
        copy = *mem;
    } else if (rkl_copy_proven(&copy, mem, sizeof copy) < sizeof copy) {
        copy = (rkabi_tensor_mem){.fd = -1};
    }
    rkl_open(text, "memory", '{');
    rkl_put_uint(text, "id", number);
    rkl_put_pointer(text, "address", mem);
    rkl_put_pointer(text, "virt_addr", copy.virt_addr);
    rkl_put_hex(text, "phys_addr", copy.phys_addr);
    rkl_put_int(text, "fd", copy.fd);
    rkl_put_int(text, "offset", copy.offset);
    rkl_put_uint(text, "size", copy.size);
    rkl_put_uint(text, "flags", copy.flags);
    rkl_close(text, '}');
}

uint32_t rkl_copy_array(void *to, const void *from, uint32_t n, uint32_t known, size_t element, bool *unreadable)
{
    const uint32_t wanted = n < RKL_MAX_LISTED ? n : RKL_MAX_LISTED;
    uint32_t copied = 0;
    if (from && wanted > 0 && n <= known) {
        rkl_copy_raw(to, from, wanted * element);
        copied = wanted;
    } else if (from && wanted > 0) {
        copied = (uint32_t)(rkl_copy_proven(to, from, wanted * element) / element);
    }
    *unreadable = copied < wanted;
    return copied;
}

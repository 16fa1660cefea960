#include "emulator/attributes.h"

#include <stdio.h>
#include <string.h>

#include "emulator/element.h"
#include "emulator/log.h"

#define FLAT_GROUP_NBYTES 16u

static uint32_t round_up(uint32_t value, uint32_t step) {
    return (value + step - 1) / step * step;
}

static void set_dims(rkabi_tensor_attr *attr, rkabi_fmt fmt, uint32_t n_dims, const uint32_t *dims) {
    attr->fmt = fmt;
    attr->n_dims = n_dims;
    memcpy(attr->dims, dims, n_dims * sizeof *dims);
}

static void describe(const emu_context *context, const emu_tensor *tensor, uint32_t index, rkabi_tensor_attr *attr) {
    memset(attr, 0, sizeof *attr);
    attr->index = index;
    snprintf(attr->name, sizeof attr->name, "%s", tensor->name);
    attr->type = tensor->type;
    /* Affine for every tensor, float ones with zp 0 and scale 1 (evidence 160_*: INPUT_ATTR, OUTPUT_ATTR). */
    attr->qnt_type = RKABI_QNT_AFFINE_ASYMMETRIC;
    attr->zp = tensor->zero_point;
    attr->scale = tensor->scale;
    if (context->version->mini && tensor->type != RKABI_TYPE_INT8) /* evidence mrt232_ids */
        attr->scale = 0.0f;
    attr->n_elems = (uint32_t)tensor->n_elems;
    attr->size = (uint32_t)(tensor->n_elems * emu_type_nbytes(tensor->type));
    attr->size_with_stride = attr->size;
    set_dims(attr, RKABI_FMT_UNDEFINED, tensor->n_dims, tensor->dims);
}

static void set_nhwc(const emu_tensor *tensor, rkabi_tensor_attr *attr) {
    const uint32_t *d = tensor->dims;
    uint32_t dims[4] = {d[0], d[2], d[3], d[1]};
    set_dims(attr, RKABI_FMT_NHWC, 4, dims);
}

static void set_grouped(const emu_tensor *tensor, const emu_layout *layout, rkabi_tensor_attr *attr) {
    bool padded = layout->plane != (size_t)layout->h * layout->w;
    uint32_t dims[5] = {layout->n, layout->c1, padded ? 1 : layout->h, padded ? (uint32_t)layout->plane : layout->w,
                        layout->c2};
    set_dims(attr, RKABI_FMT_NC1HWC2, 5, dims);
    attr->n_elems = (uint32_t)layout->slots;
    attr->size = (uint32_t)(layout->slots * emu_type_nbytes(tensor->type));
    attr->size_with_stride = attr->size;
}

void emu_input_attribute(const emu_context *context, const emu_model *model, uint32_t index, emu_view view,
                         rkabi_tensor_attr *attr) {
    const emu_tensor *tensor = &model->tensors[model->inputs[index].tensor];
    emu_layout layout = emu_layout_of_input(tensor, context->chip);
    describe(context, tensor, index, attr);
    if (!emu_tensor_is_4d(tensor)) {
        if (context->version->pads_flat_input && view == EMU_VIEW_PLAIN)
            attr->size_with_stride = round_up(attr->size, FLAT_GROUP_NBYTES); /* evidence 152_b25_d2_f32_int8: 20 -> 32 */
        return;
    }
    set_nhwc(tensor, attr);
    attr->w_stride = layout.arrangement == EMU_NHWC ? layout.w_stride : layout.w;
    if (layout.arrangement == EMU_NHWC)
        attr->size_with_stride = (uint32_t)(layout.slots * emu_type_nbytes(tensor->type));
    else if (view == EMU_VIEW_NATIVE)
        set_grouped(tensor, &layout, attr); /* evidence mrt232_c16 */
}

/* Every view of the mini runtime's outputs: no notes, NHWC with whole groups of channels (evidence mrt232_b2, mrt232_c16). */
static void describe_mini_output(const emu_context *context, const emu_tensor *tensor, emu_view view, rkabi_tensor_attr *attr) {
    if (!emu_tensor_is_4d(tensor)) {
        if (view == EMU_VIEW_NATIVE) /* the memory's size, not the elements' (evidence mrt232_d1: 320 for 20, mrt232_ids) */
            attr->size = attr->size_with_stride = tensor->memory_nbytes;
        return;
    }
    set_dims(attr, RKABI_FMT_NCHW, 4, tensor->dims);
    emu_layout native = emu_layout_of_native_output(tensor);
    if (view == EMU_VIEW_NATIVE && native.arrangement == EMU_NC1HWC2) {
        set_grouped(tensor, &native, attr);
        attr->w_stride = tensor->dims[3];
    } else if (view == EMU_VIEW_NATIVE_NHWC) {
        set_nhwc(tensor, attr);
        uint32_t channels = round_up(tensor->dims[1], emu_chip_c2(context->chip, tensor->type));
        attr->size_with_stride = tensor->dims[0] * tensor->dims[2] * tensor->dims[3] * channels *
                                 (uint32_t)emu_type_nbytes(tensor->type);
    }
}

void emu_output_attribute(const emu_context *context, const emu_model *model, uint32_t index, emu_view view,
                          rkabi_tensor_attr *attr) {
    const emu_tensor *tensor = &model->tensors[model->outputs[index]];
    describe(context, tensor, index, attr);
    if (context->version->mini) {
        describe_mini_output(context, tensor, view, attr);
        return;
    }
    uint32_t nbytes = (uint32_t)emu_type_nbytes(tensor->type);
    if (emu_tensor_is_4d(tensor))
        set_dims(attr, RKABI_FMT_NCHW, 4, tensor->dims);
    if (view == EMU_VIEW_NATIVE_NHWC) {
        if (emu_tensor_is_4d(tensor))
            set_nhwc(tensor, attr);
        /* int8 is padded to 16 bytes, float16 to 8 (evidence 160_b25_*, 160_c25_*: 1350 -> 1360, 20 -> 24, 40 -> 40). */
        uint32_t step = tensor->type == RKABI_TYPE_INT8 ? 16 : tensor->type == RKABI_TYPE_FLOAT16 ? 8 : 1;
        attr->size_with_stride = round_up(attr->size, step);
        if (attr->size_with_stride != attr->size)
            emu_log(context->level, 'W', "rknn_query, RKNN_QUERY_NATIVE_NHWC_OUTPUT_ATTR, output memory need alloc %u",
                    attr->size_with_stride);
        return;
    }
    if (!emu_tensor_is_4d(tensor))
        return;
    emu_layout native = emu_layout_of_native_output(tensor);
    if (view == EMU_VIEW_NATIVE) {
        if (native.arrangement == EMU_NC1HWC2)
            set_grouped(tensor, &native, attr);
        return;
    }
    /* Channels and width both rounded up to C2 (evidence 160_b25_c3w30_*: 5 x 9 x 30 gives 16 x 9 x 32 bytes in int8). C2 is that of
       the type of the memory bound last (evidence seq_25_*; nine more answers of the real 1.5.2 agree). */
    const emu_binding *binding = &context->outputs[index].binding;
    uint32_t c2 = emu_chip_c2(context->chip, binding->mem != NULL ? binding->attr.type : tensor->type);
    attr->size_with_stride = tensor->dims[0] * round_up(tensor->dims[1], c2) * tensor->dims[2] *
                             round_up(tensor->dims[3], c2) * nbytes;
    if (attr->size_with_stride > attr->size)
        emu_log(context->level, context->version->stride_letter,
                "Output(%s): size_with_stride larger than model origin size, if need run OutputOperator in NPU, please call "
                "rknn_create_memory using size_with_stride.",
                tensor->name);
}

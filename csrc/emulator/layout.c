#include "emulator/layout.h"

#include <string.h>

#include "emulator/element.h"

static uint32_t round_up(uint32_t value, uint32_t step) {
    return (value + step - 1) / step * step;
}

emu_chip emu_chip_of_platform(const char *platform) {
    bool small = platform != NULL && (strcmp(platform, "rk3566") == 0 || strcmp(platform, "rk3568") == 0);
    return (emu_chip){small ? 8u : 16u};
}

uint32_t emu_chip_c2(emu_chip chip, rkabi_type type) {
    size_t nbytes = emu_type_nbytes(type);
    uint32_t c2 = nbytes > 0 ? chip.vector_nbytes / (uint32_t)nbytes : 1;
    return c2 > 0 ? c2 : 1;
}

bool emu_tensor_is_4d(const emu_tensor *tensor) {
    return tensor->n_dims == 4;
}

bool emu_tensor_is_image(const emu_tensor *tensor) {
    return emu_tensor_is_4d(tensor) && (tensor->dims[1] == 1 || tensor->dims[1] == 3 || tensor->dims[1] == 4);
}

emu_layout emu_layout_plain(const emu_tensor *tensor, emu_arrangement arrangement, uint32_t w_stride) {
    emu_layout layout = {.arrangement = EMU_FLAT, .slots = tensor->n_elems};
    if (!emu_tensor_is_4d(tensor) || arrangement == EMU_FLAT)
        return layout;
    layout.arrangement = arrangement;
    layout.n = tensor->dims[0];
    layout.c = tensor->dims[1];
    layout.h = tensor->dims[2];
    layout.w = tensor->dims[3];
    layout.w_stride = w_stride > layout.w ? w_stride : layout.w;
    layout.slots = (size_t)layout.n * layout.h * layout.w_stride * layout.c;
    return layout;
}

static emu_layout grouped(const emu_tensor *tensor, uint32_t c1, uint32_t c2, size_t plane) {
    emu_layout layout = emu_layout_plain(tensor, EMU_NC1HWC2, 0);
    layout.c1 = c1;
    layout.c2 = c2;
    layout.plane = plane;
    layout.slots = (size_t)layout.n * c1 * plane * c2;
    return layout;
}

emu_layout emu_layout_of_input(const emu_tensor *tensor, emu_chip chip) {
    if (!emu_tensor_is_4d(tensor))
        return emu_layout_plain(tensor, EMU_FLAT, 0);
    uint32_t c2 = emu_chip_c2(chip, tensor->type);
    if (emu_tensor_is_image(tensor))
        return emu_layout_plain(tensor, EMU_NHWC, round_up(tensor->dims[3], c2));
    return grouped(tensor, (tensor->dims[1] + c2 - 1) / c2, c2, (size_t)tensor->dims[2] * tensor->dims[3]);
}

emu_layout emu_layout_of_native_output(const emu_tensor *tensor) {
    const uint32_t *native = tensor->native;
    if (!emu_tensor_is_4d(tensor) || tensor->n_native != 5 || native[4] == 0 ||
        (uint64_t)native[1] * native[4] < tensor->dims[1] || native[2] != tensor->dims[2] || native[3] != tensor->dims[3] ||
        (uint64_t)native[1] * native[4] > (1u << 24))
        return emu_layout_plain(tensor, EMU_FLAT, 0);
    /* A surface of 270 pixels is stored as 1 x 272 (evidence 160_b25_c3w30_u8_int8), of 64 as it is: padded to 4. */
    return grouped(tensor, native[1], native[4], round_up(native[2] * native[3], EMU_SURFACE_ALIGNMENT));
}

emu_layout emu_layout_of_surface(const emu_tensor *tensor, emu_chip chip, uint32_t alignment) {
    if (!emu_tensor_is_4d(tensor))
        return emu_layout_plain(tensor, EMU_FLAT, 0);
    uint32_t c2 = emu_chip_c2(chip, tensor->type);
    return grouped(tensor, (tensor->dims[1] + c2 - 1) / c2, c2, round_up(tensor->dims[2] * tensor->dims[3], alignment));
}

size_t emu_layout_slot(const emu_layout *layout, uint32_t n, uint32_t c, uint32_t h, uint32_t w) {
    switch (layout->arrangement) {
    case EMU_NHWC:
        return (((size_t)n * layout->h + h) * layout->w_stride + w) * layout->c + c;
    case EMU_NC1HWC2:
        return (((size_t)n * layout->c1 + c / layout->c2) * layout->plane + (size_t)h * layout->w + w) * layout->c2 +
               c % layout->c2;
    default:
        return (((size_t)n * layout->c + c) * layout->h + h) * layout->w + w;
    }
}

void emu_layout_copy(const emu_layout *from, const void *source, const emu_layout *to, void *target, size_t to_nbytes,
                     size_t nbytes) {
    const uint8_t *in = source;
    uint8_t *out = target;
    if (from->arrangement == EMU_FLAT || to->arrangement == EMU_FLAT ||
        (from->arrangement == EMU_NCHW && to->arrangement == EMU_NCHW)) {
        size_t slots = from->slots < to->slots ? from->slots : to->slots;
        size_t count = slots * nbytes < to_nbytes ? slots * nbytes : to_nbytes;
        memcpy(out, in, count);
        return;
    }
    for (uint32_t n = 0; n < from->n; n++)
        for (uint32_t c = 0; c < from->c; c++)
            for (uint32_t h = 0; h < from->h; h++)
                for (uint32_t w = 0; w < from->w; w++) {
                    size_t at = emu_layout_slot(to, n, c, h, w) * nbytes;
                    if (at + nbytes <= to_nbytes)
                        memcpy(out + at, in + emu_layout_slot(from, n, c, h, w) * nbytes, nbytes);
                }
}

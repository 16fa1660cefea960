/* Where an element of a 4-D tensor lies in native memory. */
#ifndef RKPARITY_EMULATOR_LAYOUT_H
#define RKPARITY_EMULATOR_LAYOUT_H

#include <stdbool.h>

#include "emulator/model.h"

/* Facts about a chip family (RKNN manual: C2 of NC1HWC2, w_stride; evidence 160_*, mrt232_*: the attributes). */
typedef struct emu_chip {
    uint32_t vector_nbytes; /* bytes of one C2 group: 16, on RK3566/3568 8 */
} emu_chip;

emu_chip emu_chip_of_platform(const char *platform);
/* C2 of the chip for elements of `type`: 16 for int8 and 8 for float16 on RK3588. */
uint32_t emu_chip_c2(emu_chip chip, rkabi_type type);

typedef enum emu_arrangement { EMU_FLAT, EMU_NCHW, EMU_NHWC, EMU_NC1HWC2 } emu_arrangement;

/* A tensor's memory: `slots` elements, padding included. For EMU_FLAT only `slots` counts. */
typedef struct emu_layout {
    emu_arrangement arrangement;
    uint32_t n, c, h, w;
    uint32_t w_stride;   /* NHWC: pixels from row to row */
    uint32_t c1, c2;     /* NC1HWC2 */
    size_t plane;        /* NC1HWC2: pixels of one H x W surface, padding included */
    size_t slots;
} emu_layout;

bool emu_tensor_is_4d(const emu_tensor *tensor);
/* Channel counts that the input DMA takes as pixels (evidence: "enable argb mode"): 1, 3 and 4. */
bool emu_tensor_is_image(const emu_tensor *tensor);

/* The memory of a model input: NHWC with w_stride for images, NC1HWC2 for other 4-D tensors, else flat. */
emu_layout emu_layout_of_input(const emu_tensor *tensor, emu_chip chip);
/* NC1HWC2 surfaces begin at a multiple of this many pixels. */
#define EMU_SURFACE_ALIGNMENT 4u
/* The memory of a tensor between two layers: NC1HWC2, with no more groups than its channels need, surfaces padded to
   `alignment` pixels; flat when not 4-D. */
emu_layout emu_layout_of_surface(const emu_tensor *tensor, emu_chip chip, uint32_t alignment);
/* The native memory of a model output: NC1HWC2 where the compiler chose five dimensions, else flat. */
emu_layout emu_layout_of_native_output(const emu_tensor *tensor);
/* A logical tensor as NCHW, NHWC (rows `w_stride` pixels apart) or, when it is not 4-D, flat. */
emu_layout emu_layout_plain(const emu_tensor *tensor, emu_arrangement arrangement, uint32_t w_stride);

/* The slot of element (n, c, h, w). */
size_t emu_layout_slot(const emu_layout *layout, uint32_t n, uint32_t c, uint32_t h, uint32_t w);
/* Copies every element of `from` to its place in `to`; both describe the same logical tensor; elements have `nbytes` bytes.
   Elements beyond `to_nbytes` bytes of `to` are left out. Padding is not written. */
void emu_layout_copy(const emu_layout *from, const void *source, const emu_layout *to, void *target, size_t to_nbytes,
                     size_t nbytes);

#endif

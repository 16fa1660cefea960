/* The output buffers that rknn_outputs_get hands out, and which of them rknn_outputs_release has not had yet. */
#ifndef RKPARITY_EMULATOR_HANDED_OUT_H
#define RKPARITY_EMULATOR_HANDED_OUT_H

#include <stdbool.h>
#include <stddef.h>

/* A new buffer; NULL when memory is short. */
void *emu_handed_out_allocate(size_t nbytes);
/* Frees one; false, and nothing is freed, for a pointer that is none of them. */
bool emu_handed_out_free(void *buffer);

#endif

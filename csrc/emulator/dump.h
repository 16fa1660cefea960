/* The dump files of a run. */
#ifndef RKPARITY_EMULATOR_DUMP_H
#define RKPARITY_EMULATOR_DUMP_H

#include "emulator/context.h"

/* Dumping begins at level 5 (evidence 160_loglevel_*). */
bool emu_dump_wanted(const emu_context *context);

/* Writes one tensor under operator `node`'s index, as RKNN_DUMP_DIR and RKNN_DUMP_QUANT say. `values` are elements of `held`:
   the tensor's own type, FLOAT32 for dequantised values, or UINT8 for pixels before the NPU's normalisation. */
void emu_dump(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held, const uint8_t *values);

/* The dump of an InputOperator; -1 where the mini runtime crashes: int64 and five dimensions (evidence mrt232_ids, mrt232_d5). */
int emu_dump_input(const emu_context *context, uint32_t node, const emu_tensor *tensor, rkabi_type held, const uint8_t *values);

#endif

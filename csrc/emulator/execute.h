/* One run of a model. */
#ifndef RKPARITY_EMULATOR_EXECUTE_H
#define RKPARITY_EMULATOR_EXECUTE_H

#include "emulator/context.h"

/* Converts bound inputs, has the server compute, dumps, fills bound outputs. Returns an RKABI status. */
int emu_execute(emu_context *context);

#endif

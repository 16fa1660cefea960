/* The tables of layers and of operator types: in the log from level 4 on, and for RKNN_QUERY_PERF_DETAIL. */
#ifndef RKPARITY_EMULATOR_PERFORMANCE_H
#define RKPARITY_EMULATOR_PERFORMANCE_H

#include "emulator/context.h"

/* After a run: keeps the text when the flag RKABI_FLAG_COLLECT_PERF or the level asks for it, and logs it. The times are the
   emulator's: the CPU's operators have theirs, the layers have one in common, the simulator's. */
void emu_performance_note(emu_context *context);

#endif

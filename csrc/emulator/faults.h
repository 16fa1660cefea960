/* Faults to order (RKPARITY_EMULATOR_FAULTS): the server reads the orders, this side has what only the library can do. */
#ifndef RKPARITY_EMULATOR_FAULTS_H
#define RKPARITY_EMULATOR_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/buffer.h"

/* No operator. */
#define EMU_NO_NODE 0xffffffffu

typedef struct emu_faults {
    uint32_t failing_node; /* the run fails at this operator */
    uint32_t full_node;    /* the dump directory is full from this operator's files on */
} emu_faults;

/* Appends the orders as a text to a run's request, from the variable and the file `librknnrt.faults` beside the library, and says in
   the log that there are some. False when they are too long or cannot be read. */
bool emu_faults_send(int level, emu_writer *request);
/* How many of a dump file's bytes the directory takes: all, half of them, none. */
uint64_t emu_faults_room(const emu_faults *faults, uint32_t node, uint64_t nbytes);

#endif

/* Which runtime is emulated: RKPARITY_EMULATOR_VERSION, read by rknn_init. docs/emulator.md says what differs. */
#ifndef RKPARITY_EMULATOR_VERSION_H
#define RKPARITY_EMULATOR_VERSION_H

#include <stdbool.h>

typedef struct emu_version {
    const char *name;       /* the variable's value */
    const char *number;     /* what the library says of itself */
    const char *library;    /* its name in the log */
    const char *punctuation; /* behind "Runtime Information" */
    bool mini;              /* librknnmrt of RV1103 and RV1106: zero-copy only */
    bool nchw_crashes;      /* a 4-D general input with fmt NCHW; otherwise refused with a line and status 0 */
    bool pads_flat_input;   /* size_with_stride of an input that is not 4-D counts whole groups of 16 bytes */
    bool quantizes_flat_int8; /* an int8 buffer for an input that is not 4-D is taken as it is; otherwise refused */
    bool names_unknown_type; /* a line of its own for an element type that does not exist */
    char stride_letter;     /* the level of the note about an output's size_with_stride */
    bool failed_operator_ends_run; /* an InputOperator or OutputOperator that cannot convert; otherwise a line, and status 0 */
    bool takes_bool;          /* bool data into an int8 input */
    bool takes_all_cores;     /* core mask 0xffff */
    bool checks_output_index; /* rknn_outputs_get notes indices that are not the places, and refuses those out of range */
    int null_context_code;    /* what rknn_init without a place for the context returns; 0: -6 */
    int last_query;         /* highest command that rknn_query answers */
} emu_version;

/* The version asked for; NULL when the variable names none of them. Unset or empty: 1.6.0; in
   librknnmrt mini-2.3.2. */
const emu_version *emu_version_from_environment(void);
/* The values RKPARITY_EMULATOR_VERSION may have. */
#define EMU_VERSION_CHOICES "1.5.2, 1.6.0, mini-2.3.2"

#endif

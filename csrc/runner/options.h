/* rkrun's command line. */
#ifndef RKPARITY_RUNNER_OPTIONS_H
#define RKPARITY_RUNNER_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "runtime/error.h"
#include "runtime/session.h"

#define MAX_INPUTS 64
#define MAX_OUTPUTS 64

/* One --input: `type` and `fmt` are -1 where the command line leaves them out. */
typedef struct input_option {
    char file[PATH_MAX];
    int type;
    int fmt;
    int pass_through;
} input_option;

typedef struct options {
    bool query;
    const char *library;
    const char *model;
    const char *output_dir;
    const char *dump_dir;
    const char *dump_quant;
    bool zero_copy;
    /* One value for all outputs, or one for each. */
    bool want_float[MAX_OUTPUTS];
    unsigned n_want_float;
    bool native_outputs;
    int repeat;
    int core_mask;
    unsigned n_inputs;
    input_option inputs[MAX_INPUTS];
    /* For models built with dynamic_input: none, or one for each input. */
    unsigned n_shapes;
    rkrt_shape shapes[MAX_INPUTS];
} options;

/* Reads the command line. 0, or -1 with kind USAGE. */
int options_parse(int argc, char **argv, options *parsed, rkrt_error *error);

#endif

#include "runner/options.h"

#include <stdio.h>
#include <string.h>

#include "runtime/tensor.h"

#define USAGE_TEXT "see docs/agent.md: rkrun query --model M | rkrun run --model M --input FILE --output-dir O"

static int usage(rkrt_error *error, const char *message, const char *value)
{
    rkrt_fail(error, RKRT_ERROR_USAGE, 0, NULL, "%s%s", message, value);
    return rkrt_hint(error, USAGE_TEXT);
}

/* A whole number from 0 to `most`; -1 for anything else. (strtol would bring in a new glibc symbol on new build hosts.) */
static int whole_number(const char *text, int most)
{
    int value = 0;

    if (!text[0]) {
        return -1;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || (value = value * 10 + (*text - '0')) > most) {
            return -1;
        }
    }
    return value;
}

/* FILE[:TYPE[:FMT[:PT]]]; the file ends at the first colon after its last slash. */
static int parse_input(const char *text, input_option *input, rkrt_error *error)
{
    const char *slash = strrchr(text, '/');
    const char *colon = strchr(slash ? slash : text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    char part[3][16] = {"", "", ""};
    unsigned n_parts = 0;

    input->type = input->fmt = -1;
    input->pass_through = 0;
    if (length == 0 || length >= sizeof input->file) {
        return usage(error, "--input needs a file: ", text);
    }
    memcpy(input->file, text, length);
    input->file[length] = '\0';
    while (colon) {
        const char *start = colon + 1;
        colon = strchr(start, ':');
        length = colon ? (size_t)(colon - start) : strlen(start);
        if (n_parts == 3 || length >= sizeof part[0]) {
            return usage(error, "--input is FILE[:TYPE[:FMT[:PT]]], not ", text);
        }
        memcpy(part[n_parts++], start, length);
    }
    if (part[0][0] && (input->type = rkrt_type_from_name(part[0])) < 0) {
        return usage(error, "unknown type in --input ", text);
    }
    if (part[1][0] && (input->fmt = rkrt_fmt_from_name(part[1])) < 0) {
        return usage(error, "unknown layout (NHWC, NCHW, NC1HWC2, UNDEFINED) in --input ", text);
    }
    if (part[2][0] && (input->pass_through = whole_number(part[2], 1)) < 0) {
        return usage(error, "pass_through is 0 or 1 in --input ", text);
    }
    return 0;
}

/* 0 or 1 for all outputs, or a list such as 1,0,1. */
static int parse_want_float(const char *value, options *parsed, rkrt_error *error)
{
    parsed->n_want_float = 0;
    for (const char *at = value;; at += 2) {
        if ((at[0] != '0' && at[0] != '1') || (at[1] != ',' && at[1] != '\0') || parsed->n_want_float == MAX_OUTPUTS) {
            return usage(error, "--want-float is 0 or 1, or a list of them such as 1,0, not ", value);
        }
        parsed->want_float[parsed->n_want_float++] = at[0] == '1';
        if (at[1] == '\0') {
            return 0;
        }
    }
}

/* A shape such as 1,224,224,3. */
static int parse_shape(const char *value, rkrt_shape *shape, rkrt_error *error)
{
    char part[16];

    shape->n_dims = 0;
    for (const char *at = value;;) {
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        int size = -1;
        if (length < sizeof part && shape->n_dims < RKABI_MAX_DIMS) {
            memcpy(part, at, length);
            part[length] = '\0';
            size = whole_number(part, 100000000);
        }
        if (size < 1) {
            return usage(error, "--input-shape is a list of sizes such as 1,224,224,3, not ", value);
        }
        shape->dims[shape->n_dims++] = (uint32_t)size;
        if (!comma) {
            return 0;
        }
        at = comma + 1;
    }
}

static int parse_value(const char *name, const char *value, options *parsed, rkrt_error *error)
{
    if (strcmp(name, "--model") == 0) {
        parsed->model = value;
    } else if (strcmp(name, "--library") == 0) {
        parsed->library = value;
    } else if (strcmp(name, "--output-dir") == 0) {
        parsed->output_dir = value;
    } else if (strcmp(name, "--dump-dir") == 0) {
        parsed->dump_dir = value;
    } else if (strcmp(name, "--input") == 0) {
        if (parsed->n_inputs == MAX_INPUTS) {
            return usage(error, "too many inputs: ", value);
        }
        return parse_input(value, &parsed->inputs[parsed->n_inputs++], error);
    } else if (strcmp(name, "--input-shape") == 0) {
        if (parsed->n_shapes == MAX_INPUTS) {
            return usage(error, "too many shapes: ", value);
        }
        return parse_shape(value, &parsed->shapes[parsed->n_shapes++], error);
    } else if (strcmp(name, "--api") == 0) {
        parsed->zero_copy = strcmp(value, "zero-copy") == 0;
        return parsed->zero_copy || strcmp(value, "general") == 0 ? 0 : usage(error, "--api is general or zero-copy, not ", value);
    } else if (strcmp(name, "--want-float") == 0) {
        return parse_want_float(value, parsed, error);
    } else if (strcmp(name, "--repeat") == 0) {
        parsed->repeat = whole_number(value, 1000000);
        return parsed->repeat >= 1 ? 0 : usage(error, "--repeat is a number from 1 to 1000000, not ", value);
    } else if (strcmp(name, "--core-mask") == 0) {
        parsed->core_mask = rkrt_core_mask_from_name(value);
        return parsed->core_mask >= 0 ? 0 : usage(error, "--core-mask is AUTO, 0, 1, 2, 0_1, 0_1_2 or ALL, not ", value);
    } else if (strcmp(name, "--dump-quant") == 0) {
        parsed->dump_quant = value;
        return whole_number(value, 2) >= 0 ? 0 : usage(error, "--dump-quant is 0, 1 or 2, not ", value);
    } else {
        return usage(error, "unknown option ", name);
    }
    return value[0] ? 0 : usage(error, "an empty value for ", name);
}

int options_parse(int argc, char **argv, options *parsed, rkrt_error *error)
{
    memset(parsed, 0, sizeof *parsed);
    parsed->repeat = 1;
    parsed->want_float[0] = true;
    parsed->n_want_float = 1;
    if (argc < 2 || (strcmp(argv[1], "query") != 0 && strcmp(argv[1], "run") != 0)) {
        return usage(error, "no command: query or run", "");
    }
    parsed->query = strcmp(argv[1], "query") == 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--native-outputs") == 0) {
            parsed->native_outputs = true;
        } else if (i + 1 == argc) {
            return usage(error, "unknown option or no value for ", argv[i]);
        } else if (parse_value(argv[i], argv[i + 1], parsed, error) != 0) {
            return -1;
        } else {
            i++;
        }
    }
    if (!parsed->model) {
        return usage(error, "--model is missing", "");
    }
    if (!parsed->query && !parsed->output_dir) {
        return usage(error, "--output-dir is missing", "");
    }
    if (parsed->native_outputs && !parsed->zero_copy) {
        return usage(error, "--native-outputs belongs to --api zero-copy", "");
    }
    return 0;
}

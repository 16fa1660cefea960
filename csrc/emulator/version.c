#include "emulator/version.h"

#include <stdlib.h>
#include <string.h>

#ifdef RKPARITY_EMULATOR_MINI
#define DEFAULT_VERSION "mini-2.3.2"
#else
#define DEFAULT_VERSION "1.6.0"
#endif

static const emu_version versions[] = {
    {.name = "1.6.0", /* evidence 160_* */
     .number = "1.6.0",
     .library = "librknnrt",
     .punctuation = ",",
     .nchw_crashes = true,
     .quantizes_flat_int8 = true,
     .takes_all_cores = true,
     .failed_operator_ends_run = true,
     .takes_bool = true,
     .checks_output_index = true,
     .stride_letter = 'D',
     .last_query = 17},
    {.name = "1.5.2", /* evidence 152_* */
     .number = "1.5.2",
     .library = "librknnrt",
     .punctuation = ":",
     .names_unknown_type = true,
     .pads_flat_input = true,
     .null_context_code = -7,
     .stride_letter = 'W',
     .last_query = 17},
    {.name = "mini-2.3.2", /* evidence mrt232_* */
     .number = "2.3.2",
     .library = "librknnmrt",
     .punctuation = ",",
     .mini = true,
     .stride_letter = 'D',
     .last_query = 17},
};

const emu_version *emu_version_from_environment(void) {
    const char *wanted = getenv("RKPARITY_EMULATOR_VERSION");
    if (wanted == NULL || *wanted == '\0')
        wanted = DEFAULT_VERSION;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (strcmp(versions[i].name, wanted) == 0)
            return &versions[i];
    return NULL;
}

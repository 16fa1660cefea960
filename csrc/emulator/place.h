/* Where the library lies: its companions are found beside it. */
#ifndef RKPARITY_EMULATOR_PLACE_H
#define RKPARITY_EMULATOR_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* The path of the file `name` in the library's folder; false when the folder is not known or the path is too long. */
bool emu_beside_library(const char *name, char *path, size_t size);

#endif

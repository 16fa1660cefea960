#include "emulator/place.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool emu_beside_library(const char *name, char *path, size_t size) {
    Dl_info info;
    if (dladdr((void *)(uintptr_t)&emu_beside_library, &info) == 0 || info.dli_fname == NULL)
        return false;
    const char *slash = strrchr(info.dli_fname, '/');
    int folder = slash == NULL ? 0 : (int)(slash - info.dli_fname + 1);
    int length = snprintf(path, size, "%.*s%s", folder, info.dli_fname, name);
    return length > 0 && (size_t)length < size;
}

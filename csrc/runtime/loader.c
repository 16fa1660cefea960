#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "runtime/loader.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* POSIX lets dlsym's result be stored through a pointer to the function pointer; a cast between the two is not ISO C. */
static void find(rkrt_library *library, const char *name, void *slot)
{
    void *symbol = dlsym(library->handle, name);
    memcpy(slot, &symbol, sizeof symbol);
}

static int fill_table(rkrt_library *library, const char *path, rkrt_error *error)
{
    const char *missing = NULL;

    find(library, "rknn_init", &library->init);
    find(library, "rknn_destroy", &library->destroy);
    find(library, "rknn_query", &library->query);
    find(library, "rknn_run", &library->run);
    find(library, "rknn_inputs_set", &library->inputs_set);
    find(library, "rknn_outputs_get", &library->outputs_get);
    find(library, "rknn_outputs_release", &library->outputs_release);
    find(library, "rknn_set_core_mask", &library->set_core_mask);
    find(library, "rknn_create_mem", &library->create_mem);
    find(library, "rknn_destroy_mem", &library->destroy_mem);
    find(library, "rknn_set_io_mem", &library->set_io_mem);
    find(library, "rknn_mem_sync", &library->mem_sync);
    find(library, "rknn_set_input_shapes", &library->set_input_shapes);
    if (!library->init) {
        missing = "rknn_init";
    } else if (!library->destroy) {
        missing = "rknn_destroy";
    } else if (!library->query) {
        missing = "rknn_query";
    } else if (!library->run) {
        missing = "rknn_run";
    }
    if (missing) {
        rkrt_fail(error, RKRT_ERROR_LIBRARY, 0, "dlsym", "%s does not export %s: it is not an RKNN runtime", path, missing);
        return rkrt_hint(error, "name the board's librknnrt.so");
    }
    return 0;
}

int rkrt_library_open(const char *path, rkrt_library *library, rkrt_error *error)
{
    Dl_info info;
    void *symbol;
    const char *reason;

    memset(library, 0, sizeof *library);
    if (!path || path[0] == '\0') {
        path = "librknnrt.so";
    }
    dlerror();
    library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle) {
        reason = dlerror();
        rkrt_fail(error, RKRT_ERROR_LIBRARY, 0, "dlopen", "%s cannot be opened: %s", path, reason ? reason : "no reason given");
        return rkrt_hint(error, "install librknnrt.so on the board or name it with --library / RKPARITY_LIBRKNNRT");
    }
    if (fill_table(library, path, error) != 0) {
        rkrt_library_close(library);
        return -1;
    }
    memcpy(&symbol, &library->init, sizeof symbol);
    if (dladdr(symbol, &info) != 0 && info.dli_fname) {
        path = info.dli_fname;
    }
    snprintf(library->path, sizeof library->path, "%s", path);
    return 0;
}

void rkrt_library_close(rkrt_library *library)
{
    if (library->handle) {
        dlclose(library->handle);
        library->handle = NULL;
    }
}

int rkrt_require(const rkrt_library *library, int present, const char *symbol, rkrt_error *error)
{
    if (present) {
        return 0;
    }
    rkrt_fail(error, RKRT_ERROR_UNSUPPORTED, 0, symbol, "%s does not export %s", library->path, symbol);
    return rkrt_hint(error, "use another API (general / zero-copy) or option, or a librknnrt that has this function");
}

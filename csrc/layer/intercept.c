/*
 * dlopen, for programs that open librknnrt themselves: the symbols of their own handle would win over the preloaded ones, so
 * they are given the layer's handle.
 *
 * The C library looks at who calls dlopen: it searches the caller's RUNPATH. Every call that is not about librknnrt is
 * therefore left by a jump (a sibling call), after which the caller is still the program; the build sets the flags for it and
 * a test holds it to that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer/call.h"
#include "layer/real.h"
#include "layer/trace.h"

typedef int dladdr1_function(const void *address, Dl_info *info, void **extra, int flags);
typedef int dlinfo_function(void *handle, int request, void *info);

static bool is_runtime_name(const char *file)
{
    static const char *const stems[] = {"librknnrt", "librknnmrt", "librknn_api"};
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++) {
        if (strncmp(name, stems[i], strlen(stems[i])) == 0 && strstr(name, ".so")) {
            return true;
        }
    }
    return false;
}

/* The handle of the layer itself; it is loaded, so that no file is needed. */
static void *own_handle(rkl_dlopen_function *real, int mode)
{
    const char *path = rkl_own_path();
    return path ? real(path, mode | RTLD_NOLOAD) : NULL;
}

/* Looks for a bare name where the program's own dlopen would have: the caller's search list. */
static void *open_as_caller(rkl_dlopen_function *real, const char *file, int mode, const void *caller)
{
    dladdr1_function *find_map;
    dlinfo_function *ask;
    Dl_serinfo head;
    Dl_serinfo *list;
    Dl_info info;
    void *map = NULL, *handle = NULL, *symbols[2];

    symbols[0] = rkl_symbol(RTLD_DEFAULT, "dladdr1");
    symbols[1] = rkl_symbol(RTLD_DEFAULT, "dlinfo");
    memcpy(&find_map, &symbols[0], sizeof find_map);
    memcpy(&ask, &symbols[1], sizeof ask);
    if (!find_map || !ask || find_map(caller, &info, &map, RTLD_DL_LINKMAP) == 0 || !map ||
        ask(map, RTLD_DI_SERINFOSIZE, &head) != 0) {
        return NULL;
    }
    list = malloc(head.dls_size);
    if (list) {
        list->dls_size = head.dls_size;
        list->dls_cnt = head.dls_cnt;
        if (ask(map, RTLD_DI_SERINFO, list) == 0) {
            for (unsigned i = 0; !handle && i < list->dls_cnt; i++) {
                char path[RKL_PATH_SIZE];
                const int length = snprintf(path, sizeof path, "%s/%s", list->dls_serpath[i].dls_name, file);
                if (length < (int)sizeof path) {
                    handle = real(path, mode);
                }
            }
        }
        free(list);
    }
    return handle;
}

/* A handle for the program, or NULL when the call should take its ordinary way. */
static void *intercept(rkl_dlopen_function *real, const char *file, int mode, const void *caller)
{
    void *handle, *own;
    struct rkl_text line;

    if (!is_runtime_name(file) || !rkl_trace_is_on()) {
        return NULL;
    }
    handle = strchr(file, '/') ? NULL : open_as_caller(real, file, mode, caller);
    handle = handle ? handle : real(file, mode);
    if (!handle) {
        return NULL;
    }
    if (rkl_real_capture(handle)) {
        own = own_handle(real, mode);
        return own ? own : handle;
    }
    if (rkl_symbol(handle, "rknn_init")) {
        rkl_trace_begin(&line, "untraced");
        rkl_put_text(&line, "path", file, RKL_PATH_SIZE);
        rkl_trace_write(&line);
    }
    return handle;
}

RKL_EXPORT void *dlopen(const char *file, int mode)
{
    rkl_dlopen_function *const real = rkl_real_dlopen();
    if (file && real) {
        const int saved = errno;
        void *handle = intercept(real, file, mode, __builtin_return_address(0));
        if (handle) {
            errno = saved;
            return handle;
        }
        errno = saved;
    }
    if (!real) {
        return NULL;
    }
    return real(file, mode);
}

#include "layer/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer/journal.h"

enum found { FOUND_NONE, FOUND_TARGET, FOUND_DLOPEN, FOUND_NEXT, FOUND_SEARCH };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool resolved;
static struct rkl_real table;
static void *captured;
static enum found found;
static void *source; /* where the table was filled from */
static char path[RKL_PATH_SIZE];
static char reason[256];

void *rkl_symbol(void *handle, const char *name)
{
    return dlsym(handle, name);
}

/* ISO C has no cast from an object pointer to a function pointer. */
static void fill(void *slot, void *address)
{
    memcpy(slot, &address, sizeof address);
}

static void *address_of(int (*function)(rkabi_context *, void *, uint32_t, uint32_t, rkabi_init_extend *))
{
    void *address;
    memcpy(&address, &function, sizeof address);
    return address;
}

rkl_dlopen_function *rkl_real_dlopen(void)
{
    static _Atomic(uintptr_t) known;
    rkl_dlopen_function *function;
    void *address = (void *)atomic_load_explicit(&known, memory_order_relaxed);
    if (!address) {
        address = rkl_symbol(RTLD_NEXT, "dlopen");
        atomic_store_explicit(&known, (uintptr_t)address, memory_order_relaxed);
    }
    memcpy(&function, &address, sizeof function);
    return function;
}

static void fill_table(void *handle, enum found how)
{
    void *init = rkl_symbol(handle, "rknn_init");
    Dl_info info;
#define RKL_FILL(NAME) fill(&table.NAME, rkl_symbol(handle, #NAME));
    RKL_FUNCTIONS(RKL_FILL)
#undef RKL_FILL
    found = how;
    source = handle;
    path[0] = '\0';
    if (dladdr(init, &info) != 0 && info.dli_fname) {
        char *resolved_path = realpath(info.dli_fname, NULL);
        snprintf(path, sizeof path, "%s", resolved_path ? resolved_path : info.dli_fname);
        free(resolved_path);
    }
}

void *rkl_real_other(const char *name)
{
    const struct rkl_real *real = rkl_real();
    return real->rknn_init ? rkl_symbol(source, name) : NULL;
}

const char *rkl_own_path(void)
{
    Dl_info info;
    return dladdr(address_of(rknn_init), &info) != 0 ? info.dli_fname : NULL;
}

/* A library that has the function, and not the layer's. */
static bool is_runtime(void *handle)
{
    void *init = rkl_symbol(handle, "rknn_init");
    return init && init != address_of(rknn_init);
}

static bool is_layer(const char *file)
{
    const char *own = rkl_own_path();
    struct stat a, b;
    const int mode = O_RDONLY | O_CLOEXEC;
    bool same = false;
    int one, two;
    if (!own) {
        return false;
    }
    one = open(own, mode);
    two = open(file, mode);
    if (one >= 0 && two >= 0) {
        same = rkl_identify(one, &a) && rkl_identify(two, &b);
        same = same && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    }
    if (one >= 0) {
        close(one);
    }
    if (two >= 0) {
        close(two);
    }
    return same;
}

static bool open_library(const char *file, enum found how)
{
    rkl_dlopen_function *open_it = rkl_real_dlopen();
    void *handle;
    if (is_layer(file)) {
        snprintf(reason, sizeof reason, "%.180s is the layer itself", file);
        return false;
    }
    handle = open_it ? open_it(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!handle) {
        const char *said = dlerror();
        snprintf(reason, sizeof reason, "%.230s", said ? said : "dlopen failed");
        return false;
    }
    if (!is_runtime(handle)) {
        snprintf(reason, sizeof reason, "%.180s does not export rknn_init", file);
        dlclose(handle);
        return false;
    }
    fill_table(handle, how);
    return true;
}

static bool search(void)
{
    static const char *const folders[] = {
        "/usr/lib",
        "/usr/lib64",
        "/lib",
#if defined(__aarch64__)
        "/usr/lib/aarch64-linux-gnu",
#elif defined(__arm__)
        "/usr/lib/arm-linux-gnueabihf",
#elif defined(__x86_64__)
        "/usr/lib/x86_64-linux-gnu",
#endif
        "/vendor/lib64",
        "/vendor/lib",
        "/oem/usr/lib",
    };
    static const char *const names[] = {"librknnrt.so", "librknnmrt.so"};
    char file[128];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            snprintf(file, sizeof file, "%s/%s", folders[i], names[k]);
            if (access(file, R_OK) == 0 && open_library(file, FOUND_SEARCH)) {
                return true;
            }
        }
    }
    return false;
}

static void resolve(void)
{
    const char *target = secure_getenv("RKPARITY_LAYER_TARGET");
    if (target && target[0]) {
        if (open_library(target, FOUND_TARGET)) {
            return;
        }
    } else if (captured) {
        fill_table(captured, FOUND_DLOPEN);
        return;
    } else if (is_runtime(RTLD_NEXT)) {
        fill_table(RTLD_NEXT, FOUND_NEXT);
        return;
    } else if (search()) {
        return;
    } else if (!reason[0]) {
        snprintf(reason, sizeof reason, "no librknnrt.so was found");
    }
    fprintf(stderr, "rkparity layer: %s; name the real library in RKPARITY_LAYER_TARGET\n", reason);
}

const struct rkl_real *rkl_real(void)
{
    if (!atomic_load_explicit(&resolved, memory_order_acquire)) {
        const int saved = errno;
        pthread_mutex_lock(&lock);
        if (!atomic_load(&resolved)) {
            resolve();
            /* A symbol the library lacks is no error of the program's. */
            dlerror();
            atomic_store_explicit(&resolved, true, memory_order_release);
        }
        pthread_mutex_unlock(&lock);
        errno = saved;
    }
    return &table;
}

bool rkl_real_capture(void *handle)
{
    bool ours;
    if (!is_runtime(handle)) {
        return rkl_symbol(handle, "rknn_init") != NULL;
    }
    pthread_mutex_lock(&lock);
    if (!atomic_load(&resolved)) {
        captured = captured ? captured : handle;
        ours = rkl_symbol(captured, "rknn_init") == rkl_symbol(handle, "rknn_init");
    } else if (!table.rknn_init) {
        /* An early call found no library; now there is one. */
        fill_table(handle, FOUND_DLOPEN);
        ours = true;
    } else {
        void *init;
        memcpy(&init, &table.rknn_init, sizeof init);
        ours = init == rkl_symbol(handle, "rknn_init") || found == FOUND_TARGET;
    }
    pthread_mutex_unlock(&lock);
    return ours;
}

void rkl_real_describe(struct rkl_text *line)
{
    static const char *const ways[] = {"none", "target", "dlopen", "next", "search"};
    const struct rkl_real *real = rkl_real();
    rkl_put_text(line, "path", path[0] ? path : NULL, sizeof path);
    rkl_put_text(line, "found", ways[found], 16);
    rkl_open(line, "missing", '[');
#define RKL_MISSING(NAME)                                                                                                       \
    if (found != FOUND_NONE && !real->NAME) {                                                                                   \
        rkl_put_text(line, NULL, #NAME, 64);                                                                                    \
    }
    RKL_FUNCTIONS(RKL_MISSING)
#undef RKL_MISSING
    rkl_close(line, ']');
    rkl_put_text(line, "reason", found == FOUND_NONE ? reason : NULL, sizeof reason);
}

void rkl_real_lock(void)
{
    pthread_mutex_lock(&lock);
}

void rkl_real_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

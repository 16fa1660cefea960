#include "npu/device.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "npu/identity.h"
#include "npu/objects.h"
#include "npu/server.h"

/* The library scans the DRM cards; on the boards seen the NPU is the second. */
#define CARD "/dev/dri/card1"
#define OWN_DEVICE "/dev/rknpu"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int device = -1, heap = -1;

static void make_files(void)
{
    pthread_mutex_lock(&lock);
    if (device < 0)
        device = npu_memory_file("rknpu");
    if (heap < 0)
        heap = npu_memory_file("dma-heap");
    pthread_mutex_unlock(&lock);
}

static bool begins(const char *path, const char *start)
{
    return strncmp(path, start, strlen(start)) == 0;
}

npu_path npu_path_kind(const char *path)
{
    static const char *const described[] = {"/proc/device-tree", "/sys/firmware/devicetree", "/sys/kernel/debug",
                                            "/sys/class/devfreq", "/sys/class/drm",          "/sys/dev/char",
                                            "/proc/rknpu",       "/proc/dri"};
    npu_board board;
    if (path == NULL || path[0] != '/')
        return NPU_PATH_OTHER;
    if (begins(path, "/dev/dri") || begins(path, OWN_DEVICE)) {
        bool there = npu_server_attach(&board);
        if (there && board.through_drm && strcmp(path, "/dev/dri") == 0)
            return NPU_PATH_FOLDER;
        return there && strcmp(path, board.through_drm ? CARD : OWN_DEVICE) == 0 ? NPU_PATH_DEVICE : NPU_PATH_ABSENT;
    }
    if (begins(path, "/dev/dma_heap/"))
        return NPU_PATH_HEAP;
    if (begins(path, "/dev/ion"))
        return NPU_PATH_ABSENT;
    for (size_t i = 0; i < sizeof described / sizeof described[0]; i++)
        if (begins(path, described[i]))
            return getenv("RKPARITY_NPU_FILES") ? NPU_PATH_BOARD : NPU_PATH_OTHER;
    return NPU_PATH_OTHER;
}

bool npu_board_file(const char *path, char *to, unsigned long size)
{
    const char *root = getenv("RKPARITY_NPU_FILES");
    int length = snprintf(to, size, "%s%s", root ? root : "", path);
    return length > 0 && (unsigned long)length < size;
}

int npu_device_open(npu_path kind)
{
    make_files();
    int from = kind == NPU_PATH_HEAP ? heap : device;
    if (from < 0) {
        errno = ENODEV;
        return -1;
    }
    return dup(from);
}

static bool is_copy_of(int fd, const int *original)
{
    npu_identity mine, other;
    return *original >= 0 && npu_identify(fd, &mine) && npu_identify(*original, &other) && npu_same_file(&mine, &other);
}

bool npu_is_device(int fd)
{
    return is_copy_of(fd, &device);
}

bool npu_is_heap(int fd)
{
    return is_copy_of(fd, &heap);
}

void *npu_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

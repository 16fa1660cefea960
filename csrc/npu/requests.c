#include "npu/requests.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "npu/kernel_abi.h"
#include "npu/objects.h"
#include "npu/server.h"

#define FREQUENCY_HZ 1000000000u
#define VOLTAGE_UV 800000u

static int fail(int error)
{
    errno = error;
    return -1;
}

static int do_action(npu_action *action)
{
    npu_board board;
    if (!npu_server_attach(&board))
        return fail(ENODEV);
    switch (action->code) {
    case NPU_ACTION_HARDWARE_VERSION:
        action->value = board.hardware_version;
        break;
    case NPU_ACTION_DRIVER_VERSION:
        action->value = board.driver_version;
        break;
    case NPU_ACTION_FREQUENCY:
        action->value = FREQUENCY_HZ;
        break;
    case NPU_ACTION_VOLTAGE:
        action->value = VOLTAGE_UV;
        break;
    case NPU_ACTION_IOMMU:
        action->value = 1;
        break;
    case NPU_ACTION_SRAM_TOTAL:
    case NPU_ACTION_SRAM_FREE:
        action->value = 0;
        break;
    default: /* resets, power, bandwidth: nothing to do */
        break;
    }
    return 0;
}

static int do_create(npu_memory_create *create, size_t size)
{
    npu_board board;
    if (!npu_server_attach(&board))
        return fail(ENODEV);
    npu_object object = {.handle = 0, .fd = -1};
    bool existing = board.through_drm && create->handle != 0;
    if (existing) {
        if (!npu_object_find(create->handle, &object))
            return fail(EINVAL);
    } else {
        object = npu_object_create(create->size, create->flags);
        if (object.handle == 0)
            return -1;
        if (!npu_server_created(&object)) {
            npu_object_destroy(object.handle);
            return fail(ENODEV);
        }
    }
    int shared = board.through_drm ? -1 : dup(object.fd);
    if (!board.through_drm && shared < 0)
        return -1;
    create->handle = board.through_drm ? object.handle : (uint32_t)shared;
    create->size = object.size;
    create->object = npu_object_address(object.handle);
    create->dma = object.dma;
    if (size >= sizeof *create)
        create->sram_size = 0;
    return 0;
}

static int forget(uint32_t handle)
{
    npu_server_destroyed(handle);
    return npu_object_destroy(handle) ? 0 : fail(EINVAL);
}

static int do_destroy(const npu_memory_destroy *destroy)
{
    npu_board board;
    npu_object object;
    if (!npu_server_attach(&board))
        return fail(ENODEV);
    uint32_t by_address = npu_object_handle(destroy->object);
    bool by_handle = board.through_drm && destroy->handle != 0 && npu_object_find(destroy->handle, &object);
    return forget(by_handle ? destroy->handle : by_address);
}

static void wait_for(int fence)
{
    struct pollfd waited = {.fd = fence, .events = POLLIN};
    while (poll(&waited, 1, -1) < 0 && errno == EINTR)
        continue;
}

static int do_submit(npu_submit *submit)
{
    struct timespec from, to;
    if (submit->flags & NPU_SUBMIT_FENCE_IN && submit->fence >= 0)
        wait_for(submit->fence);
    clock_gettime(CLOCK_MONOTONIC, &from);
    int error = npu_server_submit(npu_object_handle(submit->task_object), submit);
    clock_gettime(CLOCK_MONOTONIC, &to);
    submit->elapsed_ns = (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + (to.tv_nsec - from.tv_nsec);
    if (error != 0)
        return fail(error);
    submit->task_counter = submit->task_number;
    if (submit->flags & NPU_SUBMIT_FENCE_OUT) {
        /* The work is done: the fence has been signalled. */
        submit->fence = eventfd(1, EFD_CLOEXEC);
        if (submit->fence < 0)
            return -1;
    }
    return 0;
}

static int do_own(unsigned number, void *argument, size_t size)
{
    switch (number) {
    case NPU_REQUEST_ACTION:
        return do_action(argument);
    case NPU_REQUEST_SUBMIT:
        return do_submit(argument);
    case NPU_REQUEST_MEMORY_CREATE:
        return do_create(argument, size);
    case NPU_REQUEST_MEMORY_MAP: {
        npu_memory_map *map = argument;
        map->offset = NPU_MAP_OFFSET + (uint64_t)NPU_MAP_STEP * map->handle;
        return 0;
    }
    case NPU_REQUEST_MEMORY_DESTROY:
        return do_destroy(argument);
    case NPU_REQUEST_MEMORY_SYNC: /* CPU and server see the same memory */
        return 0;
    default:
        return fail(EINVAL);
    }
}

static void give_text(char *to, size_t *length, const char *text)
{
    size_t full = strlen(text);
    if (to != NULL)
        memcpy(to, text, *length < full ? *length : full);
    *length = full;
}

static int do_version(npu_drm_version *version)
{
    version->major = 0;
    version->minor = 8;
    version->patch = 2;
    give_text(version->name, &version->name_length, "rknpu");
    give_text(version->date, &version->date_length, "20220829");
    give_text(version->description, &version->description_length, "RKNPU driver");
    return 0;
}

static int do_export(npu_drm_prime *prime)
{
    npu_object object;
    if (!npu_object_find(prime->handle, &object))
        return fail(ENOENT);
    prime->fd = dup(object.fd);
    return prime->fd < 0 ? -1 : 0;
}

static int do_import(npu_drm_prime *prime)
{
    npu_object object = npu_object_import(prime->fd);
    if (object.handle == 0)
        return -1;
    if (!npu_server_created(&object))
        return fail(ENODEV);
    prime->handle = object.handle;
    return 0;
}

static int do_drm(unsigned number, void *argument)
{
    switch (number) {
    case NPU_DRM_VERSION:
        return do_version(argument);
    case NPU_DRM_UNIQUE:
        *(size_t *)argument = 0;
        return 0;
    case NPU_DRM_SET_VERSION:
        return 0;
    case NPU_DRM_GEM_CLOSE:
        return forget(*(uint32_t *)argument);
    case NPU_DRM_GEM_FLINK: {
        uint32_t *words = argument;
        words[1] = words[0];
        return 0;
    }
    case NPU_DRM_PRIME_HANDLE_TO_FD:
        return do_export(argument);
    case NPU_DRM_PRIME_FD_TO_HANDLE:
        return do_import(argument);
    default:
        return fail(EINVAL);
    }
}

int npu_request_do(unsigned long number, void *argument)
{
    unsigned type = (unsigned)(number >> 8) & 0xffu, request = (unsigned)number & 0xffu;
    size_t size = (size_t)(number >> 16) & 0x3fffu;
    if (argument == NULL)
        return fail(EFAULT);
    if (type == NPU_IOCTL_OWN)
        return do_own(request, argument, size);
    if (type != NPU_IOCTL_DRM)
        return fail(ENOTTY);
    if (request >= NPU_DRM_COMMAND_BASE && request <= NPU_DRM_COMMAND_BASE + NPU_REQUEST_MEMORY_SYNC)
        return do_own(request - NPU_DRM_COMMAND_BASE, argument, size);
    return do_drm(request, argument);
}

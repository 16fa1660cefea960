/* The functions a program reaches the device's descriptor by. */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "npu/device.h"
#include "npu/export.h"
#include "npu/objects.h"
#include "npu/requests.h"

/* linux/dma-heap.h, linux/dma-buf.h: allocation, and the begin and end of an access by the CPU. */
#define HEAP_TYPE 'H'
#define BUFFER_TYPE 'b'

typedef struct heap_allocation {
    uint64_t length;
    uint32_t fd;
    uint32_t fd_flags;
    uint64_t heap_flags;
} heap_allocation;

static int allocate_from_heap(unsigned long number, heap_allocation *allocation)
{
    if (((number >> 8) & 0xffu) != HEAP_TYPE || (number & 0xffu) != 0) {
        errno = ENOTTY;
        return -1;
    }
    int fd = npu_memory_file("dma-buf");
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)((allocation->length + 4095u) & ~(uint64_t)4095u)) != 0) {
        close(fd);
        return -1;
    }
    allocation->fd = (uint32_t)fd;
    return 0;
}

NPU_EXPORT int ioctl(int fd, unsigned long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    unsigned type = (unsigned)(number >> 8) & 0xffu;
    if ((type == 'd' || type == 'r') && npu_is_device(fd))
        return npu_request_do(number, argument);
    if (type == HEAP_TYPE && npu_is_heap(fd))
        return allocate_from_heap(number, argument);
    int result = (int)syscall(SYS_ioctl, fd, number, argument);
    /* Memory files need no synchronisation, and the kernel knows none for them. */
    return result < 0 && errno == ENOTTY && type == BUFFER_TYPE ? 0 : result;
}

static void *map(void *where, size_t length, int protection, int flags, int fd, uint64_t offset)
{
    npu_object object;
    if (fd >= 0 && offset >= NPU_MAP_OFFSET && npu_is_device(fd)) {
        if (!npu_object_find((uint32_t)((offset - NPU_MAP_OFFSET) / NPU_MAP_STEP), &object)) {
            errno = EINVAL;
            return MAP_FAILED;
        }
        fd = object.fd;
        offset = 0;
    }
#ifdef SYS_mmap2
    long mapped = syscall(SYS_mmap2, where, length, protection, flags, fd, (long)(offset / 4096u));
#else
    long mapped = syscall(SYS_mmap, where, length, protection, flags, fd, (long)offset);
#endif
    return mapped == -1 ? MAP_FAILED : (void *)mapped;
}

NPU_EXPORT void *mmap(void *where, size_t length, int protection, int flags, int fd, off_t offset)
{
    /* A 32-bit off_t holds the device's offsets as unsigned. */
    return map(where, length, protection, flags, fd, sizeof(off_t) == 4 ? (uint64_t)(uint32_t)offset : (uint64_t)offset);
}

NPU_EXPORT void *mmap64(void *where, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return map(where, length, protection, flags, fd, (uint64_t)offset);
}

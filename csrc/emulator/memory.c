#include "emulator/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What rknn_create_mem reports in `flags` (evidence 160_zc_*: "flags=1"). */
#define FLAG_ALLOCATED 1u

typedef struct owned_memory {
    rkabi_tensor_mem visible; /* first: the pointer handed out is this one */
    size_t mapped;            /* 0: the memory is the caller's */
    uint8_t *device;          /* what the device sees of a cacheable memory; NULL: the same bytes */
    size_t device_nbytes;
} owned_memory;

static bool has_cache(void) {
    const char *text = getenv("RKPARITY_EMULATOR_CACHE");
    return text != NULL && strcmp(text, "1") == 0;
}

/* Gives `memory` a device side of `nbytes` bytes that begins as the CPU's. */
static bool add_device_side(owned_memory *memory, size_t nbytes) {
    memory->device = malloc(nbytes);
    if (memory->device == NULL)
        return false;
    memory->device_nbytes = nbytes;
    memcpy(memory->device, memory->visible.virt_addr, nbytes);
    return true;
}

rkabi_tensor_mem *emu_memory_create(uint32_t size, bool cacheable) {
    if (size == 0)
        return NULL;
    owned_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    int fd = (int)syscall(SYS_memfd_create, "rknn-memory", 1u /* close on exec */);
    void *address = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        free(memory);
        return NULL;
    }
    memory->mapped = size;
    memory->visible = (rkabi_tensor_mem){.virt_addr = address, .fd = fd, .size = size, .flags = FLAG_ALLOCATED,
                                         .priv_data = memory};
    if (cacheable && has_cache() && !add_device_side(memory, size)) {
        emu_memory_destroy(&memory->visible);
        return NULL;
    }
    return &memory->visible;
}

rkabi_tensor_mem *emu_memory_wrap(void *virt_addr, uint64_t phys_addr, int32_t fd, uint32_t size, int32_t offset) {
    if (virt_addr == NULL || size == 0 || offset < 0)
        return NULL;
    owned_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->visible = (rkabi_tensor_mem){.virt_addr = virt_addr, .phys_addr = phys_addr, .fd = fd, .offset = offset,
                                         .size = size, .priv_data = memory};
    if (has_cache() && !add_device_side(memory, (size_t)offset + size)) {
        free(memory);
        return NULL;
    }
    return &memory->visible;
}

void emu_memory_destroy(rkabi_tensor_mem *mem) {
    owned_memory *memory = mem->priv_data;
    if (memory == NULL)
        return;
    if (memory->mapped > 0) {
        munmap(mem->virt_addr, memory->mapped);
        close(mem->fd);
    }
    free(memory->device);
    free(memory);
}

uint8_t *emu_memory_bytes(const rkabi_tensor_mem *mem) {
    const owned_memory *memory = mem->priv_data;
    uint8_t *bytes = memory != NULL && memory->device != NULL ? memory->device : mem->virt_addr;
    return bytes + mem->offset;
}

void emu_memory_sync(const rkabi_tensor_mem *mem, rkabi_sync mode) {
    const owned_memory *memory = mem->priv_data;
    if (memory == NULL || memory->device == NULL)
        return;
    if ((mode & RKABI_SYNC_TO_DEVICE) != 0)
        memcpy(memory->device, mem->virt_addr, memory->device_nbytes);
    else if ((mode & RKABI_SYNC_FROM_DEVICE) != 0)
        memcpy(mem->virt_addr, memory->device, memory->device_nbytes);
}

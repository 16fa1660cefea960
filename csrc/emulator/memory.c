#include "emulator/memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What rknn_create_mem reports in `flags` (evidence 160_zc_*: "flags=1"). */
#define FLAG_ALLOCATED 1u

typedef struct owned_memory {
    rkabi_tensor_mem visible; /* first: the pointer handed out is this one */
    size_t mapped;            /* 0: the memory is the caller's */
} owned_memory;

rkabi_tensor_mem *emu_memory_create(uint32_t size) {
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
    free(memory);
}

uint8_t *emu_memory_bytes(const rkabi_tensor_mem *mem) {
    return (uint8_t *)mem->virt_addr + mem->offset;
}

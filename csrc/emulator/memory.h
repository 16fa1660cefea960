/* rknn_tensor_mem objects of the emulated device: ordinary memory with a file descriptor of its own. */
#ifndef RKPARITY_EMULATOR_MEMORY_H
#define RKPARITY_EMULATOR_MEMORY_H

#include "abi/rknn_abi.h"

/* New zeroed memory that can be shared by its fd; NULL when there is none. */
rkabi_tensor_mem *emu_memory_create(uint32_t size);
/* Wraps memory that stays the caller's. */
rkabi_tensor_mem *emu_memory_wrap(void *virt_addr, uint64_t phys_addr, int32_t fd, uint32_t size, int32_t offset);
void emu_memory_destroy(rkabi_tensor_mem *mem);
/* The first byte: virt_addr + offset. */
uint8_t *emu_memory_bytes(const rkabi_tensor_mem *mem);

#endif

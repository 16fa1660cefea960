/* rknn_tensor_mem objects of the emulated device: ordinary memory with a file descriptor of its own. */
#ifndef RKPARITY_EMULATOR_MEMORY_H
#define RKPARITY_EMULATOR_MEMORY_H

#include <stdbool.h>

#include "abi/rknn_abi.h"

/* New zeroed memory that can be shared by its fd; NULL when there is none. With RKPARITY_EMULATOR_CACHE `cacheable` memory has two
   sides, the CPU's and the device's, that differ until emu_memory_sync. */
rkabi_tensor_mem *emu_memory_create(uint32_t size, bool cacheable);
/* Wraps memory that stays the caller's. */
rkabi_tensor_mem *emu_memory_wrap(void *virt_addr, uint64_t phys_addr, int32_t fd, uint32_t size, int32_t offset);
void emu_memory_destroy(rkabi_tensor_mem *mem);
/* The first byte the device sees; without a side of its own virt_addr + offset. */
uint8_t *emu_memory_bytes(const rkabi_tensor_mem *mem);
/* Copies the CPU's side to the device's (RKABI_SYNC_TO_DEVICE, RKABI_SYNC_BOTH: what the CPU wrote is written back first) or the
   device's to the CPU's. */
void emu_memory_sync(const rkabi_tensor_mem *mem, rkabi_sync mode);

#endif

/* The memory objects of this process: each is a memory file, with an address the NPU would see it at. */
#ifndef RKPARITY_NPU_OBJECTS_H
#define RKPARITY_NPU_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

/* A mapping of the device at this offset plus a page per handle is the object's memory. */
#define NPU_MAP_OFFSET 0x10000000u
#define NPU_MAP_STEP 4096u

typedef struct npu_object {
    uint32_t handle;
    int fd;
    uint64_t size; /* in whole pages */
    uint64_t asked; /* bytes */
    uint64_t dma;
    uint32_t flags;
    bool own_fd; /* /dev/rknpu: the handle the program has is a descriptor of this memory */
} npu_object;

/* An empty memory file; -1 with errno set. */
int npu_memory_file(const char *name);
/* What the library takes for the kernel's address of the object with this handle, and back. */
uint64_t npu_object_address(uint32_t handle);
uint32_t npu_object_handle(uint64_t address);

/* Makes an object of `asked` bytes; its record, or a record with handle 0 and errno set. */
npu_object npu_object_create(uint64_t asked, uint32_t flags);
/* The object whose memory `fd` is, made when there is none; a record with handle 0 and errno set when it is no memory. */
npu_object npu_object_import(int fd);
/* A copy of the record; false when there is no such object. */
bool npu_object_find(uint32_t handle, npu_object *object);
/* Removes the object; false when there is none. */
bool npu_object_destroy(uint32_t handle);

#endif

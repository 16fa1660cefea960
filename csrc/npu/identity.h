/* Which file a descriptor is. Asked of the kernel: fstat is one of the functions this library stands in for. */
#ifndef RKPARITY_NPU_IDENTITY_H
#define RKPARITY_NPU_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct npu_identity {
    uint64_t inode;
    uint64_t device;
    uint64_t size;
    bool regular;
} npu_identity;

/* False when `fd` is no descriptor. */
bool npu_identify(int fd, npu_identity *identity);
bool npu_same_file(const npu_identity *a, const npu_identity *b);

#endif

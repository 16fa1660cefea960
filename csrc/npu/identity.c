#include "npu/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool npu_identify(int fd, npu_identity *identity)
{
    struct statx found;
    if (fd < 0 || syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &found) != 0)
        return false;
    *identity = (npu_identity){
        .inode = found.stx_ino,
        .device = (uint64_t)found.stx_dev_major << 32 | found.stx_dev_minor,
        .size = found.stx_size,
        .regular = S_ISREG(found.stx_mode),
    };
    return true;
}

bool npu_same_file(const npu_identity *a, const npu_identity *b)
{
    return a->inode == b->inode && a->device == b->device;
}

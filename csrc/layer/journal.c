#include "layer/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much is reserved at a time; what a crash leaves unused at the end of the file is less than this. */
enum { WINDOW = 256 << 10 };

static struct {
    char path[RKL_PATH_SIZE];
    dev_t device;
    ino_t inode;
    uint64_t used;
    char *map;
    uint64_t map_start;
    size_t map_nbytes;
} journal;

bool rkl_identify(int fd, struct stat *status)
{
#if defined(__arm__)
    return syscall(SYS_fstat64, fd, status) == 0;
#else
    return syscall(SYS_fstat, fd, status) == 0;
#endif
}

/* The trace file again; -1 when something else has its name now. */
static int reopen(int mode)
{
    const int fd = open(journal.path, mode | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (fd >= 0 && (!rkl_identify(fd, &status) || status.st_dev != journal.device || status.st_ino != journal.inode)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void unmap(void)
{
    if (journal.map) {
        munmap(journal.map, journal.map_nbytes);
        journal.map = NULL;
    }
}

static void cut(int fd)
{
    if (ftruncate(fd, (off_t)journal.used) != 0) {
        /* The readers of the trace take zero bytes at its end for what they are. */
        return;
    }
}

/* Moves the mapping to the end of what is used, with room for `nbytes`. */
static bool map_window(int fd, size_t nbytes)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t start = journal.used / page * page;
    const uint64_t end = (journal.used + nbytes + WINDOW) / page * page;
    const size_t length = (size_t)(end - start);
    char *map;

    unmap();
    if (fallocate(fd, 0, (off_t)start, (off_t)length) != 0) {
        cut(fd);
        return false;
    }
    map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)start);
    if (map == MAP_FAILED) {
        cut(fd);
        return false;
    }
    journal.map = map;
    journal.map_start = start;
    journal.map_nbytes = length;
    return true;
}

bool rkl_journal_create(const char *path)
{
    struct stat status;
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    if (!rkl_identify(fd, &status)) {
        close(fd);
        return false;
    }
    strncpy(journal.path, path, sizeof journal.path - 1);
    journal.device = status.st_dev;
    journal.inode = status.st_ino;
    journal.used = 0;
    map_window(fd, 0);
    close(fd);
    return true;
}

static bool write_line(const char *data, size_t nbytes)
{
    const int fd = reopen(O_WRONLY | O_APPEND);
    bool written = fd >= 0;
    while (written && nbytes > 0) {
        const ssize_t n = write(fd, data, nbytes);
        if (n > 0) {
            data += n;
            nbytes -= (size_t)n;
            journal.used += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            written = false;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

bool rkl_journal_append(const char *data, size_t nbytes)
{
    if (journal.map && journal.used + nbytes > journal.map_start + journal.map_nbytes) {
        const int fd = reopen(O_RDWR);
        if (fd < 0) {
            unmap();
            return false;
        }
        map_window(fd, nbytes);
        close(fd);
    }
    if (!journal.map) {
        return write_line(data, nbytes);
    }
    memcpy(journal.map + (journal.used - journal.map_start), data, nbytes);
    journal.used += nbytes;
    return true;
}

uint64_t rkl_journal_used(void)
{
    return journal.used;
}

void rkl_journal_finish(void)
{
    if (journal.map) {
        const int fd = reopen(O_RDWR);
        unmap();
        if (fd >= 0) {
            cut(fd);
            close(fd);
        }
    }
}

void rkl_journal_abandon(void)
{
    unmap();
    journal.used = 0;
}

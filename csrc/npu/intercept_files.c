/*
 * The functions a program reaches files by: the device's node is opened here, devices that the board does not have are absent, and
 * files that describe the machine are the virtual board's. Every other path goes to the C library unchanged.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#include "npu/device.h"
#include "npu/export.h"

#define MAX_PATH 4096
/* What libdrm takes for a card: a character device of this number. */
#define CARD_NUMBER makedev(226, 1)

/* Calls the next definition of a function, through a pointer of its own type. */
#define NEXT(type, name)                                      \
    type real;                                                \
    void *symbol = npu_next(name);                            \
    if (symbol == NULL) {                                     \
        errno = ENOSYS;                                       \
        return -1;                                            \
    }                                                         \
    memcpy(&real, &symbol, sizeof real)

typedef int open_function(const char *, int, ...);
typedef FILE *fopen_function(const char *, const char *);
typedef DIR *opendir_function(const char *);
typedef int access_function(const char *, int);
typedef ssize_t readlink_function(const char *, char *, size_t);
typedef int path_function(const char *);
typedef int mode_function(const char *, mode_t);
typedef int chown_function(const char *, uid_t, gid_t);
typedef int mknod_function(const char *, mode_t, dev_t);
typedef int xmknod_function(int, const char *, mode_t, dev_t *);
typedef int stat_function(const char *, void *);
typedef int fstat_function(int, void *);
typedef int versioned_stat_function(int, const char *, void *);
typedef int versioned_fstat_function(int, int, void *);

/* The path to use instead; NULL, with errno set, when there is no such file on the board. */
static const char *shown(const char *path, npu_path kind, char *room)
{
    if (kind == NPU_PATH_ABSENT || (kind == NPU_PATH_BOARD && !npu_board_file(path, room, MAX_PATH))) {
        errno = ENOENT;
        return NULL;
    }
    return kind == NPU_PATH_BOARD ? room : path;
}

static int open_path(const char *name, const char *path, int flags, mode_t mode)
{
    char room[MAX_PATH];
    npu_path kind = npu_path_kind(path);
    if (kind == NPU_PATH_DEVICE || kind == NPU_PATH_HEAP)
        return npu_device_open(kind);
    const char *file = shown(path, kind, room);
    if (file == NULL)
        return -1;
    NEXT(open_function *, name);
    return real(file, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

NPU_EXPORT int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_path("open", path, flags, mode);
}

NPU_EXPORT int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_path("open64", path, flags, mode);
}

static FILE *fopen_path(const char *name, const char *path, const char *mode)
{
    char room[MAX_PATH];
    const char *file = shown(path, npu_path_kind(path), room);
    void *symbol = npu_next(name);
    fopen_function *real;
    if (file == NULL || symbol == NULL)
        return NULL;
    memcpy(&real, &symbol, sizeof real);
    return real(file, mode);
}

NPU_EXPORT FILE *fopen(const char *path, const char *mode)
{
    return fopen_path("fopen", path, mode);
}

NPU_EXPORT FILE *fopen64(const char *path, const char *mode)
{
    return fopen_path("fopen64", path, mode);
}

NPU_EXPORT DIR *opendir(const char *path)
{
    char room[MAX_PATH];
    const char *file = shown(path, npu_path_kind(path), room);
    void *symbol = npu_next("opendir");
    opendir_function *real;
    if (file == NULL || symbol == NULL)
        return NULL;
    memcpy(&real, &symbol, sizeof real);
    return real(file);
}

NPU_EXPORT int access(const char *path, int mode)
{
    char room[MAX_PATH];
    npu_path kind = npu_path_kind(path);
    if (kind == NPU_PATH_DEVICE || kind == NPU_PATH_HEAP || kind == NPU_PATH_FOLDER)
        return 0;
    const char *file = shown(path, kind, room);
    if (file == NULL)
        return -1;
    NEXT(access_function *, "access");
    return real(file, mode);
}

NPU_EXPORT ssize_t readlink(const char *path, char *to, size_t size)
{
    char room[MAX_PATH];
    const char *file = shown(path, npu_path_kind(path), room);
    if (file == NULL)
        return -1;
    NEXT(readlink_function *, "readlink");
    return real(file, to, size);
}

/* The library makes, mends and removes device nodes as root would on a board; here they are what they are. */
static bool is_node(const char *path)
{
    npu_path kind = npu_path_kind(path);
    return kind == NPU_PATH_DEVICE || kind == NPU_PATH_ABSENT || kind == NPU_PATH_FOLDER;
}

static int forbidden(void)
{
    errno = EACCES;
    return -1;
}

NPU_EXPORT int mkdir(const char *path, mode_t mode)
{
    if (is_node(path))
        return forbidden();
    NEXT(mode_function *, "mkdir");
    return real(path, mode);
}

NPU_EXPORT int chmod(const char *path, mode_t mode)
{
    if (is_node(path))
        return 0;
    NEXT(mode_function *, "chmod");
    return real(path, mode);
}

NPU_EXPORT int chown(const char *path, uid_t user, gid_t group)
{
    if (is_node(path))
        return 0;
    NEXT(chown_function *, "chown");
    return real(path, user, group);
}

NPU_EXPORT int remove(const char *path)
{
    if (is_node(path))
        return forbidden();
    NEXT(path_function *, "remove");
    return real(path);
}

NPU_EXPORT int unlink(const char *path)
{
    if (is_node(path))
        return forbidden();
    NEXT(path_function *, "unlink");
    return real(path);
}

NPU_EXPORT int mknod(const char *path, mode_t mode, dev_t number)
{
    if (is_node(path))
        return forbidden();
    NEXT(mknod_function *, "mknod");
    return real(path, mode, number);
}

NPU_EXPORT int __xmknod(int version, const char *path, mode_t mode, dev_t *number)
{
    if (is_node(path))
        return forbidden();
    NEXT(xmknod_function *, "__xmknod");
    return real(version, path, mode, number);
}

static void describe(struct stat *found, mode_t mode)
{
    memset(found, 0, sizeof *found);
    found->st_mode = mode;
    found->st_nlink = 1;
    if (S_ISCHR(mode))
        found->st_rdev = CARD_NUMBER;
}

static void describe64(struct stat64 *found, mode_t mode)
{
    memset(found, 0, sizeof *found);
    found->st_mode = mode;
    found->st_nlink = 1;
    if (S_ISCHR(mode))
        found->st_rdev = CARD_NUMBER;
}

/* The mode of a path that is ours; 0 for every other. */
static mode_t mode_of_path(npu_path kind)
{
    switch (kind) {
    case NPU_PATH_DEVICE:
    case NPU_PATH_HEAP:
        return S_IFCHR | 0660;
    case NPU_PATH_FOLDER:
        return S_IFDIR | 0755;
    default:
        return 0;
    }
}

/* Each name by which programs of old and new C libraries ask. */
#define STAT_BY_PATH(name, structure, fill)                                     \
    NPU_EXPORT int name(const char *path, structure *found)                     \
    {                                                                           \
        char room[MAX_PATH];                                                    \
        npu_path kind = npu_path_kind(path);                                    \
        if (mode_of_path(kind) != 0) {                                          \
            fill(found, mode_of_path(kind));                                    \
            return 0;                                                           \
        }                                                                       \
        const char *file = shown(path, kind, room);                             \
        if (file == NULL)                                                       \
            return -1;                                                          \
        NEXT(stat_function *, #name);                                           \
        return real(file, found);                                               \
    }
#define STAT_BY_VERSION(name, structure, fill)                                  \
    NPU_EXPORT int name(int version, const char *path, structure *found)        \
    {                                                                           \
        char room[MAX_PATH];                                                    \
        npu_path kind = npu_path_kind(path);                                    \
        if (mode_of_path(kind) != 0) {                                          \
            fill(found, mode_of_path(kind));                                    \
            return 0;                                                           \
        }                                                                       \
        const char *file = shown(path, kind, room);                             \
        if (file == NULL)                                                       \
            return -1;                                                          \
        NEXT(versioned_stat_function *, #name);                                 \
        return real(version, file, found);                                      \
    }
#define STAT_BY_FD(name, structure, fill)                                       \
    NPU_EXPORT int name(int fd, structure *found)                               \
    {                                                                           \
        if (npu_is_device(fd)) {                                                \
            fill(found, S_IFCHR | 0660);                                        \
            return 0;                                                           \
        }                                                                       \
        NEXT(fstat_function *, #name);                                          \
        return real(fd, found);                                                 \
    }
#define STAT_BY_FD_VERSION(name, structure, fill)                               \
    NPU_EXPORT int name(int version, int fd, structure *found)                  \
    {                                                                           \
        if (npu_is_device(fd)) {                                                \
            fill(found, S_IFCHR | 0660);                                        \
            return 0;                                                           \
        }                                                                       \
        NEXT(versioned_fstat_function *, #name);                                \
        return real(version, fd, found);                                        \
    }

STAT_BY_PATH(stat, struct stat, describe)
STAT_BY_PATH(lstat, struct stat, describe)
STAT_BY_PATH(stat64, struct stat64, describe64)
STAT_BY_PATH(lstat64, struct stat64, describe64)
STAT_BY_VERSION(__xstat, struct stat, describe)
STAT_BY_VERSION(__lxstat, struct stat, describe)
STAT_BY_VERSION(__xstat64, struct stat64, describe64)
STAT_BY_VERSION(__lxstat64, struct stat64, describe64)
STAT_BY_FD(fstat, struct stat, describe)
STAT_BY_FD(fstat64, struct stat64, describe64)
STAT_BY_FD_VERSION(__fxstat, struct stat, describe)
STAT_BY_FD_VERSION(__fxstat64, struct stat64, describe64)

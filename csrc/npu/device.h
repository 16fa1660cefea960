/* The stand-in device: which paths and descriptors are it. */
#ifndef RKPARITY_NPU_DEVICE_H
#define RKPARITY_NPU_DEVICE_H

#include <stdbool.h>

typedef enum npu_path {
    NPU_PATH_OTHER,  /* not ours */
    NPU_PATH_DEVICE, /* the NPU */
    NPU_PATH_HEAP,   /* a dma-buf heap */
    NPU_PATH_FOLDER, /* /dev/dri */
    NPU_PATH_ABSENT, /* a device this board does not have */
    NPU_PATH_BOARD   /* a file that describes the machine: the virtual board's own is shown */
} npu_path;

npu_path npu_path_kind(const char *path);
/* The virtual board's file for a path of kind NPU_PATH_BOARD; false when there is no room. */
bool npu_board_file(const char *path, char *to, unsigned long size);

/* Opens the device or a heap; -1 with errno set. */
int npu_device_open(npu_path kind);
bool npu_is_device(int fd);
bool npu_is_heap(int fd);

/* The next definition of a function after this library's; NULL when there is none. */
void *npu_next(const char *name);

#endif

/*
 * The interface of the vendor's kernel driver rknpu in our own declarations: structures follow rknpu_ioctl.h of the vendor's open
 * kernel and were seen in use with librknnrt 1.5.2; docs/npu.md says how each was seen.
 */
#ifndef RKPARITY_NPU_KERNEL_ABI_H
#define RKPARITY_NPU_KERNEL_ABI_H

#include <stddef.h>
#include <stdint.h>

/* The type byte of an ioctl: through a DRM card the driver's requests begin at 0x40; /dev/rknpu has a type of its own. */
#define NPU_IOCTL_DRM 'd'
#define NPU_IOCTL_OWN 'r'
#define NPU_DRM_COMMAND_BASE 0x40u

enum npu_request {
    NPU_REQUEST_ACTION = 0,
    NPU_REQUEST_SUBMIT = 1,
    NPU_REQUEST_MEMORY_CREATE = 2,
    NPU_REQUEST_MEMORY_MAP = 3,
    NPU_REQUEST_MEMORY_DESTROY = 4,
    NPU_REQUEST_MEMORY_SYNC = 5
};

/* Requests of DRM itself that libdrm sends. */
enum npu_drm_request {
    NPU_DRM_VERSION = 0x00,
    NPU_DRM_UNIQUE = 0x01,
    NPU_DRM_SET_VERSION = 0x07,
    NPU_DRM_GEM_CLOSE = 0x09,
    NPU_DRM_GEM_FLINK = 0x0a,
    NPU_DRM_PRIME_HANDLE_TO_FD = 0x2d,
    NPU_DRM_PRIME_FD_TO_HANDLE = 0x2e
};

enum npu_action_code {
    NPU_ACTION_HARDWARE_VERSION = 0,
    NPU_ACTION_DRIVER_VERSION = 1,
    NPU_ACTION_FREQUENCY = 2,
    NPU_ACTION_VOLTAGE = 4,
    NPU_ACTION_IOMMU = 18,
    NPU_ACTION_SRAM_TOTAL = 22,
    NPU_ACTION_SRAM_FREE = 23
};

/* Flags of a submit. */
#define NPU_SUBMIT_FENCE_IN 0x8u
#define NPU_SUBMIT_FENCE_OUT 0x10u

typedef struct npu_action {
    uint32_t code;
    uint32_t value;
} npu_action;

typedef struct npu_memory_create {
    uint32_t handle;
    uint32_t flags;
    uint64_t size;
    uint64_t object;
    uint64_t dma;
    /* Older libraries end here. */
    uint64_t sram_size;
} npu_memory_create;

typedef struct npu_memory_map {
    uint32_t handle;
    uint32_t reserved;
    uint64_t offset;
} npu_memory_map;

typedef struct npu_memory_destroy {
    uint32_t handle;
    uint32_t reserved;
    uint64_t object;
} npu_memory_destroy;

typedef struct npu_core_share {
    uint32_t start;
    uint32_t number;
} npu_core_share;

typedef struct npu_submit {
    uint32_t flags;
    uint32_t timeout_ms;
    uint32_t task_start;
    uint32_t task_number;
    uint32_t task_counter;
    int32_t priority;
    uint64_t task_object;
    uint64_t regcfg_object;
    uint64_t task_base;
    int64_t elapsed_ns;
    uint32_t core_mask;
    int32_t fence;
    npu_core_share cores[5];
} npu_submit;

typedef struct npu_drm_version {
    int major;
    int minor;
    int patch;
    size_t name_length;
    char *name;
    size_t date_length;
    char *date;
    size_t description_length;
    char *description;
} npu_drm_version;

typedef struct npu_drm_prime {
    uint32_t handle;
    uint32_t flags;
    int32_t fd;
} npu_drm_prime;

_Static_assert(sizeof(npu_memory_create) == 40, "the library's ioctl says 40 bytes");
_Static_assert(sizeof(npu_memory_map) == 16 && sizeof(npu_memory_destroy) == 16, "two words and an address");
_Static_assert(sizeof(npu_submit) == 104, "the library's ioctl says 104 bytes");
_Static_assert(offsetof(npu_submit, task_object) == 24 && offsetof(npu_submit, core_mask) == 56, "submit");
_Static_assert(offsetof(npu_submit, cores) == 64, "submit");

#endif

/*
 * The binary interface of librknnrt in rkparity's own declarations.
 *
 * Layouts and numbers were measured on the library (sizes: the answers of rknn_query to wrong lengths, evidence
 * 160_rawq; return codes: evidence 160_err_*, 152_*, 140_*). Whoever calls the library (runtime/), stands in for it (emulator/, the test
 * double) or stands between (layer/) compiles against this one file; the assertions at the end stop a build whose
 * compiler lays the structures out differently.
 */
#ifndef RKPARITY_ABI_RKNN_ABI_H
#define RKPARITY_ABI_RKNN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 32-bit Arm passes the context as 32 bits, every other target as 64. */
#if defined(__arm__)
typedef uint32_t rkabi_context;
#else
typedef uint64_t rkabi_context;
#endif

#define RKABI_MAX_DIMS 16
#define RKABI_MAX_NAME_LEN 256
#define RKABI_MAX_DYNAMIC_SHAPES 512

/* Return codes. */
enum rkabi_status {
    RKABI_OK = 0,
    RKABI_ERR_FAIL = -1,
    RKABI_ERR_TIMEOUT = -2,
    RKABI_ERR_DEVICE_UNAVAILABLE = -3,
    RKABI_ERR_MALLOC_FAIL = -4,
    RKABI_ERR_PARAM_INVALID = -5,
    RKABI_ERR_MODEL_INVALID = -6,
    RKABI_ERR_CTX_INVALID = -7,
    RKABI_ERR_INPUT_INVALID = -8,
    RKABI_ERR_OUTPUT_INVALID = -9,
    RKABI_ERR_DEVICE_UNMATCH = -10,
    RKABI_ERR_INCOMPATIBLE_PRE_COMPILE = -11,
    RKABI_ERR_INCOMPATIBLE_OPTIMIZATION = -12,
    RKABI_ERR_PLATFORM_UNMATCH = -13
};

/* Element types. */
typedef enum rkabi_type {
    RKABI_TYPE_FLOAT32 = 0,
    RKABI_TYPE_FLOAT16 = 1,
    RKABI_TYPE_INT8 = 2,
    RKABI_TYPE_UINT8 = 3,
    RKABI_TYPE_INT16 = 4,
    RKABI_TYPE_UINT16 = 5,
    RKABI_TYPE_INT32 = 6,
    RKABI_TYPE_UINT32 = 7,
    RKABI_TYPE_INT64 = 8,
    RKABI_TYPE_BOOL = 9,
    RKABI_TYPE_INT4 = 10,
    RKABI_TYPE_BFLOAT16 = 11,
    RKABI_TYPE_COUNT = 12
} rkabi_type;

/* Data layouts. */
typedef enum rkabi_fmt {
    RKABI_FMT_NCHW = 0,
    RKABI_FMT_NHWC = 1,
    RKABI_FMT_NC1HWC2 = 2,
    RKABI_FMT_UNDEFINED = 3,
    RKABI_FMT_COUNT = 4
} rkabi_fmt;

/* Quantisation kinds. */
typedef enum rkabi_qnt {
    RKABI_QNT_NONE = 0,
    RKABI_QNT_DFP = 1,
    RKABI_QNT_AFFINE_ASYMMETRIC = 2,
    RKABI_QNT_COUNT = 3
} rkabi_qnt;

/* Commands of rknn_query; the highest known one depends on the version: 9 (1.2) to 17 (1.5.2 and later). */
typedef enum rkabi_query {
    RKABI_QUERY_IN_OUT_NUM = 0,
    RKABI_QUERY_INPUT_ATTR = 1,
    RKABI_QUERY_OUTPUT_ATTR = 2,
    RKABI_QUERY_PERF_DETAIL = 3,
    RKABI_QUERY_PERF_RUN = 4,
    RKABI_QUERY_SDK_VERSION = 5,
    RKABI_QUERY_MEM_SIZE = 6,
    RKABI_QUERY_CUSTOM_STRING = 7,
    RKABI_QUERY_NATIVE_INPUT_ATTR = 8,
    RKABI_QUERY_NATIVE_OUTPUT_ATTR = 9,
    RKABI_QUERY_NATIVE_NHWC_INPUT_ATTR = 10,
    RKABI_QUERY_NATIVE_NHWC_OUTPUT_ATTR = 11,
    RKABI_QUERY_DEVICE_MEM_INFO = 12,
    RKABI_QUERY_INPUT_DYNAMIC_RANGE = 13,
    RKABI_QUERY_CURRENT_INPUT_ATTR = 14,
    RKABI_QUERY_CURRENT_OUTPUT_ATTR = 15,
    RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR = 16,
    RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR = 17
} rkabi_query;

/* NPU cores a context may use. */
typedef enum rkabi_core_mask {
    RKABI_CORE_AUTO = 0,
    RKABI_CORE_0 = 1,
    RKABI_CORE_1 = 2,
    RKABI_CORE_2 = 4,
    RKABI_CORE_0_1 = 3,
    RKABI_CORE_0_1_2 = 7,
    RKABI_CORE_ALL = 0xffff
} rkabi_core_mask;

/* Directions of rknn_mem_sync. */
typedef enum rkabi_sync {
    RKABI_SYNC_TO_DEVICE = 1,
    RKABI_SYNC_FROM_DEVICE = 2,
    RKABI_SYNC_BOTH = 3
} rkabi_sync;

/* Flags of rknn_init that rkparity uses (RKNN manual, rknn_init). */
#define RKABI_FLAG_COLLECT_PERF 0x00000008u

typedef struct rkabi_in_out_num {
    uint32_t n_input;
    uint32_t n_output;
} rkabi_in_out_num;

typedef struct rkabi_tensor_attr {
    uint32_t index;
    uint32_t n_dims;
    uint32_t dims[RKABI_MAX_DIMS];
    char name[RKABI_MAX_NAME_LEN];
    uint32_t n_elems;
    uint32_t size;
    rkabi_fmt fmt;
    rkabi_type type;
    rkabi_qnt qnt_type;
    int8_t fl;
    int32_t zp;
    float scale;
    uint32_t w_stride;
    uint32_t size_with_stride;
    uint8_t pass_through;
    uint32_t h_stride;
} rkabi_tensor_attr;

typedef struct rkabi_input_range {
    uint32_t index;
    uint32_t shape_number;
    rkabi_fmt fmt;
    char name[RKABI_MAX_NAME_LEN];
    uint32_t dyn_range[RKABI_MAX_DYNAMIC_SHAPES][RKABI_MAX_DIMS];
    uint32_t n_dims;
} rkabi_input_range;

typedef struct rkabi_perf_detail {
    char *data;
    uint64_t length;
} rkabi_perf_detail;

typedef struct rkabi_perf_run {
    int64_t run_duration_us;
} rkabi_perf_run;

typedef struct rkabi_sdk_version {
    char api_version[256];
    char drv_version[256];
} rkabi_sdk_version;

typedef struct rkabi_mem_size {
    uint32_t total_weight_size;
    uint32_t total_internal_size;
    uint64_t total_dma_size;
    uint32_t total_sram_size;
    uint32_t free_sram_size;
    uint32_t reserved[10];
} rkabi_mem_size;

typedef struct rkabi_custom_string {
    char text[1024];
} rkabi_custom_string;

typedef struct rkabi_tensor_mem {
    void *virt_addr;
    uint64_t phys_addr;
    int32_t fd;
    int32_t offset;
    uint32_t size;
    uint32_t flags;
    void *priv_data;
} rkabi_tensor_mem;

typedef struct rkabi_input {
    uint32_t index;
    void *buf;
    uint32_t size;
    uint8_t pass_through;
    rkabi_type type;
    rkabi_fmt fmt;
} rkabi_input;

typedef struct rkabi_output {
    uint8_t want_float;
    uint8_t is_prealloc;
    uint32_t index;
    void *buf;
    uint32_t size;
} rkabi_output;

typedef struct rkabi_init_extend {
    rkabi_context ctx;
    int32_t real_model_offset;
    uint32_t real_model_size;
    int32_t model_buffer_fd;
    uint32_t model_buffer_flags;
    uint8_t reserved[112];
} rkabi_init_extend;

typedef struct rkabi_run_extend {
    uint64_t frame_id;
    int32_t non_block;
    int32_t timeout_ms;
    int32_t fence_fd;
} rkabi_run_extend;

typedef struct rkabi_output_extend {
    uint64_t frame_id;
} rkabi_output_extend;

/*
 * The library's functions. Callers never link against them (they are looked up by name); the prototypes are for those
 * who define them. rknn_init: with size 0, `model` is a path.
 */
int rknn_init(rkabi_context *ctx, void *model, uint32_t size, uint32_t flag, rkabi_init_extend *extend);
int rknn_dup_context(rkabi_context *from, rkabi_context *to);
int rknn_destroy(rkabi_context ctx);
int rknn_query(rkabi_context ctx, rkabi_query command, void *info, uint32_t size);
int rknn_inputs_set(rkabi_context ctx, uint32_t n_inputs, rkabi_input inputs[]);
int rknn_set_batch_core_num(rkabi_context ctx, int core_num);
int rknn_set_core_mask(rkabi_context ctx, rkabi_core_mask core_mask);
int rknn_run(rkabi_context ctx, rkabi_run_extend *extend);
int rknn_wait(rkabi_context ctx, rkabi_run_extend *extend);
int rknn_outputs_get(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[], rkabi_output_extend *extend);
int rknn_outputs_release(rkabi_context ctx, uint32_t n_outputs, rkabi_output outputs[]);
rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size);
rkabi_tensor_mem *rknn_create_mem2(rkabi_context ctx, uint64_t size, uint64_t flags);
rkabi_tensor_mem *rknn_create_mem_from_fd(rkabi_context ctx, int32_t fd, void *virt_addr, uint32_t size, int32_t offset);
rkabi_tensor_mem *rknn_create_mem_from_phys(rkabi_context ctx, uint64_t phys_addr, void *virt_addr, uint32_t size);
int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem);
int rknn_set_weight_mem(rkabi_context ctx, rkabi_tensor_mem *mem);
int rknn_set_internal_mem(rkabi_context ctx, rkabi_tensor_mem *mem);
int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr);
int rknn_set_input_shape(rkabi_context ctx, rkabi_tensor_attr *attr);
int rknn_set_input_shapes(rkabi_context ctx, uint32_t n_inputs, rkabi_tensor_attr attr[]);
int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode);

#ifdef __cplusplus
}
#else
_Static_assert(sizeof(rkabi_type) == 4 && sizeof(rkabi_fmt) == 4 && sizeof(rkabi_qnt) == 4, "enums are 32 bits wide");
_Static_assert(sizeof(rkabi_in_out_num) == 8, "rknn_query names this size (evidence 160_rawq)");
_Static_assert(sizeof(rkabi_tensor_attr) == 376, "rknn_query names this size (evidence 160_rawq)");
_Static_assert(offsetof(rkabi_tensor_attr, dims) == 8, "attr.dims");
_Static_assert(offsetof(rkabi_tensor_attr, name) == 72, "attr.name");
_Static_assert(offsetof(rkabi_tensor_attr, n_elems) == 328, "attr.n_elems");
_Static_assert(offsetof(rkabi_tensor_attr, size) == 332, "attr.size");
_Static_assert(offsetof(rkabi_tensor_attr, fmt) == 336, "attr.fmt");
_Static_assert(offsetof(rkabi_tensor_attr, qnt_type) == 344, "attr.qnt_type");
_Static_assert(offsetof(rkabi_tensor_attr, fl) == 348, "attr.fl");
_Static_assert(offsetof(rkabi_tensor_attr, zp) == 352, "attr.zp");
_Static_assert(offsetof(rkabi_tensor_attr, scale) == 356, "attr.scale");
_Static_assert(offsetof(rkabi_tensor_attr, size_with_stride) == 364, "attr.size_with_stride");
_Static_assert(offsetof(rkabi_tensor_attr, pass_through) == 368, "attr.pass_through");
_Static_assert(offsetof(rkabi_tensor_attr, h_stride) == 372, "attr.h_stride");
_Static_assert(sizeof(rkabi_sdk_version) == 512, "rknn_query names this size (evidence 160_rawq)");
_Static_assert(sizeof(rkabi_perf_run) == 8, "perf_run");
_Static_assert(sizeof(rkabi_perf_detail) == 16 && offsetof(rkabi_perf_detail, length) == 8, "perf_detail");
_Static_assert(sizeof(rkabi_mem_size) == 64 && offsetof(rkabi_mem_size, total_dma_size) == 8, "mem_size");
_Static_assert(sizeof(rkabi_custom_string) == 1024, "custom_string");
_Static_assert(sizeof(rkabi_run_extend) == 24, "run_extend");
_Static_assert(sizeof(rkabi_tensor_mem) == 40 && offsetof(rkabi_tensor_mem, phys_addr) == 8, "tensor_mem");
_Static_assert(offsetof(rkabi_tensor_mem, fd) == 16 && offsetof(rkabi_tensor_mem, priv_data) == 32, "tensor_mem");
#if UINTPTR_MAX > 0xffffffffu
_Static_assert(sizeof(rkabi_context) == 8, "context");
_Static_assert(sizeof(rkabi_input) == 32 && offsetof(rkabi_input, buf) == 8, "input");
_Static_assert(offsetof(rkabi_input, pass_through) == 20 && offsetof(rkabi_input, fmt) == 28, "input");
_Static_assert(sizeof(rkabi_output) == 24 && offsetof(rkabi_output, buf) == 8, "output");
_Static_assert(sizeof(rkabi_init_extend) == 136, "init_extend");
#elif defined(__arm__)
_Static_assert(sizeof(rkabi_context) == 4, "context");
_Static_assert(sizeof(rkabi_input) == 24 && offsetof(rkabi_input, buf) == 4, "input");
_Static_assert(offsetof(rkabi_input, pass_through) == 12 && offsetof(rkabi_input, fmt) == 20, "input");
_Static_assert(sizeof(rkabi_output) == 16 && offsetof(rkabi_output, buf) == 8, "output");
_Static_assert(sizeof(rkabi_init_extend) == 132, "init_extend");
#endif
#endif

#endif

/* librknnrt, opened by path at run time and called through a table; nothing is linked against it. */
#ifndef RKPARITY_RUNTIME_LOADER_H
#define RKPARITY_RUNTIME_LOADER_H

#include <limits.h>

#include "abi/rknn_abi.h"
#include "runtime/error.h"

/*
 * The functions found. init, destroy, query and run are always there; every other one may be NULL, because versions differ:
 * rknn_mem_sync is missing in 1.5.2, rknn_set_core_mask in the mini runtime. Check with rkrt_require.
 */
typedef struct rkrt_library {
    void *handle;
    char path[PATH_MAX];
    int (*init)(rkabi_context *, void *, uint32_t, uint32_t, rkabi_init_extend *);
    int (*destroy)(rkabi_context);
    int (*query)(rkabi_context, rkabi_query, void *, uint32_t);
    int (*run)(rkabi_context, rkabi_run_extend *);
    int (*inputs_set)(rkabi_context, uint32_t, rkabi_input[]);
    int (*outputs_get)(rkabi_context, uint32_t, rkabi_output[], rkabi_output_extend *);
    int (*outputs_release)(rkabi_context, uint32_t, rkabi_output[]);
    int (*set_core_mask)(rkabi_context, rkabi_core_mask);
    rkabi_tensor_mem *(*create_mem)(rkabi_context, uint32_t);
    int (*destroy_mem)(rkabi_context, rkabi_tensor_mem *);
    int (*set_io_mem)(rkabi_context, rkabi_tensor_mem *, rkabi_tensor_attr *);
    int (*mem_sync)(rkabi_context, rkabi_tensor_mem *, rkabi_sync);
    int (*set_input_shapes)(rkabi_context, uint32_t, rkabi_tensor_attr[]);
} rkrt_library;

/*
 * Opens the library at `path` (NULL or empty: "librknnrt.so", found by the dynamic linker) and fills `library`; its path is
 * the file really loaded. 0, or -1 with kind LIBRARY.
 */
int rkrt_library_open(const char *path, rkrt_library *library, rkrt_error *error);

/* Closes the library; harmless on one that was never opened. */
void rkrt_library_close(rkrt_library *library);

/* 0 when `function` (a member of the table, as a truth value) is there, else -1 with kind UNSUPPORTED naming `symbol`. */
int rkrt_require(const rkrt_library *library, int present, const char *symbol, rkrt_error *error);

#endif

/* The real library: found once, its functions in a table; what it lacks is NULL. */
#ifndef RKPARITY_LAYER_REAL_H
#define RKPARITY_LAYER_REAL_H

#include <stdbool.h>

#include "abi/rknn_abi.h"
#include "layer/text.h"

#define RKL_FUNCTIONS(X)                                                                                                        \
    X(rknn_init)                                                                                                                \
    X(rknn_dup_context)                                                                                                         \
    X(rknn_destroy)                                                                                                             \
    X(rknn_query)                                                                                                               \
    X(rknn_inputs_set)                                                                                                          \
    X(rknn_set_batch_core_num)                                                                                                  \
    X(rknn_set_core_mask)                                                                                                       \
    X(rknn_run)                                                                                                                 \
    X(rknn_wait)                                                                                                                \
    X(rknn_outputs_get)                                                                                                         \
    X(rknn_outputs_release)                                                                                                     \
    X(rknn_create_mem)                                                                                                          \
    X(rknn_create_mem2)                                                                                                         \
    X(rknn_create_mem_from_fd)                                                                                                  \
    X(rknn_create_mem_from_phys)                                                                                                \
    X(rknn_destroy_mem)                                                                                                         \
    X(rknn_set_weight_mem)                                                                                                      \
    X(rknn_set_internal_mem)                                                                                                    \
    X(rknn_set_io_mem)                                                                                                          \
    X(rknn_set_input_shape)                                                                                                     \
    X(rknn_set_input_shapes)                                                                                                    \
    X(rknn_mem_sync)

struct rkl_real {
#define RKL_FIELD(NAME) __typeof__(NAME) *NAME;
    RKL_FUNCTIONS(RKL_FIELD)
#undef RKL_FIELD
};

/* Finds the library at the first use. Without one every entry is NULL. */
const struct rkl_real *rkl_real(void);

/* A function of the library that is in no table; NULL where it has none of that name. */
void *rkl_real_other(const char *name);

/* dlsym, and the path the layer was loaded by. */
void *rkl_symbol(void *handle, const char *name);
const char *rkl_own_path(void);

/* dlopen of the C library; NULL when there is none. */
typedef void *rkl_dlopen_function(const char *file, int mode);
rkl_dlopen_function *rkl_real_dlopen(void);

/* A library the program opened: true when its calls go through the layer from now on. */
bool rkl_real_capture(void *handle);

/* The fields of the `library` line. The caller holds no lock of real.c. */
void rkl_real_describe(struct rkl_text *line);

void rkl_real_lock(void);
void rkl_real_unlock(void);

#endif

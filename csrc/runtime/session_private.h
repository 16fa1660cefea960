/* The inside of a session, shared by the files that implement it. */
#ifndef RKPARITY_RUNTIME_SESSION_PRIVATE_H
#define RKPARITY_RUNTIME_SESSION_PRIVATE_H

#include <stdbool.h>

#include "runtime/session.h"

/* Memory of our own is filled with this before a run, to notice outputs the library never wrote. */
#define RKRT_PATTERN 0xA5

/* A memory bound by rknn_set_io_mem; `view_*` describe what a reader finds in it. */
typedef struct rkrt_bound {
    rkabi_tensor_mem *mem;
    rkabi_tensor_attr attr;
    uint64_t view_nbytes;
} rkrt_bound;

struct rkrt_session {
    rkrt_library library;
    rkabi_context context;
    bool has_context;
    uint32_t n_inputs;
    uint32_t n_outputs;
    rkabi_tensor_attr *input_attrs;
    rkabi_tensor_attr *output_attrs;
    bool inputs_set;
    bool shapes_set;               /* rknn_set_input_shapes was called: attributes are the current ones */
    rkrt_bound *bound_inputs;
    rkrt_bound *bound_outputs;
    rkabi_output *outputs;         /* as given to rknn_outputs_get */
    void **own_buffers;            /* preallocated buffers, NULL where the library's are used */
    bool outputs_held;
};

/* Gives outputs of the general API back to the library; harmless when none are held. */
int rkrt_release_outputs(rkrt_session *session, rkrt_error *error);

/* Destroys a bound memory; harmless when there is none. */
void rkrt_unbind(rkrt_session *session, rkrt_bound *bound);

/* True when every byte still is the pattern. An empty memory is not untouched. */
bool rkrt_is_pattern(const void *data, uint64_t nbytes);

/* Zero-copy outputs as a view. */
int rkrt_bound_output(rkrt_session *session, uint32_t index, rkrt_output_view *view, rkrt_error *error);

#endif

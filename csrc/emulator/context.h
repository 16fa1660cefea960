/* One rknn_context: the model, the state of its inputs and outputs, the connection to the layer-value server. */
#ifndef RKPARITY_EMULATOR_CONTEXT_H
#define RKPARITY_EMULATOR_CONTEXT_H

#include <pthread.h>

#include "emulator/faults.h"
#include "emulator/layout.h"
#include "emulator/model.h"
#include "emulator/version.h"

/* A memory given by rknn_set_io_mem for one input or output. */
typedef struct emu_binding {
    rkabi_tensor_mem *mem; /* NULL: none */
    rkabi_tensor_attr attr;
} emu_binding;

typedef struct emu_input_state {
    emu_layout layout;
    uint8_t *native;  /* layout.slots elements of the model's type; what was there before stays when a set fails */
    bool raw_uint8;   /* `native` holds uint8 pixels that the NPU normalises, not values of the model's type */
    emu_binding binding;
    bool set_generally; /* by rknn_inputs_set, not by rknn_set_io_mem */
    bool npu_normalizes; /* uint8 pixels were taken once: later rknn_inputs_set hand bytes on as they are (evidence seq_17_*) */
    int64_t us;      /* the CPU's work on it in the last run */
    bool bound_once; /* mini runtime: rknn_set_io_mem was called for it, with success or not */
} emu_input_state;

typedef struct emu_output_state {
    uint8_t *values; /* logical order, the model's type */
    emu_binding binding;
    int64_t us; /* the CPU's work on it in the last run */
} emu_output_state;

typedef struct emu_context {
    pthread_mutex_t lock;
    unsigned users; /* calls at work on it, and the table; guarded by the table's mutex */
    int level;      /* RKNN_LOG_LEVEL at rknn_init: kept per context (evidence 160_setenv_*) */
    const emu_version *version;
    uint32_t flags;
    int connection;
    uint8_t *model_bytes; /* for rknn_dup_context */
    size_t model_nbytes;
    emu_file *file;
    const emu_model *model; /* of `file`, at the current set of input shapes */
    bool shapes_set;        /* rknn_set_input_shapes chose it */
    emu_chip chip;
    emu_input_state *inputs;
    emu_output_state *outputs;
    emu_faults faults; /* of the run at work */
    int64_t run_us, simulator_us; /* of the last run; all of it, and the layers alone */
    char *perf_text;
} emu_context;

/* Makes a context from a model's bytes (copied). Returns an RKABI status and logs why on failure. */
int emu_context_create(const void *bytes, size_t nbytes, uint32_t flags, rkabi_context *handle);
/* The same for rknn_dup_context, which says nothing about the model. */
int emu_context_duplicate(const emu_context *context, rkabi_context *handle);
/* The context of a handle, locked; NULL for a handle that is none. Give it back with emu_context_release. `call` is for the
   log: the real library crashes on handles but 0 that are no context (evidence seq_11_*). */
emu_context *emu_context_acquire(rkabi_context handle, const char *call);
void emu_context_release(emu_context *context);
/* Goes to another set of input shapes: inputs, outputs and bindings are those of a fresh context. Returns an RKABI status. */
int emu_context_reshape(emu_context *context, const emu_model *model);
/* Removes the handle; the context goes when the last call on it has ended. */
int emu_context_destroy(rkabi_context handle);

/* Behind the version's number, where the real library has its build's name. */
#define EMU_BUILD_NAME "(rkparity emulated runtime)"
#define EMU_DRIVER_VERSION "0.9.8 (rkparity emulated driver)"

#endif

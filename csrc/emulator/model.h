/* What the emulator knows of a model: the layer-value server's description of the .rknn file, checked. */
#ifndef RKPARITY_EMULATOR_MODEL_H
#define RKPARITY_EMULATOR_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/rknn_abi.h"
#include "emulator/buffer.h"

typedef struct emu_tensor {
    char *name;
    rkabi_type type;
    uint32_t n_dims;
    uint32_t dims[RKABI_MAX_DIMS]; /* logical; 4-D is NCHW */
    uint32_t n_native;
    uint32_t native[RKABI_MAX_DIMS]; /* as the compiler laid it out; 5 dims: N, C1, H, W, C2 */
    float scale;
    int32_t zero_point;
    uint32_t memory_nbytes; /* what the compiler allotted it */
    size_t n_elems;
} emu_tensor;

typedef enum emu_role { EMU_ROLE_LAYER = 0, EMU_ROLE_INPUT = 1, EMU_ROLE_OUTPUT = 2 } emu_role;

#define EMU_NO_INPUT 0xffffffffu

typedef struct emu_node {
    char *op_type;
    char *name;
    emu_role role;
    uint32_t io_index;  /* which model input or output, for those roles */
    char *input_shapes; /* as the layer table shows them */
    rkabi_type type;    /* of the first tensor it reads, or, for inputs, of what it makes */
    uint32_t reads_input; /* the model input that is that tensor; EMU_NO_INPUT: none */
    bool on_npu;          /* where the compiler put it */
    uint32_t n_outputs; /* tensors dumped under this node's index */
    uint32_t *outputs;
} emu_node;

typedef struct emu_model_input {
    uint32_t tensor;
    uint32_t n_channels; /* of mean and std; 0: the model does not normalise */
    float *mean;
    float *std;
} emu_model_input;

/* The model at one set of input shapes. */
typedef struct emu_model {
    uint32_t n_tensors, n_nodes, n_inputs, n_outputs;
    emu_tensor *tensors;
    emu_node *nodes;
    emu_model_input *inputs;
    uint32_t *outputs;
} emu_model;

#define EMU_VOID_MARK "VOID VALUES"

/* A .rknn file: one model, or one for each set of shapes given to the toolkit as dynamic_input, the largest first. All have the
   same inputs and outputs but for their shapes. */
typedef struct emu_file {
    char *platform;
    char *compiler;
    char *framework;
    char *simulator;   /* where values come from; begins with EMU_VOID_MARK when there are none */
    bool is_void;      /* no values: outputs are zero, and no layer or output is dumped */
    uint32_t version;
    bool is_dynamic;
    uint32_t batch; /* rknn_batch_size; in the shapes already */
    uint32_t n_models;
    emu_model *models;
} emu_file;

/* Reads a description; NULL when it is inconsistent (nothing is then kept). */
emu_file *emu_file_read(emu_reader *reader);
void emu_file_free(emu_file *file);

#endif

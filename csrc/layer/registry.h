/* What the layer remembers: contexts with their attributes and bound memories, and memories made through the API. */
#ifndef RKPARITY_LAYER_REGISTRY_H
#define RKPARITY_LAYER_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/rknn_abi.h"
#include "layer/text.h"

enum rkl_attr_kind { RKL_INPUTS, RKL_OUTPUTS, RKL_NATIVE_INPUTS, RKL_NATIVE_OUTPUTS, RKL_ATTR_KINDS };
enum { RKL_MAX_TENSORS = 1024, RKL_MAX_LISTED = 64 };

/* The library's answers about one kind of tensor; `n` were asked for, `list` holds those that were answered. */
struct rkl_attrs {
    uint32_t n;
    rkabi_tensor_attr *list;
};

enum rkl_direction { RKL_INPUT, RKL_OUTPUT, RKL_UNKNOWN_DIRECTION };

struct rkl_bound {
    rkabi_tensor_mem *mem;
    uint32_t memory;
    enum rkl_direction direction;
    uint32_t index;
    int32_t type;
    void *virt_addr;
    uint32_t size;
    char name[RKABI_MAX_NAME_LEN];
};

/* Adds a context and takes over `attrs`' lists; returns its number. */
uint32_t rkl_context_add(rkabi_context handle, const struct rkl_attrs attrs[RKL_ATTR_KINDS]);
/* A context with copies of another's attributes; returns its number. */
uint32_t rkl_context_add_copy(rkabi_context handle, rkabi_context from);
/* By its number: another thread may already have been given the same handle. */
void rkl_context_remove(uint32_t number);
/* 0 for a handle that is not known. */
uint32_t rkl_context_number(rkabi_context handle);
/* Inputs or outputs of the model, 0 when not known. */
uint32_t rkl_context_count(rkabi_context handle, enum rkl_attr_kind kind);
/* The attributes of one tensor; false when not known. */
bool rkl_context_attr(rkabi_context handle, enum rkl_attr_kind kind, uint32_t index, rkabi_tensor_attr *attr);
/* Runs begun before; with `next` the counter goes on. */
uint64_t rkl_context_runs(rkabi_context handle, bool next);

/* Notes that `mem` serves the tensor `attr`, instead of what served it before. */
void rkl_bind(rkabi_context handle, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr);
/* A copy of the bound memories, to be freed; NULL when there is none. */
struct rkl_bound *rkl_bound_copy(rkabi_context handle, uint32_t *n);

uint32_t rkl_memory_add(rkabi_tensor_mem *mem);
void rkl_memory_remove(rkabi_tensor_mem *mem);
/* 0 for a memory not made through the API. */
uint32_t rkl_memory_number(const rkabi_tensor_mem *mem);

/* `open_contexts` and `open_memories`. */
void rkl_registry_put_open(struct rkl_text *line);

void rkl_registry_lock(void);
void rkl_registry_unlock(void);

#endif

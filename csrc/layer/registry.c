#include "layer/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct context {
    struct context *next;
    rkabi_context handle;
    uint32_t number;
    uint64_t runs;
    struct rkl_attrs attrs[RKL_ATTR_KINDS];
    struct rkl_bound *bound;
    uint32_t n_bound;
};

struct memory {
    struct memory *next;
    rkabi_tensor_mem *mem;
    uint32_t number;
};

enum { BUCKETS = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct context *contexts;
static uint32_t last_context;
static struct memory *memories[BUCKETS];
static uint32_t last_memory;

void rkl_registry_lock(void)
{
    pthread_mutex_lock(&lock);
}

void rkl_registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* The newest one: a library may give a handle again. */
static struct context *find(rkabi_context handle)
{
    struct context *context = contexts;
    while (context && context->handle != handle) {
        context = context->next;
    }
    return context;
}

static uint32_t add(rkabi_context handle, const struct rkl_attrs attrs[RKL_ATTR_KINDS])
{
    struct context *context = calloc(1, sizeof *context);
    const uint32_t number = ++last_context;
    if (context) {
        context->handle = handle;
        context->number = number;
        memcpy(context->attrs, attrs, sizeof context->attrs);
        context->next = contexts;
        contexts = context;
    } else {
        for (int kind = 0; kind < RKL_ATTR_KINDS; kind++) {
            free(attrs[kind].list);
        }
    }
    return number;
}

uint32_t rkl_context_add(rkabi_context handle, const struct rkl_attrs attrs[RKL_ATTR_KINDS])
{
    uint32_t number;
    rkl_registry_lock();
    number = add(handle, attrs);
    rkl_registry_unlock();
    return number;
}

uint32_t rkl_context_add_copy(rkabi_context handle, rkabi_context from)
{
    struct rkl_attrs attrs[RKL_ATTR_KINDS] = {{0, NULL}};
    const struct context *source;
    uint32_t number;
    rkl_registry_lock();
    source = find(from);
    for (int kind = 0; source && kind < RKL_ATTR_KINDS; kind++) {
        const size_t nbytes = source->attrs[kind].n * sizeof(rkabi_tensor_attr);
        rkabi_tensor_attr *list = nbytes ? malloc(nbytes) : NULL;
        if (list) {
            memcpy(list, source->attrs[kind].list, nbytes);
            attrs[kind] = (struct rkl_attrs){source->attrs[kind].n, list};
        }
    }
    number = add(handle, attrs);
    rkl_registry_unlock();
    return number;
}

void rkl_context_remove(uint32_t number)
{
    rkl_registry_lock();
    for (struct context **place = &contexts; *place; place = &(*place)->next) {
        struct context *context = *place;
        if (context->number == number) {
            *place = context->next;
            for (int kind = 0; kind < RKL_ATTR_KINDS; kind++) {
                free(context->attrs[kind].list);
            }
            free(context->bound);
            free(context);
            break;
        }
    }
    rkl_registry_unlock();
}

uint32_t rkl_context_number(rkabi_context handle)
{
    const struct context *context;
    uint32_t number;
    rkl_registry_lock();
    context = find(handle);
    number = context ? context->number : 0;
    rkl_registry_unlock();
    return number;
}

uint32_t rkl_context_count(rkabi_context handle, enum rkl_attr_kind kind)
{
    const struct context *context;
    uint32_t n;
    rkl_registry_lock();
    context = find(handle);
    n = context ? context->attrs[kind].n : 0;
    rkl_registry_unlock();
    return n;
}

bool rkl_context_attr(rkabi_context handle, enum rkl_attr_kind kind, uint32_t index, rkabi_tensor_attr *attr)
{
    const struct context *context;
    bool known;
    rkl_registry_lock();
    context = find(handle);
    known = context && index < context->attrs[kind].n;
    if (known) {
        *attr = context->attrs[kind].list[index];
    }
    rkl_registry_unlock();
    return known;
}

uint64_t rkl_context_runs(rkabi_context handle, bool next)
{
    struct context *context;
    uint64_t runs;
    rkl_registry_lock();
    context = find(handle);
    runs = context ? context->runs : 0;
    if (context && next) {
        context->runs++;
    }
    rkl_registry_unlock();
    return runs;
}

static bool is_among(const struct rkl_attrs *attrs, const char *name)
{
    for (uint32_t i = 0; i < attrs->n; i++) {
        if (strncmp(attrs->list[i].name, name, RKABI_MAX_NAME_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* The library goes by the name, not by the index (evidence 160_zc_*). */
static enum rkl_direction direction_of(const struct context *context, const char *name)
{
    const bool input = is_among(&context->attrs[RKL_INPUTS], name);
    const bool output = is_among(&context->attrs[RKL_OUTPUTS], name);
    return input == output ? RKL_UNKNOWN_DIRECTION : input ? RKL_INPUT : RKL_OUTPUT;
}

static uint32_t number_of(const rkabi_tensor_mem *mem)
{
    const struct memory *memory = memories[(uintptr_t)mem / 16 % BUCKETS];
    while (memory && memory->mem != mem) {
        memory = memory->next;
    }
    return memory ? memory->number : 0;
}

void rkl_bind(rkabi_context handle, rkabi_tensor_mem *mem, const rkabi_tensor_attr *attr)
{
    struct rkl_bound bound = {.mem = mem, .index = attr->index, .type = (int32_t)attr->type};
    struct context *context;
    uint32_t place = 0;

    memcpy(bound.name, attr->name, sizeof bound.name);
    bound.name[sizeof bound.name - 1] = '\0';
    bound.virt_addr = mem->virt_addr;
    bound.size = mem->size;
    rkl_registry_lock();
    context = find(handle);
    if (context) {
        bound.memory = number_of(mem);
        bound.direction = direction_of(context, bound.name);
        while (place < context->n_bound && strcmp(context->bound[place].name, bound.name) != 0) {
            place++;
        }
        if (place == context->n_bound && place < RKL_MAX_TENSORS) {
            struct rkl_bound *list = realloc(context->bound, (place + 1) * sizeof *list);
            if (list) {
                context->bound = list;
                context->n_bound++;
            }
        }
        if (place < context->n_bound) {
            context->bound[place] = bound;
        }
    }
    rkl_registry_unlock();
}

struct rkl_bound *rkl_bound_copy(rkabi_context handle, uint32_t *n)
{
    const struct context *context;
    struct rkl_bound *list = NULL;
    rkl_registry_lock();
    context = find(handle);
    *n = context ? context->n_bound : 0;
    if (*n > 0) {
        list = malloc(*n * sizeof *list);
        if (list) {
            memcpy(list, context->bound, *n * sizeof *list);
        } else {
            *n = 0;
        }
    }
    rkl_registry_unlock();
    return list;
}

static void forget(const rkabi_tensor_mem *mem)
{
    for (struct memory **place = &memories[(uintptr_t)mem / 16 % BUCKETS]; *place; place = &(*place)->next) {
        struct memory *memory = *place;
        if (memory->mem == mem) {
            *place = memory->next;
            free(memory);
            return;
        }
    }
}

uint32_t rkl_memory_add(rkabi_tensor_mem *mem)
{
    struct memory *memory = malloc(sizeof *memory);
    struct memory **bucket = &memories[(uintptr_t)mem / 16 % BUCKETS];
    uint32_t number;
    rkl_registry_lock();
    forget(mem);
    number = ++last_memory;
    if (memory) {
        *memory = (struct memory){*bucket, mem, number};
        *bucket = memory;
    }
    rkl_registry_unlock();
    return number;
}

void rkl_memory_remove(rkabi_tensor_mem *mem)
{
    rkl_registry_lock();
    forget(mem);
    for (struct context *context = contexts; context; context = context->next) {
        for (uint32_t i = 0; i < context->n_bound;) {
            if (context->bound[i].mem == mem) {
                context->n_bound--;
                memmove(context->bound + i, context->bound + i + 1, (context->n_bound - i) * sizeof *context->bound);
            } else {
                i++;
            }
        }
    }
    rkl_registry_unlock();
}

uint32_t rkl_memory_number(const rkabi_tensor_mem *mem)
{
    uint32_t number;
    rkl_registry_lock();
    number = number_of(mem);
    rkl_registry_unlock();
    return number;
}

void rkl_registry_put_open(struct rkl_text *line)
{
    uint32_t n = 0;
    rkl_registry_lock();
    rkl_open(line, "open_contexts", '[');
    for (const struct context *context = contexts; context && n < RKL_MAX_TENSORS; context = context->next, n++) {
        rkl_put_uint(line, NULL, context->number);
    }
    rkl_close(line, ']');
    rkl_open(line, "open_memories", '[');
    n = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (const struct memory *memory = memories[i]; memory && n < RKL_MAX_TENSORS; memory = memory->next, n++) {
            rkl_put_uint(line, NULL, memory->number);
        }
    }
    rkl_close(line, ']');
    rkl_registry_unlock();
}

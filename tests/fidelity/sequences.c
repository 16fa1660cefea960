/*
 * Plays a sequence of calls on a librknnrt, one argument a step, and prints what came back, as the recorded sequences' caller did.
 *
 *     sequences LIBRARY MODEL STEP...
 *
 * Unlike driver.c it uses two contexts, repeats and mixes calls, and goes on after errors. Buffers got are saved in `io`.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "abi/rknn_abi.h"
#include "driver_data.h"

#define MAX_TENSORS 8
#define MAX_MEMORIES 8
/* What a buffer holds before the library writes to it. */
#define FILL 0xa5

#define FUNCTIONS(X)                                                                                                           \
    X(rknn_init) X(rknn_dup_context) X(rknn_query) X(rknn_inputs_set) X(rknn_run) X(rknn_wait) X(rknn_outputs_get)              \
    X(rknn_outputs_release) X(rknn_destroy) X(rknn_create_mem) X(rknn_destroy_mem) X(rknn_set_io_mem)                           \
    X(rknn_create_mem_from_fd) X(rknn_create_mem_from_phys) X(rknn_set_core_mask) X(rknn_mem_sync) X(rknn_set_weight_mem)        \
    X(rknn_set_internal_mem) X(rknn_set_input_shapes) X(rknn_set_input_shape) X(rknn_set_batch_core_num)
#define SLOT(name) __typeof__(name) *name##_;
static struct {
    FUNCTIONS(SLOT)
} api;

static rkabi_context contexts[2];
static uint8_t *model_bytes;
static uint32_t model_nbytes;
static rkabi_output outputs[MAX_TENSORS];
static rkabi_tensor_mem *input_memories[MAX_TENSORS];
static rkabi_tensor_mem *output_memories[MAX_MEMORIES];

static void say(const char *step, const char *text) {
    const char *other = option(step, "say");
    printf(">>> %s\n", other != NULL ? other : text);
}

static void returned(const char *call, int status) {
    printf("%s rc=%d\n", call, status);
}

static rkabi_context context_of(const char *step) {
    return number(step, "ctx0", 0) != 0 ? 0 : contexts[number(step, "c", 0) & 1];
}

static rkabi_tensor_attr attribute(rkabi_context context, rkabi_query command, uint32_t index) {
    rkabi_tensor_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.index = index;
    api.rknn_query_(context, command, &attr, sizeof attr);
    return attr;
}

static rkabi_in_out_num counts(rkabi_context context) {
    rkabi_in_out_num count = {0, 0};
    api.rknn_query_(context, RKABI_QUERY_IN_OUT_NUM, &count, sizeof count);
    return count;
}

static void keep(const char *what, const void *bytes, size_t nbytes) {
    static unsigned kept;
    char name[64];
    snprintf(name, sizeof name, "%02u_%s.bin", kept++, what);
    save(name, bytes, nbytes);
}

/* The recorded caller's test data. */
static void fill(void *to, size_t count, int type, uint32_t seed) {
    static const uint16_t halves[] = {0x3c00, 0xbc00, 0x4200, 0x3555};
    uint32_t state = seed * 77u + 5u;
    uint8_t *bytes = to;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        uint32_t draw = state >> 9 & 255u;
        float real = (float)((int)draw - 128) / 16.0f;
        uint64_t wide = type == RKABI_TYPE_INT64 ? draw & 7u : draw;
        size_t nbytes = nbytes_of(type);
        if (type == RKABI_TYPE_FLOAT32)
            memcpy(bytes + 4 * i, &real, 4);
        else if (type == RKABI_TYPE_FLOAT16)
            memcpy(bytes + 2 * i, &halves[draw & 3u], 2);
        else if (type >= RKABI_TYPE_BOOL)
            bytes[i] = (uint8_t)(draw & 1u);
        else
            memcpy(bytes + nbytes * i, &wide, nbytes); /* little-endian */
    }
}

static void init(const char *step) {
    say(step, "init");
    char path[256];
    const char *text = option(step, "path");
    void *model = model_bytes;
    uint32_t size = (uint32_t)((int)model_nbytes + number(step, "d", 0));
    if (text != NULL) {
        snprintf(path, sizeof path, "%s", text);
        model = path;
        size = 0;
    } else if (number(step, "null", 0) != 0) {
        model = NULL;
        size = 0;
    }
    rkabi_context *to = number(step, "nullctx", 0) != 0 ? NULL : &contexts[number(step, "c", 0) & 1];
    returned("rknn_init", api.rknn_init_(to, model, size, (uint32_t)number(step, "flags", 0), NULL));
}

static void set_inputs(const char *step) {
    rkabi_context context = context_of(step);
    uint32_t expected = counts(context).n_input;
    int type = number(step, "type", RKABI_TYPE_UINT8), fmt = number(step, "fmt", -1), extra = number(step, "d", 0);
    uint32_t count = (uint32_t)number(step, "n", (int)expected);
    rkabi_input inputs[MAX_TENSORS];
    memset(inputs, 0, sizeof inputs);
    for (uint32_t i = 0; i < MAX_TENSORS; i++) {
        rkabi_tensor_attr attr = attribute(context, RKABI_QUERY_INPUT_ATTR, i < expected ? i : expected - 1);
        uint8_t *buffer = allocate((size_t)attr.n_elems * 8 + (1u << 20));
        fill(buffer, attr.n_elems, type, (uint32_t)number(step, "seed", 1) + i);
        int shaped = attr.n_dims == 4 ? RKABI_FMT_NHWC : RKABI_FMT_UNDEFINED;
        uint32_t size = (uint32_t)(attr.n_elems * nbytes_of(type)) + (uint32_t)(i == 0 ? extra : 0);
        inputs[i] = (rkabi_input){i, buffer, size, (uint8_t)number(step, "pt", 0), (rkabi_type)type,
                                  (rkabi_fmt)(fmt < 0 ? shaped : fmt)};
    }
    char text[96];
    snprintf(text, sizeof text, "set type=%d fmt=%d pt=%d n=%u d=%d", type, fmt, number(step, "pt", 0), count, extra);
    say(step, text);
    returned("rknn_inputs_set", api.rknn_inputs_set_(context, count, inputs));
}

static void get_outputs(const char *step) {
    rkabi_context context = context_of(step);
    uint32_t expected = counts(context).n_output;
    uint32_t count = (uint32_t)number(step, "n", (int)expected);
    memset(outputs, 0, sizeof outputs);
    for (uint32_t i = 0; i < MAX_TENSORS; i++) {
        char key[4] = {'i', (char)('0' + i), '\0'};
        outputs[i].index = (uint32_t)number(step, key, (int)i);
        outputs[i].want_float = (uint8_t)number(step, "wf", 0);
    }
    char text[64];
    snprintf(text, sizeof text, "get wf=%d n=%u", number(step, "wf", 0), count);
    say(step, text);
    int status = api.rknn_outputs_get_(context, count, outputs, NULL);
    returned("rknn_outputs_get", status);
    for (uint32_t i = 0; status == 0 && i < count && i < expected; i++) {
        printf("OUT %u size=%u buf=%s\n", i, outputs[i].size, outputs[i].buf != NULL ? "set" : "null");
        if (outputs[i].buf != NULL)
            keep("out", outputs[i].buf, outputs[i].size);
    }
}

static void release(const char *step) {
    rkabi_context context = context_of(step);
    say(step, "release n=-1");
    returned("rknn_outputs_release", api.rknn_outputs_release_(context, counts(context).n_output, outputs));
}

static rkabi_tensor_mem *create(rkabi_context context, uint32_t size) {
    printf(">>> create_mem %u\n", size);
    rkabi_tensor_mem *memory = api.rknn_create_mem_(context, size);
    returned("mem", memory != NULL ? 0 : -1);
    if (memory != NULL)
        printf("MEM size=%u offset=%d flags=%u fd=%s\n", memory->size, memory->offset, memory->flags,
               memory->fd >= 0 ? "set" : "none");
    return memory;
}

static void bind(rkabi_context context, rkabi_tensor_mem *memory, rkabi_tensor_attr *attr) {
    printf(">>> set_io_mem %.255s type=%d fmt=%d\n", attr->name, (int)attr->type, (int)attr->fmt);
    returned("rknn_set_io_mem", api.rknn_set_io_mem_(context, memory, attr));
}

/* Memories for all inputs, as RKNN_QUERY_NATIVE_INPUT_ATTR describes them, in another type. */
static void bind_inputs(const char *step) {
    rkabi_context context = context_of(step);
    uint32_t count = counts(context).n_input;
    int type = number(step, "type", RKABI_TYPE_UINT8);
    for (uint32_t i = 0; i < count && i < MAX_TENSORS; i++) {
        rkabi_tensor_attr attr = attribute(context, RKABI_QUERY_NATIVE_INPUT_ATTR, i);
        size_t elements = attr.size_with_stride / nbytes_of((int)attr.type);
        attr.type = (rkabi_type)type;
        if (attr.n_dims == 4)
            attr.fmt = RKABI_FMT_NHWC;
        attr.fmt = (rkabi_fmt)number(step, "fmt", (int)attr.fmt);
        attr.pass_through = (uint8_t)number(step, "pt", attr.pass_through);
        rkabi_tensor_mem *memory = create(context, (uint32_t)(elements * nbytes_of(type)));
        input_memories[i] = memory;
        fill(memory->virt_addr, elements, type, (uint32_t)number(step, "seed", 1) + i);
        bind(context, memory, &attr);
    }
}

static void bind_output(const char *step) {
    rkabi_context context = context_of(step);
    rkabi_tensor_attr attr = attribute(context, RKABI_QUERY_OUTPUT_ATTR, (uint32_t)number(step, "i", 0));
    attr.type = (rkabi_type)number(step, "type", RKABI_TYPE_FLOAT32);
    attr.fmt = (rkabi_fmt)number(step, "fmt", (int)attr.fmt);
    size_t values = attr.n_elems * nbytes_of((int)attr.type);
    rkabi_tensor_mem *memory = create(context, values > attr.size_with_stride ? (uint32_t)values : attr.size_with_stride);
    memset(memory->virt_addr, FILL, memory->size);
    output_memories[number(step, "as", 0) % MAX_MEMORIES] = memory;
    bind(context, memory, &attr);
}

static void read_memory(const char *step) {
    rkabi_tensor_mem *memory = output_memories[number(step, "m", 0) % MAX_MEMORIES];
    const uint8_t *bytes = memory->virt_addr;
    bool written = false;
    for (uint32_t i = 0; i < memory->size; i++)
        written |= bytes[i] != FILL;
    printf("READ size=%u written=%d\n", memory->size, written);
    keep("mem", bytes, memory->size);
}

static rkabi_tensor_mem *memory_of(const char *step) {
    if (number(step, "null", 0) != 0)
        return NULL;
    return option(step, "out") != NULL ? output_memories[number(step, "out", 0) % MAX_MEMORIES]
                                       : input_memories[number(step, "in", 0) % MAX_TENSORS];
}

static void sync_memory(const char *step) {
    int mode = number(step, "mode", RKABI_SYNC_TO_DEVICE);
    printf(">>> mem_sync %d\n", mode);
    if (api.rknn_mem_sync_ == NULL)
        printf("no rknn_mem_sync\n");
    else
        returned("rknn_mem_sync", api.rknn_mem_sync_(context_of(step), memory_of(step), (rkabi_sync)mode));
}

static void empty_memory(const char *step) {
    rkabi_tensor_mem *memory = create(context_of(step), 0);
    if (memory != NULL)
        returned("rknn_destroy_mem", api.rknn_destroy_mem_(context_of(step), memory));
}

/* A float output into a caller's buffer: large enough, then a quarter of it. */
static void get_preallocated(const char *step) {
    rkabi_context context = context_of(step);
    rkabi_tensor_attr attr = attribute(context, RKABI_QUERY_OUTPUT_ATTR, 0);
    static rkabi_output slots[MAX_TENSORS]; /* the library reads as many as the model has */
    rkabi_output *output = &slots[0];
    uint32_t nbytes = attr.n_elems * 4;
    *output = (rkabi_output){.want_float = 1, .is_prealloc = 1, .size = nbytes, .buf = allocate(nbytes)};
    memset(output->buf, FILL, nbytes);
    char rest[64];
    snprintf(rest, sizeof rest, "set:c=%d", number(step, "c", 0));
    set_inputs(rest);
    printf(">>> run\n");
    returned("rknn_run", api.rknn_run_(context, NULL));
    printf(">>> get pre\n");
    returned("rknn_outputs_get", api.rknn_outputs_get_(context, 1, slots, NULL));
    printf("OUT size=%u\n", output->size);
    keep("pre", output->buf, output->size);
    output->size = attr.n_elems;
    printf(">>> get pre quarter\n");
    uint8_t *bytes = memset(output->buf, FILL, nbytes);
    returned("rknn_outputs_get", api.rknn_outputs_get_(context, 1, slots, NULL));
    bool written = false;
    for (uint32_t i = 0; i < nbytes; i++)
        written |= bytes[i] != FILL;
    printf("OUT size=%u written=%d\n", output->size, written);
    printf(">>> rel\n");
    returned("rknn_outputs_release", api.rknn_outputs_release_(context, 1, slots));
    printf("OUT buf=%s\n", output->buf != NULL ? "set" : "null");
}

static void query_perf(const char *step) {
    rkabi_perf_detail detail = {NULL, 0};
    say(step, "perf detail noflag");
    returned("q", api.rknn_query_(context_of(step), RKABI_QUERY_PERF_DETAIL, &detail, sizeof detail));
    printf("PERF data=%s\n", detail.data != NULL ? "set" : "null");
}

static void query_attribute(const char *step) {
    rkabi_tensor_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.index = (uint32_t)number(step, "i", 0);
    int command = number(step, "cmd", 1);
    printf(">>> query %d %u\n", command, attr.index);
    returned("q", api.rknn_query_(context_of(step), (rkabi_query)command, &attr, sizeof attr));
    printf("ATTR %.255s n_dims=%u [%u,%u,%u,%u,%u] n=%u size=%u fmt=%d type=%d q=%d zp=%d scale=%.9g ws=%u sws=%u pt=%u hs=%u\n",
           attr.name, attr.n_dims, attr.dims[0], attr.dims[1], attr.dims[2], attr.dims[3], attr.dims[4], attr.n_elems, attr.size,
           (int)attr.fmt, (int)attr.type, (int)attr.qnt_type, attr.zp, (double)attr.scale, attr.w_stride, attr.size_with_stride,
           attr.pass_through, attr.h_stride);
}

static void set_shapes(const char *step) {
    rkabi_context context = context_of(step);
    rkabi_tensor_attr attr = attribute(context, RKABI_QUERY_INPUT_ATTR, 0);
    say(step, "shapes");
    returned("rknn_set_input_shapes", api.rknn_set_input_shapes_(context, 1, &attr));
}

#define IS(name) (strncmp(step, name, strlen(name)) == 0 && (step[strlen(name)] == '\0' || step[strlen(name)] == ':'))

static bool play_context(const char *step) {
    rkabi_context context = context_of(step);
    if (IS("init"))
        init(step);
    else if (IS("dup")) {
        say(step, "dup");
        returned("rknn_dup_context", api.rknn_dup_context_(&contexts[0], &contexts[1]));
    } else if (IS("run")) {
        say(step, "run");
        returned("rknn_run", api.rknn_run_(context, NULL));
    } else if (IS("wait")) {
        say(step, "wait");
        returned("rknn_wait", api.rknn_wait_(context, NULL));
    } else if (IS("destroy")) {
        say(step, "destroy");
        returned("rknn_destroy", api.rknn_destroy_(context));
    } else if (IS("core")) {
        say(step, "core");
        if (api.rknn_set_core_mask_ != NULL)
            returned("rknn_set_core_mask", api.rknn_set_core_mask_(context, (rkabi_core_mask)number(step, "mask", 7)));
    } else if (IS("batch")) {
        say(step, "batch");
        returned("rknn_set_batch_core_num", api.rknn_set_batch_core_num_(context, number(step, "n", 2)));
    } else
        return false;
    return true;
}

static void play(const char *step) {
    static const struct {
        const char *name;
        void (*play)(const char *);
    } steps[] = {{"set", set_inputs},      {"get", get_outputs},    {"rel", release},   {"zin", bind_inputs},
                 {"zout", bind_output},    {"rd", read_memory},     {"msy", sync_memory}, {"mem0", empty_memory},
                 {"pre", get_preallocated}, {"perf", query_perf},    {"qa", query_attribute}, {"shapes", set_shapes}};
    if (play_context(step))
        return;
    if (IS("dm")) {
        printf(">>> destroy_mem\n");
        returned("rknn_destroy_mem", api.rknn_destroy_mem_(context_of(step), memory_of(step)));
        return;
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (IS(steps[i].name)) {
            steps[i].play(step);
            return;
        }
    fail("unknown step", step);
}

static void read_model(const char *path) {
    FILE *file = fopen(path, "rb");
    long size = 0;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        fail(strerror(errno), path);
    model_nbytes = (uint32_t)size;
    model_bytes = allocate((size_t)size + 64); /* sizes given to rknn_init may be wrong */
    if (fread(model_bytes, 1, model_nbytes, file) != model_nbytes || fclose(file) != 0)
        fail("cannot be read", path);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc < 3)
        fail("sequences LIBRARY MODEL STEP...", "usage");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail(dlerror(), argv[1]);
#define FIND(name)                                                                                                             \
    {                                                                                                                          \
        void *symbol = dlsym(library, #name);                                                                                  \
        if (symbol == NULL)                                                                                                    \
            printf("missing %s\n", #name);                                                                                     \
        memcpy(&api.name##_, &symbol, sizeof symbol);                                                                          \
    }
    FUNCTIONS(FIND)
    mkdir("io", 0777);
    read_model(argv[2]);
    for (int i = 3; i < argc; i++)
        play(argv[i]);
    return 0;
}

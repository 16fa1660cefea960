/*
 * Plays calls on a librknnrt, one argument a call, and prints what came back, as the recorded experiments' driver did.
 *
 *     driver LIBRARY MODEL CALL...
 *
 * The library is opened by path and needs no more than its C API, so that the same program plays on the emulated runtime,
 * on a test double and on a board. Buffers given and got are saved in the folder `io` of the working directory.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "abi/rknn_abi.h"
#include "driver_values.h"

#define MAX_TENSORS 16
/* What a buffer holds before the library writes to it. */
#define FILL 0xa5

static struct {
    int (*init)(rkabi_context *, void *, uint32_t, uint32_t, rkabi_init_extend *);
    int (*destroy)(rkabi_context);
    int (*query)(rkabi_context, rkabi_query, void *, uint32_t);
    int (*inputs_set)(rkabi_context, uint32_t, rkabi_input[]);
    int (*run)(rkabi_context, rkabi_run_extend *);
    int (*outputs_get)(rkabi_context, uint32_t, rkabi_output[], rkabi_output_extend *);
    int (*outputs_release)(rkabi_context, uint32_t, rkabi_output[]);
    rkabi_tensor_mem *(*create_mem)(rkabi_context, uint32_t);
    int (*destroy_mem)(rkabi_context, rkabi_tensor_mem *);
    int (*set_io_mem)(rkabi_context, rkabi_tensor_mem *, rkabi_tensor_attr *);
} api;

static rkabi_context context;
static uint8_t *model_bytes;
static size_t model_nbytes;
static const char *model_path;
static rkabi_input inputs[MAX_TENSORS];
static uint32_t n_inputs;
static rkabi_output outputs[MAX_TENSORS];
static uint32_t n_outputs;
static rkabi_tensor_mem *memories[2][MAX_TENSORS];
static uint32_t n_gets, n_reads;
static bool inputs_used;

static void print_attr(const rkabi_tensor_attr *attr) {
    static const char *const query_types[] = {"FP32",   "FP16",  "INT8",   "UINT8", "INT16",
                                              "UINT16", "INT32", "UINT32", "INT64", "BOOL"};
    printf("index=%u name=%.255s n_dims=%u dims=[", attr->index, attr->name, attr->n_dims);
    for (uint32_t i = 0; i < attr->n_dims && i < RKABI_MAX_DIMS; i++)
        printf(i > 0 ? ",%u" : "%u", attr->dims[i]);
    int fmt = (int)attr->fmt, type = (int)attr->type;
    printf("] n_elems=%u size=%u fmt=%d(%s) type=%d(%s) qnt_type=%d fl=%d zp=%d scale=%.9g w_stride=%u size_with_stride=%u "
           "pass_through=%u h_stride=%u\n",
           attr->n_elems, attr->size, fmt, fmt >= 0 && fmt < N_FMTS ? FMT_NAMES[fmt] : "?", type,
           type >= 0 && type < N_TYPES ? query_types[type] : "?", (int)attr->qnt_type, attr->fl, attr->zp, (double)attr->scale,
           attr->w_stride, attr->size_with_stride, attr->pass_through, attr->h_stride);
}

static int query_attr(rkabi_query command, uint32_t index, rkabi_tensor_attr *attr) {
    memset(attr, 0, sizeof *attr);
    attr->index = index;
    return api.query(context, command, attr, sizeof *attr);
}

static void query_all(void) {
    static const struct {
        rkabi_query command;
        const char *label;
        bool input;
    } attributes[] = {{RKABI_QUERY_INPUT_ATTR, "INPUT_ATTR", true},
                      {RKABI_QUERY_OUTPUT_ATTR, "OUTPUT_ATTR", false},
                      {RKABI_QUERY_NATIVE_INPUT_ATTR, "NATIVE_INPUT_ATTR(8)", true},
                      {RKABI_QUERY_NATIVE_OUTPUT_ATTR, "NATIVE_OUTPUT_ATTR(9)", false},
                      {RKABI_QUERY_NATIVE_NHWC_INPUT_ATTR, "NATIVE_NHWC_INPUT_ATTR(10)", true},
                      {RKABI_QUERY_NATIVE_NHWC_OUTPUT_ATTR, "NATIVE_NHWC_OUTPUT_ATTR(11)", false},
                      {RKABI_QUERY_CURRENT_INPUT_ATTR, "CURRENT_INPUT_ATTR(14)", true},
                      {RKABI_QUERY_CURRENT_OUTPUT_ATTR, "CURRENT_OUTPUT_ATTR(15)", false},
                      {RKABI_QUERY_CURRENT_NATIVE_INPUT_ATTR, "CURRENT_NATIVE_INPUT_ATTR(16)", true},
                      {RKABI_QUERY_CURRENT_NATIVE_OUTPUT_ATTR, "CURRENT_NATIVE_OUTPUT_ATTR(17)", false}};
    rkabi_in_out_num count = {0, 0};
    int status = api.query(context, RKABI_QUERY_IN_OUT_NUM, &count, sizeof count);
    printf("IN_OUT_NUM rc=%d n_input=%u n_output=%u\n", status, count.n_input, count.n_output);
    rkabi_sdk_version version;
    memset(&version, 0, sizeof version);
    status = api.query(context, RKABI_QUERY_SDK_VERSION, &version, sizeof version);
    printf("SDK_VERSION rc=%d api_version='%.255s' drv_version='%.255s'\n", status, version.api_version, version.drv_version);
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        for (uint32_t index = 0; index < (attributes[i].input ? count.n_input : count.n_output); index++) {
            rkabi_tensor_attr attr;
            status = query_attr(attributes[i].command, index, &attr);
            printf("%s rc=%d ", attributes[i].label, status);
            print_attr(&attr);
        }
    rkabi_mem_size memory;
    memset(&memory, 0, sizeof memory);
    status = api.query(context, RKABI_QUERY_MEM_SIZE, &memory, sizeof memory);
    printf("MEM_SIZE rc=%d weight=%u internal=%u\n", status, memory.total_weight_size, memory.total_internal_size);
    rkabi_custom_string text;
    memset(&text, 0, sizeof text);
    status = api.query(context, RKABI_QUERY_CUSTOM_STRING, &text, sizeof text);
    printf("CUSTOM_STRING rc=%d '%.1023s'\n", status, text.text);
}

static void query_raw(const char *call) {
    uint32_t length = (uint32_t)number(call, "len", 8192), index = (uint32_t)number(call, "i", 0);
    int command = number(call, "cmd", 0);
    uint8_t *info = allocate(length > 65536 ? length : 65536);
    memcpy(info, &index, sizeof index);
    bool null = number(call, "null", 0) != 0;
    int status = api.query(number(call, "ctx0", 0) != 0 ? 0 : context, (rkabi_query)command, null ? NULL : info, length);
    uint32_t first;
    memcpy(&first, info, sizeof first);
    printf("rknn_query(cmd=%d,len=%u,index=%u) rc=%d\n", command, length, first, status);
    free(info);
}

static void query_perf(void) {
    rkabi_perf_detail detail = {NULL, 0};
    int status = api.query(context, RKABI_QUERY_PERF_DETAIL, &detail, sizeof detail);
    printf("PERF_DETAIL rc=%d len=%llu\n", status, (unsigned long long)detail.length);
    if (detail.data != NULL && detail.length > 0)
        printf("%.*s\n", (int)detail.length, detail.data);
    rkabi_perf_run run = {0};
    status = api.query(context, RKABI_QUERY_PERF_RUN, &run, sizeof run);
    printf("PERF_RUN rc=%d us=%lld\n", status, (long long)run.run_duration_us);
}

static void init(const char *call) {
    bool by_path = number(call, "path", 0) != 0;
    void *model = by_path ? (void *)(uintptr_t)model_path : model_bytes;
    uint32_t size = by_path ? 0 : (uint32_t)number(call, "size", (int)model_nbytes);
    int status = api.init(&context, model, size, (uint32_t)number(call, "flags", 0), NULL);
    printf("rknn_init rc=%d\n", status);
    if (status != 0 && number(call, "go", 0) == 0)
        exit(2);
}

static void add_input(const char *call) {
    if (inputs_used) { /* a new set of inputs begins */
        n_inputs = 0;
        inputs_used = false;
    }
    if (n_inputs == MAX_TENSORS)
        fail("too many inputs", call);
    uint32_t slot = n_inputs++;
    rkabi_input *input = &inputs[slot];
    int type = choice(call, "type", TYPE_KEYS, N_TYPES, RKABI_TYPE_UINT8);
    int fmt = choice(call, "fmt", FMT_KEYS, N_FMTS, RKABI_FMT_NHWC);
    memset(input, 0, sizeof *input);
    input->index = (uint32_t)number(call, "i", 0);
    rkabi_tensor_attr attr;
    rkabi_in_out_num io = {0, 0};
    if (query_attr(RKABI_QUERY_INPUT_ATTR, input->index, &attr) != 0 &&
        api.query(context, RKABI_QUERY_IN_OUT_NUM, &io, sizeof io) == 0 && io.n_input > 0)
        query_attr(RKABI_QUERY_INPUT_ATTR, io.n_input - 1, &attr); /* the last one's size (evidence 160_err_index_oob) */
    size_t count = (size_t)number(call, "n", (int)attr.n_elems);
    size_t nbytes = count * nbytes_of(type);
    input->size = (uint32_t)number(call, "size", (int)nbytes);
    input->type = (rkabi_type)type;
    input->fmt = (rkabi_fmt)fmt;
    input->pass_through = (uint8_t)number(call, "pt", 0);
    bool null = number(call, "null", 0) != 0;
    /* Room beyond: a library that takes the declared size at its word reads that far. */
    uint8_t *buffer = allocate(nbytes + input->size + (1u << 20));
    const char *generator = option(call, "gen");
    generate(buffer, count, type, (int)input->index, generator != NULL ? generator : "rand");
    input->buf = null ? NULL : buffer;
    char name[96];
    snprintf(name, sizeof name, "input%u_%s_%s.bin", input->index, type >= 0 && type < N_TYPES ? TYPE_NAMES[type] : "X",
             fmt >= 0 && fmt < N_FMTS ? FMT_NAMES[fmt] : "X");
    save(name, buffer, nbytes);
    printf("input index=%u type=%d fmt=%d pt=%u size=%u saved=%s hash=%08x\n", input->index, type, fmt, input->pass_through,
           input->size, name, null ? 0 : hash_of(buffer, nbytes));
    if (null)
        free(buffer);
}

static void set_inputs(const char *call) {
    uint32_t count = (uint32_t)number(call, "n", (int)n_inputs);
    bool null = number(call, "null", 0) != 0;
    int status = api.inputs_set(number(call, "ctx0", 0) != 0 ? 0 : context, count, null ? NULL : inputs);
    inputs_used = true;
    printf("rknn_inputs_set(n=%u) rc=%d\n", count, status);
}

static void add_output(const char *call) {
    if (n_outputs == MAX_TENSORS)
        fail("too many outputs", call);
    rkabi_output *output = &outputs[n_outputs++];
    memset(output, 0, sizeof *output);
    output->index = (uint32_t)number(call, "i", 0);
    output->want_float = (uint8_t)number(call, "wf", 0);
    output->is_prealloc = (uint8_t)number(call, "pre", 0);
    if (output->is_prealloc) {
        rkabi_tensor_attr attr;
        query_attr(RKABI_QUERY_OUTPUT_ATTR, output->index, &attr);
        output->size = (uint32_t)number(call, "size", (int)(output->want_float ? attr.n_elems * 4 : attr.size));
        output->buf = allocate(output->size);
        memset(output->buf, FILL, output->size);
    }
}

static void get_outputs(const char *call) {
    uint32_t count = (uint32_t)number(call, "n", (int)n_outputs);
    int status = api.outputs_get(context, count, outputs, NULL);
    printf("rknn_outputs_get(n=%u) rc=%d\n", count, status);
    for (uint32_t i = 0; status == 0 && i < count && i < n_outputs; i++) {
        char name[96];
        snprintf(name, sizeof name, "output_get%u_idx%u_wf%u.bin", n_gets, outputs[i].index, outputs[i].want_float);
        printf("output[%u] index=%u want_float=%u is_prealloc=%u size=%u ", i, outputs[i].index, outputs[i].want_float,
               outputs[i].is_prealloc, outputs[i].size);
        uint32_t held = outputs[i].buf != NULL ? outputs[i].size : 0;
        save(name, outputs[i].buf, held);
        printf("saved=%s hash=%08x\n", name, hash_of(outputs[i].buf, held));
    }
    n_gets++;
}

static void set_memory(const char *call) {
    const char *direction = option(call, "dir"), *source;
    bool input = direction != NULL && strcmp(direction, "in") == 0;
    uint32_t index = (uint32_t)number(call, "i", 0);
    if (index >= MAX_TENSORS)
        fail("no such tensor", call);
    source = option(call, "src");
    bool native = source != NULL && strcmp(source, "native") == 0;
    rkabi_query command = input ? (native ? RKABI_QUERY_NATIVE_INPUT_ATTR : RKABI_QUERY_INPUT_ATTR)
                                : (native ? RKABI_QUERY_NATIVE_OUTPUT_ATTR : RKABI_QUERY_OUTPUT_ATTR);
    rkabi_tensor_attr attr;
    int queried = query_attr(command, index, &attr);
    attr.type = (rkabi_type)choice(call, "type", TYPE_KEYS, N_TYPES, (int)attr.type);
    attr.fmt = (rkabi_fmt)choice(call, "fmt", FMT_KEYS, N_FMTS, (int)attr.fmt);
    attr.pass_through = (uint8_t)number(call, "pt", attr.pass_through);
    attr.index = (uint32_t)number(call, "aidx", (int)attr.index);
    size_t asked = nbytes_of((int)attr.type), nbytes = attr.size_with_stride;
    if (number(call, "nostride", 0) != 0)
        nbytes = attr.size;
    else if (nbytes < attr.n_elems * asked)
        nbytes = attr.n_elems * asked;
    nbytes = (size_t)number(call, "size", (int)nbytes);
    rkabi_tensor_mem *memory = api.create_mem(context, (uint32_t)nbytes);
    printf("rknn_create_mem(%u)=%s\n", (unsigned)nbytes, memory != NULL ? "ok" : "NULL");
    if (memory == NULL)
        return;
    printf("  mem size=%u offset=%d flags=%u\n", memory->size, memory->offset, memory->flags);
    memories[input ? 0 : 1][index] = memory;
    if (input) {
        char name[96];
        generate(memory->virt_addr, nbytes / asked, (int)attr.type, (int)index, "rand");
        snprintf(name, sizeof name, "iomem_in%u_%s_%s.bin", index, (int)attr.type < N_TYPES ? TYPE_NAMES[attr.type] : "X",
                 (int)attr.fmt < N_FMTS ? FMT_NAMES[attr.fmt] : "X");
        save(name, memory->virt_addr, nbytes);
    } else
        memset(memory->virt_addr, FILL, nbytes);
    printf("  attr for set_io_mem: rc=%d ", queried);
    print_attr(&attr);
    int status = api.set_io_mem(number(call, "ctx0", 0) != 0 ? 0 : context, number(call, "nullmem", 0) != 0 ? NULL : memory,
                                number(call, "nullattr", 0) != 0 ? NULL : &attr);
    printf("rknn_set_io_mem rc=%d\n", status);
}

static void read_memory(const char *call) {
    uint32_t index = (uint32_t)number(call, "i", 0);
    if (index >= MAX_TENSORS || memories[1][index] == NULL) {
        printf("out mem %u none\n", index);
        return;
    }
    rkabi_tensor_mem *memory = memories[1][index];
    char name[96];
    snprintf(name, sizeof name, "iomem_out%u_read%u.bin", index, n_reads++);
    save(name, memory->virt_addr, memory->size);
    printf("out mem %u size=%u hash=%08x saved=%s\n", index, memory->size, hash_of(memory->virt_addr, memory->size), name);
}

static void destroy(void) {
    for (uint32_t i = 0; i < MAX_TENSORS; i++)
        for (int direction = 0; direction < 2; direction++)
            if (memories[direction][i] != NULL && api.destroy_mem != NULL) {
                int status = api.destroy_mem(context, memories[direction][i]);
                printf("destroy_mem %s%u rc=%d\n", direction == 0 ? "in" : "out", i, status);
                memories[direction][i] = NULL;
            }
    printf("rknn_destroy rc=%d\n", api.destroy(context));
}

static bool is(const char *call, const char *name) {
    size_t length = strlen(name);
    return strncmp(call, name, length) == 0 && (call[length] == '\0' || call[length] == ':');
}

static void play(const char *call) {
    printf(">>> %s\n", call);
    if (is(call, "init"))
        init(call);
    else if (is(call, "q"))
        query_all();
    else if (is(call, "rawq"))
        query_raw(call);
    else if (is(call, "perf"))
        query_perf();
    else if (is(call, "in"))
        add_input(call);
    else if (is(call, "set"))
        set_inputs(call);
    else if (is(call, "run"))
        printf("rknn_run rc=%d\n", api.run(number(call, "ctx0", 0) != 0 ? 0 : context, NULL));
    else if (is(call, "out"))
        add_output(call);
    else if (is(call, "get"))
        get_outputs(call);
    else if (is(call, "rel")) {
        printf("rknn_outputs_release rc=%d\n", api.outputs_release(context, n_outputs, outputs));
        n_outputs = 0;
    } else if (is(call, "io"))
        set_memory(call);
    else if (is(call, "rd"))
        read_memory(call);
    else if (is(call, "destroy"))
        destroy();
    else if (is(call, "setenv")) {
        char assignment[512];
        snprintf(assignment, sizeof assignment, "%s", call + strlen("setenv:"));
        char *value = strchr(assignment, '=');
        if (value == NULL)
            fail("no value", call);
        *value = '\0';
        setenv(assignment, value + 1, 1);
    } else
        fail("unknown call", call);
}

static void read_model(void) {
    FILE *file = fopen(model_path, "rb");
    long size = 0;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        fail(strerror(errno), model_path);
    model_nbytes = (size_t)size;
    model_bytes = allocate(model_nbytes);
    if (fread(model_bytes, 1, model_nbytes, file) != model_nbytes || fclose(file) != 0)
        fail("cannot be read", model_path);
}

static void find(void *library, const char *name, void *slot) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL)
        printf("missing %s\n", name);
    memcpy(slot, &symbol, sizeof symbol);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc < 3)
        fail("driver LIBRARY MODEL CALL...", "usage");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail(dlerror(), argv[1]);
    find(library, "rknn_init", &api.init);
    find(library, "rknn_destroy", &api.destroy);
    find(library, "rknn_query", &api.query);
    find(library, "rknn_inputs_set", &api.inputs_set);
    find(library, "rknn_run", &api.run);
    find(library, "rknn_outputs_get", &api.outputs_get);
    find(library, "rknn_outputs_release", &api.outputs_release);
    find(library, "rknn_create_mem", &api.create_mem);
    find(library, "rknn_destroy_mem", &api.destroy_mem);
    find(library, "rknn_set_io_mem", &api.set_io_mem);
    void *core_mask;
    find(library, "rknn_set_core_mask", &core_mask);
    mkdir("io", 0777);
    model_path = argv[2];
    read_model();
    for (int i = 3; i < argc; i++)
        play(argv[i]);
    return 0;
}

#include "emulator/context.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "emulator/client.h"
#include "emulator/element.h"
#include "emulator/input.h"
#include "emulator/log.h"

#define MAX_CONTEXTS 1024u
#define HEADER_NBYTES 64u
/* Flags of rknn_init (RKNN manual, rknn_init). */
#define FLAG_MEM_ALLOC_OUTSIDE 0x10u
#define FLAG_SHARE_WEIGHT_MEM 0x20u

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static emu_context *table[MAX_CONTEXTS];

static void free_state(emu_context *context) {
    for (uint32_t i = 0; context->inputs != NULL && i < context->model->n_inputs; i++)
        free(context->inputs[i].native);
    for (uint32_t i = 0; context->outputs != NULL && i < context->model->n_outputs; i++)
        free(context->outputs[i].values);
    free(context->inputs);
    free(context->outputs);
    context->inputs = NULL;
    context->outputs = NULL;
}

static void free_context(emu_context *context) {
    if (context->connection >= 0)
        close(context->connection);
    free_state(context);
    emu_file_free(context->file);
    free(context->model_bytes);
    free(context->perf_text);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

/* A fresh context's memory is zero: an input never set reads as (0 - zp) * scale (evidence 160_err_run_noset). */
int emu_context_reshape(emu_context *context, const emu_model *model) {
    free_state(context);
    context->model = model;
    context->inputs = calloc(model->n_inputs, sizeof *context->inputs);
    context->outputs = calloc(model->n_outputs, sizeof *context->outputs);
    if (context->inputs == NULL || context->outputs == NULL)
        return RKABI_ERR_MALLOC_FAIL;
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        const emu_tensor *tensor = &model->tensors[model->inputs[i].tensor];
        emu_input_state *input = &context->inputs[i];
        input->layout = emu_layout_of_input(tensor, context->chip);
        input->native = calloc(input->layout.slots, emu_type_nbytes(tensor->type));
        if (input->native == NULL)
            return RKABI_ERR_MALLOC_FAIL;
    }
    for (uint32_t i = 0; i < model->n_outputs; i++) {
        const emu_tensor *tensor = &model->tensors[model->outputs[i]];
        context->outputs[i].values = calloc(tensor->n_elems, emu_type_nbytes(tensor->type));
        if (context->outputs[i].values == NULL)
            return RKABI_ERR_MALLOC_FAIL;
    }
    return RKABI_OK;
}

static int add_to_table(emu_context *context, rkabi_context *handle) {
    int status = RKABI_ERR_MALLOC_FAIL;
    pthread_mutex_lock(&table_lock);
    for (uint32_t i = 0; i < MAX_CONTEXTS; i++)
        if (table[i] == NULL) {
            table[i] = context;
            *handle = (rkabi_context)(i + 1);
            status = RKABI_OK;
            break;
        }
    pthread_mutex_unlock(&table_lock);
    return status;
}

static int check_file(int level, const uint8_t *bytes, size_t nbytes) {
    uint64_t payload = 0;
    int status = RKABI_ERR_MODEL_INVALID;
    if (nbytes < HEADER_NBYTES) {
        /* rknn_init with nothing: one line only (evidence 160_init_size0). */
    } else if (memcmp(bytes, "RKNN", 4) != 0) {
        emu_log(level, 'E', "parseRKNN: invalid RKNN_MAGIC!");
        emu_log(level, 'E', "parseRKNN from buffer: Invalid RKNN format!");
    } else {
        memcpy(&payload, bytes + 16, sizeof payload);
        if (payload <= nbytes - HEADER_NBYTES)
            status = RKABI_OK;
        else {
            emu_log(level, 'E', "parseRKNN: exportDataSize large then model size: %llu vs %zu!",
                    (unsigned long long)payload, nbytes - HEADER_NBYTES);
            emu_log(level, 'E', "parseRKNN from buffer: Invalid RKNN format!");
        }
    }
    if (status != RKABI_OK)
        emu_log(level, 'E', "rknn_init, load model failed!");
    return status;
}

/* The NPU's name in the log (rk3588, rk3566 and rk3562: the real library's lines; rk3576: a public log of 2.3.0). */
static const char *target_of(const char *platform) {
    static const struct {
        const char *platform, *target;
    } names[] = {{"rk3566", "RKNPU lite"}, {"rk3568", "RKNPU lite"}, {"rk3562", "RKNPU t4"}, {"rk3576", "RKNPU f2"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(platform, names[i].platform) == 0)
            return names[i].target;
    return "RKNPU v2";
}

/* What is printed about a model. On 32-bit Arm the labels stand one field too early from "toolkit version" on (evidence 160_*,
   152_*, both armhf; 1.5.2 for aarch64 has them right). `compiler` is "2.5.0(compiler version: ...)". */
static void note_model(const emu_context *context) {
    const emu_file *file = context->file;
    const emu_version *version = context->version;
    const char *target = target_of(file->platform);
    char toolkit[32];
    snprintf(toolkit, sizeof toolkit, "%.*s", (int)strcspn(file->compiler, "( "), file->compiler);
#if defined(__arm__)
    emu_log(context->level, 'I',
            "RKNN Model Information%s version: %u, toolkit version: (null), target: %s, target platform: %s, framework "
            "name: %s, framework layout: %s, model inference type: NCHW",
            version->punctuation, file->version, file->compiler, target, file->platform, file->framework);
#else
    emu_log(context->level, 'I',
            "RKNN Model Information%s version: %u, toolkit version: %s, target: %s, target platform: %s, framework name: %s, "
            "framework layout: NCHW, model inference type: %s",
            version->punctuation, file->version, file->compiler, target, file->platform, file->framework,
            file->is_dynamic ? "dynamic_shape" : "static_shape");
#endif
    if (strcmp(toolkit, version->number) != 0)
        emu_log(context->level, 'W', "RKNN Model version: %s not match with rknn runtime version: %s", toolkit,
                version->number);
}

/* The mini runtime says nothing about a model, and has no ArgMax for its CPU (evidence mrt232_argmax). */
static int open_mini_model(emu_context *context) {
    const emu_model *model = &context->file->models[0];
    if (context->file->is_dynamic) {
        emu_log(context->level, 'E', "rkparity emulated runtime: the mini runtime does not take models with dynamic shapes");
        return RKABI_ERR_MODEL_INVALID;
    }
    for (uint32_t i = 0; i < model->n_nodes; i++)
        if (strcmp(model->nodes[i].op_type, "ArgMax") == 0) {
            emu_log(context->level, 'E',
                    "unsupport cpu ArgMax op, op name: %s in current, please try updating to the latest version of the toolkit2 and "
                    "runtime from: https://console.zbox.filez.com/l/I00fc3 (PWD: rknn)",
                    model->nodes[i].name);
            emu_log(context->level, 'E', "rknn fallback cpu failed");
            return RKABI_ERR_FAIL;
        }
    return emu_context_reshape(context, model);
}

/* What librknnrt asks of a model built with rknn_batch_size (its lines: airockchip/rknn-toolkit2#82, #83). */
static int check_batch(const emu_context *context) {
    const emu_model *model = &context->file->models[0];
    for (uint32_t i = 0; i < model->n_inputs && context->file->batch > 1; i++) {
        const emu_tensor *tensor = &model->tensors[model->inputs[i].tensor];
        if (!emu_tensor_is_4d(tensor)) {
            emu_log(context->level, 'E', "only support input n_dims == 4 when batch_size > 1");
            return RKABI_ERR_FAIL;
        }
        if (!emu_tensor_is_image(tensor)) {
            emu_log(context->level, 'E', "only support input channel in [1,3,4] when batch_size > 1");
            emu_would_crash(context->level, "rknn_init", "a batch of inputs with other than 1, 3 or 4 channels (airockchip/rknn-toolkit2#83)");
            return RKABI_ERR_FAIL;
        }
    }
    return RKABI_OK;
}

/* What the vendor's guide says cannot be done with dynamic shapes. */
static int check_dynamic(const emu_context *context) {
    if (!context->file->is_dynamic || (context->flags & (FLAG_MEM_ALLOC_OUTSIDE | FLAG_SHARE_WEIGHT_MEM)) == 0)
        return RKABI_OK;
    emu_log(context->level, 'E', "rkparity emulated runtime: a model with dynamic shapes cannot be opened with "
            "RKNN_FLAG_MEM_ALLOC_OUTSIDE or RKNN_FLAG_SHARE_WEIGHT_MEM");
    return RKABI_ERR_PARAM_INVALID;
}

/* RKPARITY_EMULATOR_PLATFORM names the chip of the emulated machine; without it every model finds its own. */
static int check_platform(const emu_context *context) {
    const char *machine = getenv("RKPARITY_EMULATOR_PLATFORM");
    const char *platform = context->file->platform;
    if (machine == NULL || *machine == '\0' || strcasecmp(machine, platform) == 0)
        return RKABI_OK;
    char names[2][16];
    const char *texts[2] = {platform, machine};
    for (int k = 0; k < 2; k++) {
        size_t i = 0;
        for (; i + 1 < sizeof names[k] && texts[k][i] != '\0'; i++)
            names[k][i] = (char)toupper((unsigned char)texts[k][i]);
        names[k][i] = '\0';
    }
    emu_log(context->level, 'E', "This rknn model is for %s, but current platform is %s", names[0], names[1]);
    emu_log(context->level, 'E', "Import rknn model failed!");
    emu_log(context->level, 'E', "rknn_init, load model failed!");
    return RKABI_ERR_MODEL_INVALID;
}

static int open_model(emu_context *context, bool say) {
    int level = context->level;
    char why[512];
    context->connection = emu_client_connect(why, sizeof why);
    if (context->connection < 0) {
        emu_log(level, 'E', "rkparity emulated runtime: %s", why);
        return RKABI_ERR_FAIL;
    }
    int status = emu_client_open(context->connection, context->model_bytes, context->model_nbytes, &context->file, why,
                                 sizeof why);
    if (status != RKABI_OK) {
        emu_log(level, 'E', "rkparity emulated runtime: %s", why);
        emu_log(level, 'E', "rknn_init, load model failed!");
        return status;
    }
    if (context->file->is_void)
        emu_log(level, 'W', "rkparity emulated runtime: %s", context->file->simulator);
    else
        emu_log(level, 'I', "rkparity emulated runtime: the layers' values come from %s", context->file->simulator);
    context->chip = emu_chip_of_platform(context->file->platform);
    if (context->version->mini)
        return open_mini_model(context);
    if (say)
        note_model(context);
    status = check_platform(context);
    if (status == RKABI_OK)
        status = check_dynamic(context);
    if (status == RKABI_OK)
        status = check_batch(context);
    if (status == RKABI_OK)
        status = emu_context_reshape(context, &context->file->models[0]);
    if (status != RKABI_OK)
        return status;
    emu_log(level, 'D', "The RKNN_FLAG_EXECUTE_FALLBACK_PRIOR_DEVICE_GPU is not set and without GPU op in Graphs, OpenCL will "
            "not be initialized");
    return RKABI_OK;
}

/* The library's own first line goes by the level at the time it was loaded, everything else by the level at rknn_init
   (evidence 160_setenv_before_init, 160_level_second_init). */
static int level_at_load;

__attribute__((constructor)) static void note_level(void) {
    level_at_load = emu_log_level_from_environment();
}

/* How many of the bytes given belong to the file. Behind the model lies the toolkit's own record, a length and JSON; the library does
   without it, so that a size that cuts some of it off, or one beyond the file's end, is taken (evidence seq_41_*). A record that is
   cut off is left out. */
static size_t file_nbytes(const uint8_t *bytes, size_t nbytes) {
    uint64_t payload, record;
    memcpy(&payload, bytes + 16, sizeof payload);
    size_t core = HEADER_NBYTES + (size_t)payload;
    if (nbytes - core < sizeof record + 1 || bytes[core + sizeof record] != '{')
        return nbytes;
    memcpy(&record, bytes + core, sizeof record);
    return record <= nbytes - core - sizeof record ? core + sizeof record + (size_t)record : core;
}

static int create(const void *bytes, size_t nbytes, uint32_t flags, bool say, rkabi_context *handle) {
    int level = emu_log_level_from_environment();
    const emu_version *version = emu_version_from_environment();
    if (version == NULL) {
        emu_log(level, 'E', "rkparity emulated runtime: RKPARITY_EMULATOR_VERSION is %s; it can be " EMU_VERSION_CHOICES,
                getenv("RKPARITY_EMULATOR_VERSION"));
        return RKABI_ERR_FAIL;
    }
    emu_log_show_time(!version->mini);
    emu_log(version->mini ? level : level_at_load, 'I', "RKNN Runtime Information%s %s version: %s " EMU_BUILD_NAME, version->punctuation,
            version->library, version->number);
    if (say)
        emu_log(level, 'I', "RKNN Driver Information%s version: " EMU_DRIVER_VERSION, version->punctuation);
    int status = check_file(level, bytes, nbytes);
    if (status != RKABI_OK)
        return status;
    nbytes = file_nbytes(bytes, nbytes);
    emu_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return RKABI_ERR_MALLOC_FAIL;
    pthread_mutex_init(&context->lock, NULL);
    context->users = 1;
    context->connection = -1;
    context->level = level;
    context->version = version;
    context->flags = flags;
    context->model_bytes = malloc(nbytes);
    if (context->model_bytes == NULL) {
        free_context(context);
        return RKABI_ERR_MALLOC_FAIL;
    }
    memcpy(context->model_bytes, bytes, nbytes);
    context->model_nbytes = nbytes;
    status = open_model(context, say);
    if (status == RKABI_OK)
        status = add_to_table(context, handle);
    if (status != RKABI_OK)
        free_context(context);
    return status;
}

int emu_context_create(const void *bytes, size_t nbytes, uint32_t flags, rkabi_context *handle) {
    return create(bytes, nbytes, flags, true, handle);
}

int emu_context_duplicate(const emu_context *context, rkabi_context *handle) {
    return create(context->model_bytes, context->model_nbytes, context->flags, false, handle);
}

static void note_unknown(rkabi_context handle, const char *call) {
    if (handle != 0)
        emu_would_crash(emu_log_level_from_environment(), call, "a context that was destroyed or never made (evidence seq_11_*)");
}

emu_context *emu_context_acquire(rkabi_context handle, const char *call) {
    emu_context *context = NULL;
    pthread_mutex_lock(&table_lock);
    if (handle >= 1 && handle <= MAX_CONTEXTS)
        context = table[handle - 1];
    if (context != NULL)
        context->users++;
    pthread_mutex_unlock(&table_lock);
    if (context != NULL)
        pthread_mutex_lock(&context->lock);
    else
        note_unknown(handle, call);
    return context;
}

static void drop(emu_context *context) {
    pthread_mutex_lock(&table_lock);
    bool last = --context->users == 0;
    pthread_mutex_unlock(&table_lock);
    if (last)
        free_context(context);
}

void emu_context_release(emu_context *context) {
    pthread_mutex_unlock(&context->lock);
    drop(context);
}

int emu_context_destroy(rkabi_context handle) {
    emu_context *context = NULL;
    pthread_mutex_lock(&table_lock);
    if (handle >= 1 && handle <= MAX_CONTEXTS) {
        context = table[handle - 1];
        table[handle - 1] = NULL;
    }
    pthread_mutex_unlock(&table_lock);
    if (context == NULL) {
        note_unknown(handle, "rknn_destroy");
        return RKABI_ERR_CTX_INVALID;
    }
    drop(context);
    return RKABI_OK;
}

#include "emulator/model.h"
#include "emulator/element.h"

#include <stdlib.h>
#include <string.h>

/* More than any model has; stops a damaged count before it is multiplied. */
#define MAX_ITEMS 1000000u
#define MAX_TENSOR_NBYTES ((size_t)1 << 31)

static void *new_items(emu_reader *reader, uint32_t count, size_t size) {
    if (count > MAX_ITEMS || count > reader->length) {
        reader->failed = true;
        return NULL;
    }
    void *items = calloc(count > 0 ? count : 1, size);
    if (items == NULL)
        reader->failed = true;
    return items;
}

static uint32_t read_dims(emu_reader *reader, uint32_t dims[RKABI_MAX_DIMS]) {
    uint32_t count = emu_read_u32(reader);
    if (count > RKABI_MAX_DIMS) {
        reader->failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < count; i++)
        dims[i] = emu_read_u32(reader);
    return count;
}

static void read_tensor(emu_reader *reader, emu_tensor *tensor) {
    tensor->name = emu_read_text(reader);
    uint32_t type = emu_read_u32(reader);
    tensor->n_dims = read_dims(reader, tensor->dims);
    tensor->n_native = read_dims(reader, tensor->native);
    tensor->scale = emu_read_f32(reader);
    tensor->zero_point = (int32_t)emu_read_u32(reader);
    tensor->memory_nbytes = emu_read_u32(reader);
    if (type >= RKABI_TYPE_COUNT || (tensor->scale == 0.0f && !reader->failed)) {
        reader->failed = true;
        return;
    }
    tensor->type = (rkabi_type)type;
    tensor->n_elems = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] == 0 || tensor->n_elems > MAX_TENSOR_NBYTES / 8 / tensor->dims[i]) {
            reader->failed = true;
            return;
        }
        tensor->n_elems *= tensor->dims[i];
    }
}

static void read_node(emu_reader *reader, emu_node *node, const emu_model *model) {
    node->op_type = emu_read_text(reader);
    node->name = emu_read_text(reader);
    uint32_t role = emu_read_u32(reader);
    node->io_index = emu_read_u32(reader);
    node->input_shapes = emu_read_text(reader);
    uint32_t type = emu_read_u32(reader);
    node->reads_input = emu_read_u32(reader);
    node->on_npu = emu_read_u32(reader) != 0;
    if (type >= RKABI_TYPE_COUNT || (node->reads_input != EMU_NO_INPUT && node->reads_input >= model->n_inputs)) {
        reader->failed = true;
        return;
    }
    node->type = (rkabi_type)type;
    uint32_t n_outputs = emu_read_u32(reader);
    node->outputs = new_items(reader, n_outputs, sizeof *node->outputs);
    if (reader->failed || role > EMU_ROLE_OUTPUT) {
        reader->failed = true;
        return;
    }
    node->role = (emu_role)role;
    node->n_outputs = n_outputs;
    for (uint32_t i = 0; i < n_outputs; i++) {
        node->outputs[i] = emu_read_u32(reader);
        reader->failed = reader->failed || node->outputs[i] >= model->n_tensors;
    }
    if ((node->role == EMU_ROLE_INPUT && node->io_index >= model->n_inputs) ||
        (node->role == EMU_ROLE_OUTPUT && node->io_index >= model->n_outputs))
        reader->failed = true;
}

static void read_input(emu_reader *reader, emu_model_input *input, const emu_model *model) {
    input->tensor = emu_read_u32(reader);
    uint32_t n_channels = emu_read_u32(reader);
    input->mean = new_items(reader, n_channels, sizeof *input->mean);
    input->std = new_items(reader, n_channels, sizeof *input->std);
    if (reader->failed || input->tensor >= model->n_tensors) {
        reader->failed = true;
        return;
    }
    input->n_channels = n_channels;
    for (uint32_t i = 0; i < n_channels; i++)
        input->mean[i] = emu_read_f32(reader);
    for (uint32_t i = 0; i < n_channels; i++)
        input->std[i] = emu_read_f32(reader);
    const emu_tensor *tensor = &model->tensors[input->tensor];
    if (emu_type_nbytes(tensor->type) == 0 || (n_channels > 0 && (tensor->n_dims < 2 || tensor->dims[1] != n_channels)))
        reader->failed = true;
}

static void read_model(emu_reader *reader, emu_model *model) {
    uint32_t n_tensors = emu_read_u32(reader);
    uint32_t n_nodes = emu_read_u32(reader);
    uint32_t n_inputs = emu_read_u32(reader);
    uint32_t n_outputs = emu_read_u32(reader);
    model->tensors = new_items(reader, n_tensors, sizeof *model->tensors);
    model->nodes = new_items(reader, n_nodes, sizeof *model->nodes);
    model->inputs = new_items(reader, n_inputs, sizeof *model->inputs);
    model->outputs = new_items(reader, n_outputs, sizeof *model->outputs);
    if (!reader->failed) {
        model->n_tensors = n_tensors;
        model->n_nodes = n_nodes;
        model->n_inputs = n_inputs;
        model->n_outputs = n_outputs;
    }
    for (uint32_t i = 0; i < model->n_tensors && !reader->failed; i++)
        read_tensor(reader, &model->tensors[i]);
    for (uint32_t i = 0; i < model->n_inputs && !reader->failed; i++)
        read_input(reader, &model->inputs[i], model);
    for (uint32_t i = 0; i < model->n_outputs && !reader->failed; i++) {
        model->outputs[i] = emu_read_u32(reader);
        reader->failed = reader->failed || model->outputs[i] >= model->n_tensors;
    }
    for (uint32_t i = 0; i < model->n_nodes && !reader->failed; i++)
        read_node(reader, &model->nodes[i], model);
    if (model->n_inputs == 0 || model->n_outputs == 0)
        reader->failed = true;
}

/* The sets of shapes differ in shapes alone. */
static bool alike(const emu_model *one, const emu_model *other) {
    if (one->n_inputs != other->n_inputs || one->n_outputs != other->n_outputs)
        return false;
    for (uint32_t i = 0; i < one->n_inputs; i++) {
        const emu_tensor *a = &one->tensors[one->inputs[i].tensor], *b = &other->tensors[other->inputs[i].tensor];
        if (strcmp(a->name, b->name) != 0 || a->type != b->type || a->n_dims != b->n_dims)
            return false;
    }
    return true;
}

emu_file *emu_file_read(emu_reader *reader) {
    emu_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->platform = emu_read_text(reader);
    file->compiler = emu_read_text(reader);
    file->framework = emu_read_text(reader);
    file->simulator = emu_read_text(reader);
    file->is_void = file->simulator != NULL && strncmp(file->simulator, EMU_VOID_MARK, strlen(EMU_VOID_MARK)) == 0;
    file->version = emu_read_u32(reader);
    file->is_dynamic = emu_read_u32(reader) != 0;
    file->batch = emu_read_u32(reader);
    uint32_t n_models = emu_read_u32(reader);
    if (n_models == 0 || n_models > RKABI_MAX_DYNAMIC_SHAPES)
        reader->failed = true;
    file->models = reader->failed ? NULL : new_items(reader, n_models, sizeof *file->models);
    for (uint32_t i = 0; i < n_models && !reader->failed; i++) {
        file->n_models = i + 1;
        read_model(reader, &file->models[i]);
        if (!reader->failed && !alike(&file->models[0], &file->models[i]))
            reader->failed = true;
    }
    if (reader->failed) {
        emu_file_free(file);
        return NULL;
    }
    return file;
}

static void free_model(emu_model *model) {
    for (uint32_t i = 0; i < model->n_tensors; i++)
        free(model->tensors[i].name);
    for (uint32_t i = 0; i < model->n_nodes; i++) {
        free(model->nodes[i].op_type);
        free(model->nodes[i].name);
        free(model->nodes[i].input_shapes);
        free(model->nodes[i].outputs);
    }
    for (uint32_t i = 0; i < model->n_inputs; i++) {
        free(model->inputs[i].mean);
        free(model->inputs[i].std);
    }
    free(model->tensors);
    free(model->nodes);
    free(model->inputs);
    free(model->outputs);
}

void emu_file_free(emu_file *file) {
    if (file == NULL)
        return;
    for (uint32_t i = 0; i < file->n_models; i++)
        free_model(&file->models[i]);
    free(file->models);
    free(file->platform);
    free(file->compiler);
    free(file->framework);
    free(file->simulator);
    free(file);
}

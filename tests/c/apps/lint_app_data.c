/* Memory, types and the values of inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lint_app.h"

void *allocate(size_t nbytes)
{
    void *memory = calloc(1, nbytes > 0 ? nbytes : 1);
    if (memory == NULL) {
        exit(4);
    }
    return memory;
}

unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(5);
    }
    long length = ftell(file);
    rewind(file);
    unsigned char *data = allocate((size_t)length);
    if (fread(data, 1, (size_t)length, file) != (size_t)length) {
        exit(5);
    }
    fclose(file);
    *size = (size_t)length;
    return data;
}

uint32_t type_size(rkabi_type type)
{
    switch (type) {
    case RKABI_TYPE_FLOAT32:
    case RKABI_TYPE_INT32:
        return 4;
    case RKABI_TYPE_FLOAT16:
        return 2;
    case RKABI_TYPE_INT64:
        return 8;
    default:
        return 1;
    }
}

rkabi_type natural_type(const rkabi_tensor_attr *attr)
{
    if (attr->n_dims == 4) {
        return RKABI_TYPE_UINT8;
    }
    return attr->type == RKABI_TYPE_INT64 ? RKABI_TYPE_INT64 : RKABI_TYPE_FLOAT32;
}

static uint32_t noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

void fill(void *buffer, rkabi_type type, uint32_t n, int run)
{
    uint32_t state = (uint32_t)run * 77u + 5u;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t value = noise(&state);
        if (type == RKABI_TYPE_UINT8 || type == RKABI_TYPE_INT8) {
            ((uint8_t *)buffer)[i] = (uint8_t)value;
        } else if (type == RKABI_TYPE_FLOAT32) {
            ((float *)buffer)[i] = (float)(value % 2048u) / 512.0f - 2.0f;
        } else if (type == RKABI_TYPE_INT64) {
            ((int64_t *)buffer)[i] = (int64_t)(value % 16u);
        } else {
            memset((uint8_t *)buffer + (size_t)i * type_size(type), (int)(value & 0x3f), type_size(type));
        }
    }
}

void *first_data(const rkabi_tensor_attr *attr, rkabi_type type, size_t nbytes, int run)
{
    /* Room behind the data, so that the mistakes of size read what is there. */
    unsigned char *buffer = allocate(nbytes * 4 + 4096);
    fill(buffer, type, is("type-zero-full") ? attr->n_elems * 4 : attr->n_elems, run);
    if (data_file != NULL) {
        memcpy(buffer, data_file, data_size < nbytes * 4 ? data_size : nbytes * 4);
    }
    float *values = (float *)(void *)buffer;
    uint32_t state = 9u + (uint32_t)run;
    if (is("constant")) {
        memset(buffer, 7, nbytes);
    } else if (is("warm-up") && run == 0) {
        memset(buffer, 0, nbytes);
    } else if (is("unit-bytes")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            buffer[i] = (uint8_t)(noise(&state) & 1u);
        }
    } else if (is("unit-floats") || is("float-bytes") || is("normalized")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u) / 255.0f;
        }
    } else if (is("tiny-floats")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u) / 255.0f * 0.01f;
        }
    } else if (is("pixel-floats")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = (float)(noise(&state) % 256u);
        }
    } else if (is("not-finite")) {
        for (uint32_t i = 0; i < attr->n_elems; i++) {
            values[i] = i % 7 == 0 ? 0.0f / (float)(i * 0u) : 3.0f * (float)(i % 50u);
        }
    }
    return buffer;
}

#include "emulator/buffer.h"

#include <stdlib.h>
#include <string.h>

static bool take(emu_reader *reader, void *to, size_t count) {
    memset(to, 0, count);
    if (reader->failed || reader->length - reader->position < count) {
        reader->failed = true;
        return false;
    }
    memcpy(to, reader->data + reader->position, count);
    reader->position += count;
    return true;
}

uint32_t emu_read_u32(emu_reader *reader) {
    uint32_t value;
    take(reader, &value, sizeof value);
    return value;
}

uint64_t emu_read_u64(emu_reader *reader) {
    uint64_t value;
    take(reader, &value, sizeof value);
    return value;
}

float emu_read_f32(emu_reader *reader) {
    float value;
    take(reader, &value, sizeof value);
    return value;
}

char *emu_read_text(emu_reader *reader) {
    uint32_t length = emu_read_u32(reader);
    if (reader->failed || reader->length - reader->position < length) {
        reader->failed = true;
        return NULL;
    }
    char *text = malloc((size_t)length + 1);
    if (text == NULL) {
        reader->failed = true;
        return NULL;
    }
    memcpy(text, reader->data + reader->position, length);
    text[length] = '\0';
    reader->position += length;
    return text;
}

void emu_write_bytes(emu_writer *writer, const void *bytes, size_t count) {
    if (writer->failed || count > SIZE_MAX / 4 || writer->length > SIZE_MAX / 4) {
        writer->failed = true;
        return;
    }
    if (writer->capacity - writer->length < count) {
        size_t capacity = writer->length + count + 256;
        if (capacity < 2 * writer->capacity)
            capacity = 2 * writer->capacity;
        uint8_t *data = realloc(writer->data, capacity);
        if (data == NULL) {
            writer->failed = true;
            return;
        }
        writer->data = data;
        writer->capacity = capacity;
    }
    if (count > 0)
        memcpy(writer->data + writer->length, bytes, count);
    writer->length += count;
}

void emu_write_u32(emu_writer *writer, uint32_t value) {
    emu_write_bytes(writer, &value, sizeof value);
}

void emu_write_u64(emu_writer *writer, uint64_t value) {
    emu_write_bytes(writer, &value, sizeof value);
}

void emu_writer_free(emu_writer *writer) {
    free(writer->data);
    memset(writer, 0, sizeof *writer);
}

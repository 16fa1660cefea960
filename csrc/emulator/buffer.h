/* Bytes of the emulator's protocol: a reader that never passes its end, a writer that grows. Little-endian throughout. */
#ifndef RKPARITY_EMULATOR_BUFFER_H
#define RKPARITY_EMULATOR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct emu_reader {
    const uint8_t *data;
    size_t length;
    size_t position;
    bool failed; /* something was asked for that is not there; stays true, later reads give zeros */
} emu_reader;

uint32_t emu_read_u32(emu_reader *reader);
uint64_t emu_read_u64(emu_reader *reader);
float emu_read_f32(emu_reader *reader);
/* A length-prefixed text as a new NUL-terminated string; NULL when it is cut off or memory is short. */
char *emu_read_text(emu_reader *reader);

typedef struct emu_writer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    bool failed; /* memory was short */
} emu_writer;

void emu_write_bytes(emu_writer *writer, const void *bytes, size_t count);
void emu_write_u32(emu_writer *writer, uint32_t value);
void emu_write_u64(emu_writer *writer, uint64_t value);
void emu_writer_free(emu_writer *writer);

#endif

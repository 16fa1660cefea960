#include "emulator/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/log.h"
#include "emulator/place.h"

#define MAX_ORDERS_NBYTES 16384u

/* The file's text behind `at`; false when it does not fit. No file is no orders. */
static bool append_file(char *text, size_t *at) {
    char path[4096];
    if (!emu_beside_library("librknnrt.faults", path, sizeof path))
        return true;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return true;
    *at += fread(text + *at, 1, MAX_ORDERS_NBYTES - *at, file);
    bool whole = fgetc(file) == EOF && ferror(file) == 0;
    fclose(file);
    return whole;
}

bool emu_faults_send(int level, emu_writer *request) {
    char text[MAX_ORDERS_NBYTES + 1];
    size_t at = 0;
    const char *ordered = getenv("RKPARITY_EMULATOR_FAULTS");
    bool whole = ordered == NULL || strlen(ordered) < MAX_ORDERS_NBYTES;
    if (whole && ordered != NULL && *ordered != '\0') {
        at = strlen(ordered);
        memcpy(text, ordered, at);
        text[at++] = '\n';
    }
    if (!whole || !append_file(text, &at)) {
        emu_log(level, 'E', "rkparity emulated runtime: the fault orders cannot be read or have more than %u bytes",
                MAX_ORDERS_NBYTES);
        return false;
    }
    while (at > 0 && (text[at - 1] == '\n' || text[at - 1] == '\r' || text[at - 1] == ' '))
        at--;
    text[at] = '\0';
    if (at > 0)
        emu_log(level, 'E', "rkparity emulated runtime: faults are ordered: %s", text);
    emu_write_u32(request, (uint32_t)at);
    emu_write_bytes(request, text, at);
    return true;
}

uint64_t emu_faults_room(const emu_faults *faults, uint32_t node, uint64_t nbytes) {
    if (faults->full_node == EMU_NO_NODE || node < faults->full_node)
        return nbytes;
    return node == faults->full_node ? nbytes / 2 : 0;
}

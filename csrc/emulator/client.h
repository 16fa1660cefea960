/* The connection to the layer-value server, over a unix-domain socket; docs/emulator.md describes the protocol. */
#ifndef RKPARITY_EMULATOR_CLIENT_H
#define RKPARITY_EMULATOR_CLIENT_H

#include "emulator/model.h"

/* Connects and greets; -1 with `why` filled in on failure. The socket is named by RKPARITY_EMULATOR_SOCKET or by the file
   `librknnrt.emulator` beside the library. */
int emu_client_connect(char *why, size_t why_size);

/* Hands the model's bytes over and takes its description. Returns an RKABI status. */
int emu_client_open(int connection, const void *bytes, size_t nbytes, emu_file **file, char *why, size_t why_size);

/* An answer being read; `remaining` bytes of it are still to come. */
typedef struct emu_answer {
    int connection;
    uint64_t remaining;
    bool failed;
} emu_answer;

/* Sends one run (see execute.c for the payload) and takes the answer's head. Returns an RKABI status. */
int emu_client_run(int connection, const emu_writer *request, emu_answer *answer, char *why, size_t why_size);
/* Reads exactly `count` bytes of the answer; false, and the answer failed, when there are fewer or the connection broke. */
bool emu_answer_read(emu_answer *answer, void *to, size_t count);
uint32_t emu_answer_u32(emu_answer *answer);
uint64_t emu_answer_u64(emu_answer *answer);
/* Reads and forgets `count` bytes, or what is left if that is less. */
void emu_answer_skip(emu_answer *answer, uint64_t count);

#endif

/* Dumps of several models of one process told apart: librknnrt names them alike and the last writer would win. */
#ifndef RKPARITY_LAYER_DUMPS_H
#define RKPARITY_LAYER_DUMPS_H

#include <stdint.h>

/* The number of the model that context `context` runs: contexts with the same SHA-256 share one; without it (NULL or
   empty) each context is its own. */
void rkl_dumps_note(uint32_t context, const char *sha256);
/* `context` runs what `source` runs. */
void rkl_dumps_note_copy(uint32_t context, uint32_t source);
/* Around rknn_run: RKNN_DUMP_DIR, which the library reads when it dumps, names the model's folder meanwhile. The first
   model of a process keeps the folder that is set; the others get one named by their digest inside it. Runs of different
   models wait for each other; runs of one model do not. Does nothing unless RKPARITY_DUMP_ROOT is the folder that is set. */
void rkl_dumps_enter(uint32_t context);
void rkl_dumps_leave(void);
/* In a forked child, where the thread that held the lock may not exist. */
void rkl_dumps_after_fork(void);

#endif

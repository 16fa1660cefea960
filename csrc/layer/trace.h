/* The trace file of this process: opened at the first event, a new one after fork, never anybody else's file. */
#ifndef RKPARITY_LAYER_TRACE_H
#define RKPARITY_LAYER_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "layer/journal.h"
#include "layer/text.h"

struct rkl_settings {
    bool hash;
    bool query;
    uint32_t buffers;
    uint64_t max_bytes;
};

/* Reads the environment at the first use. false: nothing is to be written. */
bool rkl_trace_is_on(void);
const struct rkl_settings *rkl_settings(void);
const char *rkl_trace_folder(void);
/* The largest file this process may write. */
uint64_t rkl_trace_file_limit(void);

/* The number of the next call. */
uint64_t rkl_trace_next(void);
/* The thread's number, kept per thread. */
uint32_t rkl_thread(void);
int64_t rkl_now(void);

/* Closes the line's object, ends it and appends it to the file in one piece; frees the text. */
void rkl_trace_write(struct rkl_text *line);
/* A line is begun with {"event": EVENT. */
void rkl_trace_begin(struct rkl_text *line, const char *event);

/* The name of a kept buffer, e.g. rkparity-12-7-in0.npy. */
void rkl_trace_name(char *name, size_t size, uint64_t seq, const char *what, uint32_t index);

#endif

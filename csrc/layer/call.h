/* One traced call, from the program's entry to its return; see call.c for the order of things. */
#ifndef RKPARITY_LAYER_CALL_H
#define RKPARITY_LAYER_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/rknn_abi.h"
#include "layer/content.h"
#include "layer/real.h"
#include "layer/registry.h"
#include "layer/text.h"

/* The library's functions that are defined here. */
#define RKL_EXPORT __attribute__((visibility("default")))

struct rkl_call {
    const char *name;
    rkabi_context handle;
    uint32_t context;
    uint64_t seq;
    int64_t start;
    int64_t duration;
    int status;
    int program_errno;
    bool missing;
    const char *doubt; /* which pointer is NULL or cannot be read; NULL: none */
    int doubt_index;
    const void *doubt_pointer;
    size_t arguments; /* where they begin in the line */
    struct rkl_text line;
};

/* Whether this call is to be traced: a trace is wanted and the library is not calling itself. */
bool rkl_wanted(void);

/* Begins the line. `missing`: the real library lacks the function. */
void rkl_begin(struct rkl_call *call, const char *name, rkabi_context handle, bool missing);
/* Notes a pointer in doubt, the first one only; `index` -1: it is in no list. */
void rkl_doubt(struct rkl_call *call, const char *what, int index, const void *pointer);
/* Directly before and after the real function. Before it the `enter` line is written, with the arguments put so far: the call may be
   the process's last. */
void rkl_before(struct rkl_call *call);
void rkl_after(struct rkl_call *call, int status);
/* Writes the line. */
void rkl_write(struct rkl_call *call);
/* The last thing before returning to the program. */
void rkl_leave(const struct rkl_call *call);

/* The real library is called from within the layer; its own calls are not traced. */
void rkl_nest(void);
void rkl_unnest(void);

/* Forwards without a trace: RKL_PASS(rknn_run, RKABI_ERR_FAIL, ctx, extend). */
#define RKL_PASS(FUNCTION, OTHERWISE, ...) (rkl_real()->FUNCTION ? rkl_real()->FUNCTION(__VA_ARGS__) : (OTHERWISE))

#endif

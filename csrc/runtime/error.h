/* What went wrong in the device session, as data: whoever called decides how to print it. */
#ifndef RKPARITY_RUNTIME_ERROR_H
#define RKPARITY_RUNTIME_ERROR_H

typedef enum rkrt_error_kind {
    RKRT_ERROR_NONE = 0,
    RKRT_ERROR_USAGE = 1,       /* an argument cannot be right: wrong size, index, type */
    RKRT_ERROR_LIBRARY = 2,     /* librknnrt cannot be opened or is not librknnrt */
    RKRT_ERROR_UNSUPPORTED = 3, /* this librknnrt does not export the function needed */
    RKRT_ERROR_CALL = 4,        /* an rknn_* function returned an error; `code` is its return value */
    RKRT_ERROR_MEMORY = 5,      /* no memory */
    RKRT_ERROR_FILE = 6,        /* a file cannot be opened, read or written; `code` is errno */
    RKRT_ERROR_DATA = 7         /* a file or an answer of the library is not what it says it is */
} rkrt_error_kind;

typedef struct rkrt_error {
    int kind; /* rkrt_error_kind */
    int code;
    char call[40];
    char message[600];
    char hint[300];
} rkrt_error;

/* Fills `error` and returns -1, so that callers can `return rkrt_fail(...)`. `call` may be NULL. */
int rkrt_fail(rkrt_error *error, rkrt_error_kind kind, int code, const char *call, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Fills `error` for a failed rknn_* call, with the code's name, meaning and next step; returns -1. */
int rkrt_fail_call(rkrt_error *error, const char *call, int code);

/* Sets the next step of an error already filled; returns -1. */
int rkrt_hint(rkrt_error *error, const char *hint);

/* The name of a return code ("RKNN_ERR_PARAM_INVALID"), what it means, what to do; never NULL. */
const char *rkrt_status_name(int code);
const char *rkrt_status_text(int code);
const char *rkrt_status_hint(int code);

/* One word for a kind of error, as in the agent's protocol; never NULL. */
const char *rkrt_error_kind_name(int kind);

#endif

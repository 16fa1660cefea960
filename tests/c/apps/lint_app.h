/* Inside of lint_app: what its parts share. */
#ifndef RKPARITY_TESTS_C_APPS_LINT_APP_H
#define RKPARITY_TESTS_C_APPS_LINT_APP_H

#include <stddef.h>
#include <stdint.h>

#include "abi/rknn_abi.h"

#define MAX_IO 8

/* An open model and what it says of its tensors. */
typedef struct io {
    rkabi_context ctx;
    rkabi_in_out_num number;
    rkabi_tensor_attr in[MAX_IO], out[MAX_IO];
} io;

/* The options. */
extern const char *mistake;
extern const char *model_path;
extern unsigned char *data_file;
extern size_t data_size;
extern int runs;

/* Whether this is the mistake to be made. */
int is(const char *name);
/* Ends the program when a call failed. */
void check(int status, const char *call);
#define CHECK(call) check((call), #call)

void *allocate(size_t nbytes);
unsigned char *read_file(const char *path, size_t *size);

uint32_t type_size(rkabi_type type);
/* What one tensor of the model takes from a careful application: pictures as uint8, the rest as its own or as float32. */
rkabi_type natural_type(const rkabi_tensor_attr *attr);
void fill(void *buffer, rkabi_type type, uint32_t n, int run);
/* The first input's data, with the mistakes that data can hold and room behind for those of size; to be freed. */
void *first_data(const rkabi_tensor_attr *attr, rkabi_type type, size_t nbytes, int run);

void open_model(io *app);
void general(io *app);
void zero_copy(io *app);

#endif

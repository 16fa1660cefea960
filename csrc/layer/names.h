/* The names of the API's numbers, without prefix; NULL for a number outside the API. */
#ifndef RKPARITY_LAYER_NAMES_H
#define RKPARITY_LAYER_NAMES_H

#include <stdint.h>

const char *rkl_status_name(int64_t status);
const char *rkl_type_name(int64_t type);
const char *rkl_fmt_name(int64_t fmt);
const char *rkl_qnt_name(int64_t qnt);
const char *rkl_query_name(int64_t command);
const char *rkl_sync_name(int64_t mode);

/* Bytes per element; 0 for a type without whole bytes or outside the API. */
uint32_t rkl_type_nbytes(int64_t type);
/* NumPy's name of the type, NULL where it has none. */
const char *rkl_type_descr(int64_t type);

#endif

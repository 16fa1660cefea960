/* The API's structures as JSON, and arrays of the program copied so far as they can be read. */
#ifndef RKPARITY_LAYER_DESCRIBE_H
#define RKPARITY_LAYER_DESCRIBE_H

#include "layer/call.h"

void rkl_put_attr(struct rkl_text *text, const char *key, const rkabi_tensor_attr *attr);
void rkl_put_attrs(struct rkl_text *text, const char *key, const struct rkl_attrs *attrs);
/* The structure behind `mem` as it is now; null for NULL. */
void rkl_put_memory(struct rkl_text *text, rkabi_tensor_mem *mem);
void rkl_put_type(struct rkl_text *text, const char *key, int64_t type);
void rkl_put_fmt(struct rkl_text *text, const char *key, int64_t fmt);

/*
 * Copies an array of `n` elements the program passed, at most RKL_MAX_LISTED. What the model is known to have is read
 * directly, as the library will; anything else is proven first. Returns how many elements `to` holds; `*unreadable` says
 * that they are fewer than there should be.
 */
uint32_t rkl_copy_array(void *to, const void *from, uint32_t n, uint32_t known, size_t element, bool *unreadable);

#endif

/* One line of JSON under construction: grows as needed, reports a lack of memory once, at the end. */
#ifndef RKPARITY_LAYER_TEXT_H
#define RKPARITY_LAYER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rkl_text {
    char *data;
    size_t used;
    size_t capacity;
    bool failed;
    unsigned depth; /* objects and lists that are open */
    bool separate; /* the next item needs a comma before it */
    char first[2048];
};

void rkl_text_init(struct rkl_text *text);
void rkl_text_free(struct rkl_text *text);

/* Opens an object or list as the next item; `key` NULL: an item of a list, or the outermost object. */
void rkl_open(struct rkl_text *text, const char *key, char bracket);
void rkl_close(struct rkl_text *text, char bracket);

void rkl_put_null(struct rkl_text *text, const char *key);
void rkl_put_bool(struct rkl_text *text, const char *key, bool value);
void rkl_put_uint(struct rkl_text *text, const char *key, uint64_t value);
void rkl_put_int(struct rkl_text *text, const char *key, int64_t value);
void rkl_put_hex(struct rkl_text *text, const char *key, uint64_t value);
void rkl_put_pointer(struct rkl_text *text, const char *key, const void *value);
/* 16 digits without prefix. */
void rkl_put_hash(struct rkl_text *text, const char *key, uint64_t value);
/* null when not finite. */
void rkl_put_number(struct rkl_text *text, const char *key, double value);
/* null for NULL; at most `limit` bytes; what is no UTF-8 becomes U+FFFD. */
void rkl_put_text(struct rkl_text *text, const char *key, const char *value, size_t limit);
/* The name, or UNKNOWN(value) when it is NULL. */
void rkl_put_name(struct rkl_text *text, const char *key, const char *name, int64_t value);
/* An object with the members that `from` holds behind `offset`, as far as they are complete; null while a list or object is open. */
void rkl_append_tail(struct rkl_text *text, const char *key, const struct rkl_text *from, size_t offset);
/* Adds the items of another text, which are complete. */
void rkl_append(struct rkl_text *text, const struct rkl_text *items);

#endif

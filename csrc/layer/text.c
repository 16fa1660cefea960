#include "layer/text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rkl_text_init(struct rkl_text *text)
{
    text->data = text->first;
    text->used = 0;
    text->capacity = sizeof text->first;
    text->failed = false;
    text->depth = 0;
    text->separate = false;
}

void rkl_text_free(struct rkl_text *text)
{
    if (text->data != text->first) {
        free(text->data);
    }
    rkl_text_init(text);
}

/* Room for `nbytes` more; NULL when there is no memory. */
static char *reserve(struct rkl_text *text, size_t nbytes)
{
    if (text->failed) {
        return NULL;
    }
    if (nbytes > text->capacity - text->used) {
        size_t capacity = text->capacity;
        char *data;
        while (capacity - text->used < nbytes) {
            capacity *= 2;
        }
        data = text->data == text->first ? malloc(capacity) : realloc(text->data, capacity);
        if (!data) {
            text->failed = true;
            return NULL;
        }
        if (text->data == text->first) {
            memcpy(data, text->first, text->used);
        }
        text->data = data;
        text->capacity = capacity;
    }
    return text->data + text->used;
}

static void add(struct rkl_text *text, const char *data, size_t nbytes)
{
    char *to = reserve(text, nbytes);
    if (to) {
        memcpy(to, data, nbytes);
        text->used += nbytes;
    }
}

static void add_char(struct rkl_text *text, char c)
{
    add(text, &c, 1);
}

/* The comma, the key and room for `more` bytes of value in one go; NULL when there is no memory. */
static char *begin_item(struct rkl_text *text, const char *key, size_t more)
{
    const size_t length = key ? strlen(key) : 0;
    char *to = reserve(text, length + 4 + more);
    if (!to) {
        return NULL;
    }
    if (text->separate) {
        *to++ = ',';
    }
    text->separate = true;
    if (key) {
        *to++ = '"';
        memcpy(to, key, length);
        to += length;
        *to++ = '"';
        *to++ = ':';
    }
    text->used = (size_t)(to - text->data);
    return to;
}

static void item(struct rkl_text *text, const char *key)
{
    begin_item(text, key, 0);
}

void rkl_open(struct rkl_text *text, const char *key, char bracket)
{
    item(text, key);
    add_char(text, bracket);
    text->depth++;
    text->separate = false;
}

void rkl_close(struct rkl_text *text, char bracket)
{
    add_char(text, bracket);
    text->depth -= text->depth > 0;
    text->separate = true;
}

void rkl_put_null(struct rkl_text *text, const char *key)
{
    item(text, key);
    add(text, "null", 4);
}

void rkl_put_bool(struct rkl_text *text, const char *key, bool value)
{
    item(text, key);
    if (value) {
        add(text, "true", 4);
    } else {
        add(text, "false", 5);
    }
}

enum { MAX_DIGITS = 20 };

/* Writes the digits to `to`, which has room for MAX_DIGITS; returns their number. */
static size_t write_uint(char *to, uint64_t value)
{
    char digits[MAX_DIGITS];
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + start, sizeof digits - start);
    return sizeof digits - start;
}

static void add_hex(struct rkl_text *text, uint64_t value, int least)
{
    char digits[16];
    int start = 16;
    do {
        digits[--start] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value > 0 || 16 - start < least);
    add(text, digits + start, (size_t)(16 - start));
}

void rkl_put_uint(struct rkl_text *text, const char *key, uint64_t value)
{
    char *to = begin_item(text, key, MAX_DIGITS);
    if (to) {
        text->used += write_uint(to, value);
    }
}

static void add_int(struct rkl_text *text, int64_t value)
{
    char *to = reserve(text, 1 + MAX_DIGITS);
    if (to && value < 0) {
        *to = '-';
        text->used += 1 + write_uint(to + 1, 0 - (uint64_t)value);
    } else if (to) {
        text->used += write_uint(to, (uint64_t)value);
    }
}

void rkl_put_int(struct rkl_text *text, const char *key, int64_t value)
{
    item(text, key);
    add_int(text, value);
}

void rkl_put_hex(struct rkl_text *text, const char *key, uint64_t value)
{
    item(text, key);
    add(text, "\"0x", 3);
    add_hex(text, value, 1);
    add_char(text, '"');
}

void rkl_put_pointer(struct rkl_text *text, const char *key, const void *value)
{
    rkl_put_hex(text, key, (uintptr_t)value);
}

void rkl_put_hash(struct rkl_text *text, const char *key, uint64_t value)
{
    item(text, key);
    add_char(text, '"');
    add_hex(text, value, 16);
    add_char(text, '"');
}

void rkl_put_number(struct rkl_text *text, const char *key, double value)
{
    char digits[40];
    locale_t own;
    int length;
    if (!isfinite(value)) {
        rkl_put_null(text, key);
        return;
    }
    item(text, key);
    if (value == floor(value) && fabs(value) < 1e15) {
        add_int(text, (int64_t)value);
        return;
    }
    /* The program's locale may write a decimal comma. The "C" locale as a whole costs no memory. */
    own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!own) {
        text->failed = true;
        return;
    }
    locale_t before = uselocale(own);
    /* 9 digits tell every float32 from every other. */
    length = snprintf(digits, sizeof digits, "%.9g", value);
    uselocale(before);
    freelocale(own);
    add(text, digits, (size_t)length);
}

/* Bytes of the valid UTF-8 sequence at `p`, 0 if there is none. */
static size_t sequence(const unsigned char *p, size_t left)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
    uint32_t code = n == 2 ? p[0] & 0x1fu : n == 3 ? p[0] & 0x0fu : p[0] & 0x07u;
    if (n <= 1 || n > left) {
        return n == 1 ? 1 : 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    return code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? n : 0;
}

/* How many characters from the start on stand for themselves. */
static size_t plain_length(const char *value, size_t left)
{
    size_t n = 0;
    while (n < left && value[n] >= 0x20 && value[n] < 0x7f && value[n] != '"' && value[n] != '\\') {
        n++;
    }
    return n;
}

void rkl_put_text(struct rkl_text *text, const char *key, const char *value, size_t limit)
{
    size_t left;
    if (!value) {
        rkl_put_null(text, key);
        return;
    }
    left = strnlen(value, limit);
    item(text, key);
    add_char(text, '"');
    const size_t plain = plain_length(value, left);
    add(text, value, plain);
    value += plain;
    left -= plain;
    for (const unsigned char *p = (const unsigned char *)value; left > 0;) {
        const size_t n = sequence(p, left);
        if (n == 0) {
            add(text, "\\ufffd", 6);
        } else if (n == 1 && (*p == '"' || *p == '\\')) {
            const char escaped[2] = {'\\', (char)*p};
            add(text, escaped, 2);
        } else if (n == 1 && (*p < 0x20 || *p == 0x7f)) {
            add(text, "\\u00", 4);
            add_hex(text, *p, 2);
        } else {
            add(text, (const char *)p, n);
        }
        p += n ? n : 1;
        left -= n ? n : 1;
    }
    add_char(text, '"');
}

void rkl_put_name(struct rkl_text *text, const char *key, const char *name, int64_t value)
{
    item(text, key);
    add_char(text, '"');
    if (name) {
        add(text, name, strlen(name));
    } else {
        add(text, "UNKNOWN(", 8);
        add_int(text, value);
        add_char(text, ')');
    }
    add_char(text, '"');
}

void rkl_append_tail(struct rkl_text *text, const char *key, const struct rkl_text *from, size_t offset)
{
    if (from->failed || from->depth != 1 || offset > from->used) {
        rkl_put_null(text, key);
        return;
    }
    rkl_open(text, key, '{');
    if (from->used > offset + 1) { /* behind a comma */
        add(text, from->data + offset + 1, from->used - offset - 1);
    }
    rkl_close(text, '}');
}

void rkl_append(struct rkl_text *text, const struct rkl_text *items)
{
    item(text, NULL);
    add(text, items->data, items->used);
    text->failed = text->failed || items->failed;
}

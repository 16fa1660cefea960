#include "layer/content.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/rknn_abi.h"
#include "kernels/digest.h"
#include "layer/names.h"
#include "layer/readable.h"
#include "layer/trace.h"

enum { HEADER = 128 };

/* A copy being written; fd -1: none, or given up. */
struct copy {
    int fd;
    char partial[RKL_PATH_SIZE];
    char path[RKL_PATH_SIZE];
};

static bool write_all(int fd, const void *data, size_t nbytes)
{
    const char *p = data;
    while (nbytes > 0) {
        const ssize_t n = write(fd, p, nbytes);
        if (n <= 0) {
            return false;
        }
        p += n;
        nbytes -= (size_t)n;
    }
    return true;
}

static void copy_give_up(struct copy *copy)
{
    if (copy->fd >= 0) {
        close(copy->fd);
        unlink(copy->partial);
        copy->fd = -1;
    }
}

static void copy_begin(struct copy *copy, const char *name, uint64_t nbytes)
{
    static const char empty[HEADER];
    const char *folder = rkl_trace_folder();
    copy->fd = -1;
    /* A file beyond `ulimit -f` would end the program by a signal. */
    if (!name || nbytes > rkl_trace_file_limit() - HEADER || snprintf(copy->path, sizeof copy->path, "%s/%s", folder, name) >= (int)sizeof copy->path ||
        snprintf(copy->partial, sizeof copy->partial, "%s/%s.part", folder, name) >= (int)sizeof copy->partial) {
        return;
    }
    copy->fd = open(copy->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (copy->fd >= 0 && !write_all(copy->fd, empty, HEADER)) {
        copy_give_up(copy);
    }
}

static bool copy_finish(struct copy *copy, int64_t type, uint64_t nbytes)
{
    char header[HEADER];
    const char *descr = rkl_type_descr(type);
    uint64_t n = nbytes;
    int used;
    if (copy->fd < 0) {
        return false;
    }
    if (descr && nbytes % rkl_type_nbytes(type) == 0) {
        n = nbytes / rkl_type_nbytes(type);
    } else {
        descr = "|u1";
    }
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    used = snprintf(header + 10, sizeof header - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,), }", descr,
                    (unsigned long long)n);
    header[10 + used] = ' ';
    header[HEADER - 1] = '\n';
    if (pwrite(copy->fd, header, sizeof header, 0) != (ssize_t)sizeof header || rename(copy->partial, copy->path) != 0) {
        copy_give_up(copy);
        return false;
    }
    close(copy->fd);
    copy->fd = -1;
    return true;
}

static void look_at_chunk(struct rkl_content *content, struct rkp_xxh64 *hash, const uint8_t *chunk, size_t n, bool first)
{
    rkp_xxh64_update(hash, chunk, n);
    if (!content->full) {
        return;
    }
    rkl_stats_bytes(&content->bytes, chunk, n);
    if (rkl_type_nbytes(content->type) > 0 && content->type != RKABI_TYPE_UINT8 && content->type != RKABI_TYPE_BOOL) {
        rkl_stats_values(&content->values, content->type, chunk, n);
    }
    if (first) {
        content->words = (uint32_t)(n / 4 < RKL_FLOAT_LIKE_WORDS ? n / 4 : RKL_FLOAT_LIKE_WORDS);
        content->float_like = rkl_count_float_like(chunk, content->words);
    }
}

/* Chunk by chunk in one aligned buffer that stays in the cache. */
static void walk(struct rkl_content *content, struct rkl_prober *prober, const uint8_t *buffer, uint8_t *chunk, struct copy *copy)
{
    struct rkp_xxh64 hash;
    rkp_xxh64_init(&hash, 0);
    while (content->read < content->size && !content->unread) {
        const uint64_t left = content->size - content->read;
        const size_t wanted = (size_t)(left < RKL_CHUNK ? left : RKL_CHUNK);
        const size_t n = rkl_fetch(prober, chunk, buffer + content->read, wanted);
        look_at_chunk(content, &hash, chunk, n, content->read == 0);
        if (copy->fd >= 0 && !write_all(copy->fd, chunk, n)) {
            copy_give_up(copy);
        }
        content->read += n;
        if (n < wanted) {
            content->unread = prober->refused ? "no descriptor" : "not readable";
        }
    }
    content->hash = rkp_xxh64_value(&hash);
    if (content->type == RKABI_TYPE_UINT8 || content->type == RKABI_TYPE_BOOL) {
        content->values = content->bytes;
    }
}

void rkl_content_take(struct rkl_content *content, const void *buffer, uint64_t size, int64_t type, bool full, const char *keep)
{
    struct rkl_prober prober;
    struct copy copy = {.fd = -1};
    struct rkp_xxh64 nothing;
    uint8_t *chunk = NULL;

    memset(content, 0, sizeof *content);
    content->taken = true;
    content->full = full;
    content->size = size;
    content->type = type;
    rkl_stats_init(&content->values);
    rkl_stats_init(&content->bytes);
    rkp_xxh64_init(&nothing, 0);
    content->hash = rkp_xxh64_value(&nothing);
    if (!buffer) {
        content->unread = size > 0 ? "null pointer" : NULL;
        return;
    }
    chunk = malloc(RKL_CHUNK);
    if (!chunk) {
        content->unread = "no memory";
    } else {
        rkl_prober_open(&prober);
        copy_begin(&copy, keep, size);
        walk(content, &prober, buffer, chunk, &copy);
        if (copy_finish(&copy, type, content->read)) {
            snprintf(content->file, sizeof content->file, "%s", keep);
        }
        rkl_prober_close(&prober);
    }
    free(chunk);
}

static void put_range(struct rkl_text *text, const struct rkl_stats *stats)
{
    const uint64_t finite = stats->n - stats->nan - stats->inf;
    if (finite > 0) {
        rkl_put_number(text, "min", stats->minimum);
        rkl_put_number(text, "max", stats->maximum);
        rkl_put_number(text, "mean", stats->sum / (double)finite);
    } else {
        rkl_put_null(text, "min");
        rkl_put_null(text, "max");
        rkl_put_null(text, "mean");
    }
    rkl_put_uint(text, "zeros", stats->zeros);
}

static void put_statistics(struct rkl_text *text, const struct rkl_content *content)
{
    if (rkl_type_name(content->type)) {
        rkl_put_name(text, "type", rkl_type_name(content->type), content->type);
    } else {
        rkl_put_null(text, "type");
    }
    if (rkl_type_nbytes(content->type) > 0) {
        rkl_open(text, "values", '{');
        rkl_put_uint(text, "n", content->values.n);
        put_range(text, &content->values);
        rkl_put_uint(text, "nan", content->values.nan);
        rkl_put_uint(text, "inf", content->values.inf);
        rkl_close(text, '}');
    } else {
        rkl_put_null(text, "values");
    }
    rkl_open(text, "bytes", '{');
    put_range(text, &content->bytes);
    rkl_close(text, '}');
    if (content->words > 0) {
        rkl_put_number(text, "float_like", (double)content->float_like / content->words);
    } else {
        rkl_put_null(text, "float_like");
    }
}

void rkl_put_content(struct rkl_text *text, const char *key, const struct rkl_content *content)
{
    if (!content->taken) {
        rkl_put_null(text, key);
        return;
    }
    rkl_open(text, key, '{');
    rkl_put_uint(text, "size", content->size);
    rkl_put_uint(text, "read", content->read);
    rkl_put_text(text, "unread", content->unread, 64);
    rkl_put_hash(text, "xxh64", content->hash);
    if (content->full) {
        put_statistics(text, content);
    }
    rkl_put_text(text, "file", content->file[0] ? content->file : NULL, sizeof content->file);
    rkl_close(text, '}');
}

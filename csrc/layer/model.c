#include "layer/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer/readable.h"
#include "layer/sha256.h"
#include "layer/stats.h"

static void take_path(struct rkl_model *model, const char *path)
{
    /* A text may end just before memory that cannot be read: page by page. */
    size_t used = 0;
    while (used < sizeof model->path - 1) {
        const size_t to_page_end = 4096 - ((uintptr_t)path + used) % 4096;
        const size_t room = sizeof model->path - 1 - used;
        const size_t n = rkl_copy_proven(model->path + used, path + used, to_page_end < room ? to_page_end : room);
        const size_t length = strnlen(model->path + used, n);
        used += length;
        if (length < n) {
            break;
        }
        if (n == 0) {
            model->unread = "not readable";
            break;
        }
    }
    model->path[used] = '\0';
}

static void hash_file(struct rkl_model *model, const rkabi_init_extend *extend)
{
    const bool part = extend && extend->real_model_size > 0 && extend->real_model_offset >= 0;
    const int fd = open(model->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t *chunk = malloc(RKL_CHUNK);
    struct rkl_sha256 hash;
    uint64_t left = part ? extend->real_model_size : UINT64_MAX;
    uint64_t done = 0;
    ssize_t n = 0;

    rkl_sha256_init(&hash);
    /* lseek refuses what is no file. */
    if (fd >= 0 && chunk && lseek(fd, part ? extend->real_model_offset : 0, SEEK_SET) >= 0) {
        while (left > 0) {
            n = read(fd, chunk, left < RKL_CHUNK ? (size_t)left : RKL_CHUNK);
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n <= 0) {
                break;
            }
            rkl_sha256_update(&hash, chunk, (size_t)n);
            left -= (uint64_t)n;
            done += (uint64_t)n;
        }
        model->hashed = n >= 0;
        model->size_known = n >= 0;
        model->size = done;
    }
    if (model->hashed) {
        rkl_sha256_text(&hash, model->sha256);
    } else {
        model->unread = "the file cannot be read";
    }
    free(chunk);
    if (fd >= 0) {
        close(fd);
    }
}

static void hash_memory(struct rkl_model *model, const uint8_t *data)
{
    struct rkl_prober prober;
    struct rkl_sha256 hash;
    uint8_t *chunk = malloc(RKL_CHUNK);
    uint64_t done = 0;
    if (!chunk) {
        model->unread = "no memory";
    } else {
        rkl_prober_open(&prober);
        rkl_sha256_init(&hash);
        while (done < model->size && !model->unread) {
            const uint64_t left = model->size - done;
            const size_t wanted = (size_t)(left < RKL_CHUNK ? left : RKL_CHUNK);
            const size_t n = rkl_fetch(&prober, chunk, data + done, wanted);
            rkl_sha256_update(&hash, chunk, n);
            done += n;
            if (n < wanted) {
                model->unread = prober.refused ? "no descriptor" : "not readable";
            }
        }
        rkl_prober_close(&prober);
        if (!model->unread) {
            rkl_sha256_text(&hash, model->sha256);
            model->hashed = true;
        }
    }
    free(chunk);
}

void rkl_model_take(struct rkl_model *model, const void *data, uint32_t size, const rkabi_init_extend *extend, bool hash)
{
    memset(model, 0, sizeof *model);
    model->is_path = size == 0;
    model->size = size;
    model->size_known = size > 0;
    if (!data) {
        model->unread = "null pointer";
    } else if (model->is_path) {
        take_path(model, data);
        if (hash && !model->unread) {
            hash_file(model, extend);
        }
    } else if (hash) {
        hash_memory(model, data);
    }
}

void rkl_put_model(struct rkl_text *text, const struct rkl_model *model)
{
    rkl_open(text, "model", '{');
    rkl_put_text(text, "source", model->is_path ? "path" : "memory", 16);
    rkl_put_text(text, "path", model->is_path && model->path[0] ? model->path : NULL, sizeof model->path);
    if (model->size_known) {
        rkl_put_uint(text, "size", model->size);
    } else {
        rkl_put_null(text, "size");
    }
    rkl_put_text(text, "sha256", model->hashed ? model->sha256 : NULL, sizeof model->sha256);
    rkl_put_text(text, "unread", model->unread, 64);
    rkl_close(text, '}');
}

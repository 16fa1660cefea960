#include "layer/dumps.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/journal.h"

enum { MAX_CONTEXTS = 4096, MAX_MODELS = 64, NAME_SIZE = 24 };

static struct {
    /* A mutex and a condition, no pthread_rwlock_t: its functions need glibc 2.34 when linked against a newer one. */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running; /* runs under way, all of the model whose turn it is */
    uint16_t model_of[MAX_CONTEXTS]; /* 0: not known */
    char names[MAX_MODELS][NAME_SIZE];
    uint16_t n_models;
    uint16_t current; /* whose folder RKNN_DUMP_DIR names */
    char set[RKL_PATH_SIZE];
} dumps = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

void rkl_dumps_note(uint32_t context, const char *sha256)
{
    char name[NAME_SIZE];
    uint16_t model = 0;
    if (sha256 && sha256[0]) {
        snprintf(name, sizeof name, "%.16s", sha256);
    } else {
        snprintf(name, sizeof name, "context-%u", context);
    }
    if (context >= MAX_CONTEXTS) {
        return;
    }
    pthread_mutex_lock(&dumps.lock);
    for (uint16_t i = 0; i < dumps.n_models && model == 0; i++) {
        if (strcmp(dumps.names[i], name) == 0) {
            model = (uint16_t)(i + 1);
        }
    }
    if (model == 0 && dumps.n_models < MAX_MODELS) {
        memcpy(dumps.names[dumps.n_models], name, sizeof name);
        model = ++dumps.n_models;
    }
    dumps.model_of[context] = model;
    pthread_mutex_unlock(&dumps.lock);
}

void rkl_dumps_note_copy(uint32_t context, uint32_t source)
{
    if (context >= MAX_CONTEXTS || source >= MAX_CONTEXTS) {
        return;
    }
    pthread_mutex_lock(&dumps.lock);
    dumps.model_of[context] = dumps.model_of[source];
    pthread_mutex_unlock(&dumps.lock);
}

/* With the lock, while nothing runs. A program that names a folder of its own keeps it. */
static void turn_to(uint16_t model)
{
    const char *root = secure_getenv("RKPARITY_DUMP_ROOT");
    const char *now = getenv("RKNN_DUMP_DIR");
    char folder[RKL_PATH_SIZE];
    int length;
    if (!root || !root[0] || !now || strcmp(now, dumps.current > 1 ? dumps.set : root) != 0) {
        return;
    }
    length = model > 1 ? snprintf(folder, sizeof folder, "%s/%s", root, dumps.names[model - 1])
                       : snprintf(folder, sizeof folder, "%s", root);
    if (length < 0 || (size_t)length >= sizeof folder) {
        return;
    }
    if (model > 1 && mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return;
    }
    if (setenv("RKNN_DUMP_DIR", folder, 1) == 0) {
        memcpy(dumps.set, folder, (size_t)length + 1);
        dumps.current = model;
    }
}

void rkl_dumps_enter(uint32_t context)
{
    const int saved = errno;
    uint16_t model;
    pthread_mutex_lock(&dumps.lock);
    model = context < MAX_CONTEXTS ? dumps.model_of[context] : 0;
    while (model != 0 && model != (dumps.current ? dumps.current : 1)) {
        if (dumps.running == 0) {
            turn_to(model);
            break;
        }
        pthread_cond_wait(&dumps.ended, &dumps.lock);
    }
    dumps.running++;
    pthread_mutex_unlock(&dumps.lock);
    errno = saved;
}

void rkl_dumps_leave(void)
{
    const int saved = errno;
    pthread_mutex_lock(&dumps.lock);
    /* A child forked inside rknn_run has not counted the run that it leaves. */
    if (dumps.running > 0 && --dumps.running == 0) {
        pthread_cond_broadcast(&dumps.ended);
    }
    pthread_mutex_unlock(&dumps.lock);
    errno = saved;
}

void rkl_dumps_after_fork(void)
{
    pthread_mutex_init(&dumps.lock, NULL);
    pthread_cond_init(&dumps.ended, NULL);
    dumps.running = 0;
}

#include "emulator/handed_out.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void **buffers;
static size_t count, capacity;

/* Called with the lock held. */
static bool remember(void *buffer) {
    if (count == capacity) {
        size_t larger = capacity > 0 ? 2 * capacity : 64;
        void **moved = realloc(buffers, larger * sizeof *moved);
        if (moved == NULL)
            return false;
        buffers = moved;
        capacity = larger;
    }
    buffers[count++] = buffer;
    return true;
}

void *emu_handed_out_allocate(size_t nbytes) {
    void *buffer = malloc(nbytes > 0 ? nbytes : 1);
    if (buffer == NULL)
        return NULL;
    pthread_mutex_lock(&lock);
    bool kept = remember(buffer);
    pthread_mutex_unlock(&lock);
    if (kept)
        return buffer;
    free(buffer);
    return NULL;
}

bool emu_handed_out_free(void *buffer) {
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = count; i > 0 && !found; i--) /* the newest is the likeliest */
        if (buffers[i - 1] == buffer) {
            buffers[i - 1] = buffers[--count];
            found = true;
        }
    if (count == 0) {
        free(buffers);
        buffers = NULL;
        capacity = 0;
    }
    pthread_mutex_unlock(&lock);
    if (found)
        free(buffer);
    return found;
}

/* What driver.c and sequences.c share: options of a call, sizes of types, files. */
#ifndef RKPARITY_TESTS_DRIVER_DATA_H
#define RKPARITY_TESTS_DRIVER_DATA_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/rknn_abi.h"

static const size_t TYPE_NBYTES[] = {4, 2, 1, 1, 2, 2, 4, 4, 8, 1};
#define N_TYPES ((int)(sizeof TYPE_NBYTES / sizeof *TYPE_NBYTES))

static void fail(const char *what, const char *which) {
    fprintf(stderr, "driver: %s: %s\n", which, what);
    exit(3);
}

static void *allocate(size_t nbytes) {
    void *memory = calloc(nbytes > 0 ? nbytes : 1, 1);
    if (memory == NULL)
        fail("no memory", "calloc");
    return memory;
}

static void save(const char *name, const void *bytes, size_t nbytes) {
    char path[256];
    snprintf(path, sizeof path, "io/%s", name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || (nbytes > 0 && fwrite(bytes, 1, nbytes, file) != nbytes) || fclose(file) != 0)
        fail(strerror(errno), path);
}

/* The value of `key` in `name:key=value,key=value`, or NULL; valid until the next call. */
static const char *option(const char *call, const char *key) {
    static char value[512];
    const char *at = strchr(call, ':');
    size_t length = strlen(key);
    while (at != NULL) {
        at++;
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            const char *from = at + length + 1;
            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, ","), from);
            return value;
        }
        at = strchr(at, ',');
    }
    return NULL;
}

static int number(const char *call, const char *key, int otherwise) {
    const char *value = option(call, key);
    return value != NULL ? (int)strtol(value, NULL, 0) : otherwise;
}

static size_t nbytes_of(int type) {
    return type >= 0 && type < N_TYPES ? TYPE_NBYTES[type] : 4;
}

#endif

/*
 * Programs for the tests of the validation layer: `app MODE [LIBRARY]`. Prints everything the library gave it, so that two runs
 * can be compared byte by byte. APP_DLOPEN: opens LIBRARY itself; otherwise it is linked with librknnrt.so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/rknn_abi.h"

enum { N_INPUT = 48 };

#ifdef APP_DLOPEN
static void *library;
static void *find(const char *name)
{
    void *address = dlsym(library, name);
    if (!address) {
        printf("no %s\n", name);
        exit(9);
    }
    return address;
}
#define CALL(NAME, ...) ((__typeof__(NAME) *)find(#NAME))(__VA_ARGS__)
#else
#define CALL(NAME, ...) NAME(__VA_ARGS__)
#endif

static char model[] = "a model";
static const char *mode = "";
/* No object is there; volatile, so that the compiler does not say so. */
static void *volatile nowhere = (void *)16;

static void print_bytes(const char *what, const void *data, size_t n)
{
    printf("%s", what);
    for (size_t i = 0; i < n; i++) {
        printf(" %02x", ((const unsigned char *)data)[i]);
    }
    printf("\n");
}

static void fill(uint8_t *x, int seed)
{
    for (int i = 0; i < N_INPUT; i++) {
        x[i] = (uint8_t)(i * 5 + seed);
    }
}

static void general(rkabi_context ctx, int seed, int quiet)
{
    uint8_t x[N_INPUT];
    rkabi_input input = {0, x, sizeof x, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    /* The library goes by the position, whatever the index says. */
    rkabi_output outputs[2] = {{1, 0, 1, NULL, 0}, {0, 0, 0, NULL, 0}};
    int set, run, got, error;
    fill(x, seed);
    errno = 5;
    set = CALL(rknn_inputs_set, ctx, 1, &input);
    error = errno;
    run = CALL(rknn_run, ctx, NULL);
    if (!quiet) {
        printf("set %d errno %d run %d errno %d\n", set, error, run, errno);
    }
    got = CALL(rknn_outputs_get, ctx, 2, outputs, NULL);
    if (got != 0 || ((float *)outputs[0].buf)[0] != (float)((4 * seed + 30) / 4) * 0.5f) {
        printf("wrong result %d %f\n", got, got == 0 ? (double)((float *)outputs[0].buf)[0] : 0.0);
        exit(8);
    }
    if (!quiet) {
        print_bytes("y", outputs[0].buf, outputs[0].size);
        print_bytes("ids", outputs[1].buf, outputs[1].size);
    }
    CALL(rknn_outputs_release, ctx, 2, outputs);
}

static rkabi_context start(void)
{
    rkabi_context ctx = 0;
    int status = CALL(rknn_init, &ctx, model, sizeof model, 0, NULL);
    if (status != 0) {
        printf("init %d\n", status);
        exit(7);
    }
    return ctx;
}

static void simple(int seed)
{
    rkabi_context ctx = start();
    rkabi_sdk_version version;
    CALL(rknn_query, ctx, RKABI_QUERY_SDK_VERSION, &version, sizeof version);
    printf("version %s\n", version.api_version);
    general(ctx, seed, 0);
    printf("destroy %d\n", CALL(rknn_destroy, ctx));
}

#ifndef APP_MINIMAL
static void zero_copy(void)
{
    rkabi_context ctx = start();
    rkabi_tensor_attr attrs[3];
    rkabi_tensor_mem *mems[3];
    for (uint32_t i = 0; i < 3; i++) {
        attrs[i].index = i ? i - 1 : 0;
        CALL(rknn_query, ctx, i ? RKABI_QUERY_NATIVE_OUTPUT_ATTR : RKABI_QUERY_NATIVE_INPUT_ATTR, &attrs[i], sizeof attrs[i]);
        mems[i] = CALL(rknn_create_mem, ctx, attrs[i].size_with_stride);
        CALL(rknn_set_io_mem, ctx, mems[i], &attrs[i]);
    }
    for (int run = 0; run < 3; run++) {
        fill(mems[0]->virt_addr, run);
        CALL(rknn_mem_sync, ctx, mems[0], RKABI_SYNC_TO_DEVICE);
        printf("run %d\n", CALL(rknn_run, ctx, NULL));
        CALL(rknn_mem_sync, ctx, mems[1], RKABI_SYNC_FROM_DEVICE);
        print_bytes("y", mems[1]->virt_addr, mems[1]->size);
        print_bytes("ids", mems[2]->virt_addr, mems[2]->size);
    }
    for (int i = 0; i < 3; i++) {
        CALL(rknn_destroy_mem, ctx, mems[i]);
    }
    CALL(rknn_destroy, ctx);
}
#endif

static void *work(void *argument)
{
    const int seed = (int)(intptr_t)argument;
    rkabi_context first = start(), second = start();
    for (int i = 0; i < 50; i++) {
        general(first, seed, 1);
        general(second, seed + 1, 1);
    }
    CALL(rknn_destroy, first);
    CALL(rknn_destroy, second);
    return NULL;
}

static void threads(void)
{
    pthread_t all[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&all[i], NULL, work, (void *)(intptr_t)(i * 3));
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(all[i], NULL);
    }
    printf("threads done\n");
}

/* Sizes that reach beyond what can be read, arrays that are shorter than said, NULL where the library does not look. */
static void wrong(void)
{
    rkabi_context ctx = start();
    uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rkabi_input input = {0, NULL, 0, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
    rkabi_output outputs[2] = {{1, 1, 0, NULL, 4}, {0, 0, 1, NULL, 0}};
    uint8_t small[4] = {9, 9, 9, 9};
    rkabi_tensor_attr attr;

    mprotect(pages + 4096, 4096, PROT_NONE);
    memset(pages, 7, 4096);
    input.buf = pages + 4096 - 16;
    input.size = 100;
    printf("too big %d\n", CALL(rknn_inputs_set, ctx, 1, &input));
    input.size = 10;
    printf("too small %d\n", CALL(rknn_inputs_set, ctx, 1, &input));
    input.size = 100;
    input.buf = NULL;
    printf("null %d\n", CALL(rknn_inputs_set, ctx, 1, &input));
    printf("many %d\n", CALL(rknn_inputs_set, ctx, 1000000, (rkabi_input *)(void *)(pages + 4096 - sizeof input)));
    printf("nowhere %d\n", CALL(rknn_inputs_set, ctx, 2, (rkabi_input *)nowhere));
    printf("no context %d\n", CALL(rknn_inputs_set, 0, 1, (rkabi_input *)nowhere));
    printf("run %d\n", CALL(rknn_run, ctx, NULL));
    printf("no run %d\n", CALL(rknn_run, 0, NULL));
    outputs[0].buf = small;
    printf("get %d\n", CALL(rknn_outputs_get, ctx, 2, outputs, NULL));
    print_bytes("small", small, sizeof small);
    printf("many %d\n", CALL(rknn_outputs_get, ctx, 3, (rkabi_output *)nowhere, NULL));
    attr.index = 5;
    printf("index %d\n", CALL(rknn_query, ctx, RKABI_QUERY_INPUT_ATTR, &attr, sizeof attr));
    printf("command %d\n", CALL(rknn_query, ctx, (rkabi_query)99, &attr, sizeof attr));
    printf("null info %d\n", CALL(rknn_query, ctx, (rkabi_query)99, NULL, 8));
    CALL(rknn_outputs_release, ctx, 2, outputs);
    printf("bad model %d\n", CALL(rknn_init, &ctx, (void *)(uintptr_t)"bad", 4, 0, NULL));
}

static void forked(void)
{
    rkabi_context ctx = start();
    int status = 0;
    general(ctx, 1, 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        general(ctx, 2, 0);
        simple(3);
        exit(0);
    }
    waitpid(child, &status, 0);
    general(ctx, 4, 0);
    CALL(rknn_destroy, ctx);
    printf("child %d\n", status);
}

/* Closes every descriptor, as daemons do, and gives the layer's number to a file of its own. */
static void closes(void)
{
    rkabi_context ctx = start();
    int file;
    general(ctx, 1, 0);
    for (int fd = 3; fd < 1100; fd++) {
        close(fd);
    }
    file = open(getenv("APP_FILE"), O_CREAT | O_RDWR, 0600);
    for (int fd = 100; fd < 1024; fd++) {
        dup2(file, fd);
    }
    general(ctx, 2, 0);
    printf("own file has %ld bytes\n", (long)lseek(file, 0, SEEK_END));
    CALL(rknn_destroy, ctx);
}

/* Times are those of the thread: other programs on the machine do not count. */
static void many_runs(int n)
{
    rkabi_context ctx = start();
    struct timespec a, b;
    uint32_t size = sizeof(rkabi_sdk_version);
    rkabi_sdk_version version;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (int i = 0; i < n; i++) {
        CALL(rknn_query, ctx, RKABI_QUERY_SDK_VERSION, &version, size);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    printf("query %.1f ns\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (int i = 0; i < n; i++) {
        general(ctx, 1, 1);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    printf("frame %.1f ns\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n);
    CALL(rknn_destroy, ctx);
}

/* A buffer of `mib` MiB is given again and again: the time is that of looking at it. */
static void big(int mib, int type)
{
    rkabi_context ctx = start();
    const uint32_t size = (uint32_t)mib << 20;
    uint8_t *data = malloc(size);
    rkabi_input input = {0, data, size, 0, (rkabi_type)type, RKABI_FMT_NHWC};
    struct timespec a, b;
    for (uint32_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    for (uint32_t i = 0; type == RKABI_TYPE_FLOAT32 && i < size / 4; i++) {
        ((float *)(void *)data)[i] = (float)(i % 1000) * 0.01f - 2.0f;
    }
    for (uint32_t i = 0; type == RKABI_TYPE_FLOAT16 && i < size / 2; i++) {
        ((uint16_t *)(void *)data)[i] = (uint16_t)(0x3c00 + i % 1000);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (int i = 0; i < 10; i++) {
        CALL(rknn_inputs_set, ctx, 1, &input);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    printf("hash %.2f GB/s\n", 10.0 * size / ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)));
    free(data);
    CALL(rknn_destroy, ctx);
}

__attribute__((constructor)) static void early(void)
{
    if (getenv("APP_EARLY")) {
#ifndef APP_DLOPEN
        rkabi_context ctx = 0;
        rknn_init(&ctx, model, sizeof model, 0, NULL);
        rknn_destroy(ctx);
#endif
    }
}

static void late(void)
{
    simple(6);
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "general";
#ifdef APP_DLOPEN
    dlerror();
    library = dlopen(argc > 2 ? argv[2] : "librknnrt.so", RTLD_NOW);
    if (!library) {
        printf("dlopen: %s\n", dlerror());
        return 6;
    }
    printf("pending error: %s\n", dlerror() ? "yes" : "no");
#endif
    if (strcmp(mode, "general") == 0) {
        simple(1);
        simple(2);
#ifndef APP_MINIMAL
    } else if (strcmp(mode, "zero-copy") == 0) {
        zero_copy();
    } else if (strcmp(mode, "missing") == 0) {
        rkabi_context ctx = start(), other = 0;
        printf("dup %d\n", CALL(rknn_dup_context, &ctx, &other));
        printf("create %s\n", CALL(rknn_create_mem, ctx, 16) ? "memory" : "NULL");
        printf("mask %d\n", CALL(rknn_set_core_mask, ctx, RKABI_CORE_0));
        CALL(rknn_destroy, ctx);
#endif
    } else if (strcmp(mode, "threads") == 0) {
        threads();
    } else if (strcmp(mode, "wrong") == 0) {
        wrong();
    } else if (strcmp(mode, "fork") == 0) {
        forked();
    } else if (strcmp(mode, "exec") == 0) {
        simple(1);
        fflush(stdout);
        execv(argv[0], (char *[]){argv[0], (char *)(uintptr_t)"general", argc > 2 ? argv[2] : NULL, NULL});
        return 5;
    } else if (strcmp(mode, "late") == 0) {
        atexit(late);
        simple(1);
    } else if (strcmp(mode, "crash") == 0) {
        rkabi_context ctx = start();
        rkabi_input input = {0, NULL, N_INPUT, 0, RKABI_TYPE_UINT8, RKABI_FMT_NHWC};
        general(ctx, 1, 0);
        fflush(stdout);
        CALL(rknn_inputs_set, ctx, 1, &input);
    } else if (strcmp(mode, "closes") == 0) {
        closes();
    } else if (strcmp(mode, "locale") == 0) {
        printf("locale %s\n", setlocale(LC_ALL, getenv("APP_LOCALE")) ? "set" : "not installed");
        simple(1);
    } else if (strcmp(mode, "bench") == 0) {
        many_runs(argc > 3 ? atoi(argv[3]) : 20000);
    } else if (strcmp(mode, "big") == 0) {
        big(argc > 3 ? atoi(argv[3]) : 64, argc > 4 ? atoi(argv[4]) : 3);
    } else {
        return 4;
    }
    return 0;
}

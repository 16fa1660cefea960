#include "layer/dumps.h"
#include "layer/trace.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "layer/journal.h"
#include "layer/real.h"
#include "layer/registry.h"

#define MIB ((uint64_t)1 << 20)

static struct {
    pthread_mutex_t lock;
    bool on;
    bool opened;
    uint64_t file_limit;
    pid_t forked_from;
    struct rkl_settings settings;
    char folder[RKL_PATH_SIZE];
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_bool ready;
static atomic_uint_fast64_t next_call;
/* Counts forks, so that threads notice that their number is no longer theirs. */
static atomic_uint generation = 1;
static __thread struct {
    unsigned generation;
    uint32_t number;
} self;

static bool is_set(const char *name)
{
    const char *value = secure_getenv(name);
    return value && value[0] && strcmp(value, "0") != 0;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *value = secure_getenv(name);
    char *end;
    unsigned long long number;
    if (!value || value[0] < '0' || value[0] > '9') {
        return otherwise;
    }
    number = strtoull(value, &end, 10);
    return *end == '\0' ? number : otherwise;
}

static void before_fork(void)
{
    rkl_registry_lock();
    pthread_mutex_lock(&trace.lock);
    rkl_real_lock();
}

static void after_fork_in_parent(void)
{
    rkl_real_unlock();
    pthread_mutex_unlock(&trace.lock);
    rkl_registry_unlock();
}

static void after_fork_in_child(void)
{
    if (trace.opened) {
        rkl_journal_abandon();
        trace.opened = false;
    }
    trace.forked_from = getppid();
    rkl_dumps_after_fork();
    atomic_store(&next_call, 0);
    atomic_fetch_add(&generation, 1);
    after_fork_in_parent();
}

static void initialize(void)
{
    struct rlimit limit;
    const char *folder = secure_getenv("RKPARITY_TRACE_DIR");
    const uint64_t megabytes = number_of("RKPARITY_TRACE_MAX_MB", 256);
    trace.settings.hash = !is_set("RKPARITY_TRACE_NO_HASH");
    trace.settings.query = !is_set("RKPARITY_TRACE_NO_QUERY");
    trace.settings.buffers = (uint32_t)(number_of("RKPARITY_TRACE_BUFFERS", 0) & UINT32_MAX);
    trace.file_limit = INT64_MAX;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        trace.file_limit = limit.rlim_cur;
    }
    trace.settings.max_bytes = (megabytes < (uint64_t)1 << 20 ? megabytes : (uint64_t)1 << 20) * MIB;
    if (trace.settings.max_bytes > trace.file_limit) {
        trace.settings.max_bytes = trace.file_limit;
    }
    if (folder && folder[0]) {
        char *resolved = realpath(folder, NULL);
        if (resolved && strlen(resolved) < sizeof trace.folder) {
            memcpy(trace.folder, resolved, strlen(resolved) + 1);
            trace.on = true;
        } else {
            fprintf(stderr, "rkparity layer: RKPARITY_TRACE_DIR=%s cannot be used: no trace is written\n", folder);
        }
        free(resolved);
    }
    if (trace.on) {
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    }
}

bool rkl_trace_is_on(void)
{
    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        const int saved = errno;
        pthread_mutex_lock(&trace.lock);
        if (!atomic_load(&ready)) {
            initialize();
            atomic_store_explicit(&ready, true, memory_order_release);
        }
        pthread_mutex_unlock(&trace.lock);
        errno = saved;
    }
    return trace.on;
}

/* The folder is resolved when the library is loaded, before the program changes its working directory. */
__attribute__((constructor)) static void on_load(void)
{
    rkl_trace_is_on();
}

const struct rkl_settings *rkl_settings(void)
{
    return &trace.settings;
}

const char *rkl_trace_folder(void)
{
    return trace.folder;
}

uint64_t rkl_trace_file_limit(void)
{
    return trace.file_limit;
}

uint64_t rkl_trace_next(void)
{
    return atomic_fetch_add_explicit(&next_call, 1, memory_order_relaxed);
}

uint32_t rkl_thread(void)
{
    const unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (self.generation != now) {
        self.generation = now;
        self.number = (uint32_t)syscall(SYS_gettid);
    }
    return self.number;
}

int64_t rkl_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void rkl_trace_name(char *name, size_t size, uint64_t seq, const char *what, uint32_t index)
{
    snprintf(name, size, "rkparity-%ld-%llu-%s%u.npy", (long)getpid(), (unsigned long long)seq, what, index);
}

void rkl_trace_begin(struct rkl_text *line, const char *event)
{
    rkl_text_init(line);
    rkl_open(line, NULL, '{');
    rkl_put_text(line, "event", event, 32);
}

static void end_line(struct rkl_text *line)
{
    rkl_close(line, '}');
    /* What follows is no item any more. */
    line->separate = false;
    if (!line->failed && line->used < line->capacity) {
        line->data[line->used++] = '\n';
    } else {
        line->failed = true;
    }
}

static void append(const struct rkl_text *line)
{
    if (!line->failed && !rkl_journal_append(line->data, line->used)) {
        trace.on = false;
    }
}

static void put_start(struct rkl_text *line)
{
    static const char *const variables[] = {"RKNN_LOG_LEVEL", "RKNN_DUMP_DIR", "RKNN_DUMP_QUANT", "RKNN_DUMP_TXT_TENSOR"};
    struct timespec now;
    struct utsname names;
    char exe[RKL_PATH_SIZE];
    const ssize_t length = readlink("/proc/self/exe", exe, sizeof exe);

    rkl_trace_begin(line, "start");
    rkl_put_text(line, "schema", "rkparity.trace/1", 32);
    rkl_put_text(line, "layer_version", RKPARITY_VERSION, 32);
    rkl_put_int(line, "pid", getpid());
    rkl_put_int(line, "ppid", getppid());
    if (trace.forked_from) {
        rkl_put_int(line, "forked_from", trace.forked_from);
    } else {
        rkl_put_null(line, "forked_from");
    }
    rkl_put_text(line, "exe", length > 0 ? exe : "", length > 0 ? (size_t)length : 0);
    rkl_put_text(line, "machine", uname(&names) == 0 ? names.machine : "", sizeof names.machine);
    rkl_put_uint(line, "pointer_bits", 8 * sizeof(void *));
    rkl_put_int(line, "t_ns", rkl_now());
    clock_gettime(CLOCK_REALTIME, &now);
    rkl_put_int(line, "unix_ns", (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    rkl_open(line, "settings", '{');
    rkl_put_bool(line, "hash", trace.settings.hash);
    rkl_put_uint(line, "buffers", trace.settings.buffers);
    rkl_put_bool(line, "query", trace.settings.query);
    rkl_put_uint(line, "max_bytes", trace.settings.max_bytes);
    rkl_close(line, '}');
    rkl_open(line, "environment", '{');
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        rkl_put_text(line, variables[i], getenv(variables[i]), RKL_PATH_SIZE);
    }
    rkl_close(line, '}');
}

static bool create_file(void)
{
    char path[RKL_PATH_SIZE];
    for (unsigned attempt = 0; attempt < 10000; attempt++) {
        const int length = attempt == 0
                               ? snprintf(path, sizeof path, "%s/rkparity-%ld.jsonl", trace.folder, (long)getpid())
                               : snprintf(path, sizeof path, "%s/rkparity-%ld-%u.jsonl", trace.folder, (long)getpid(), attempt);
        if (length >= (int)sizeof path) {
            return false;
        }
        if (rkl_journal_create(path)) {
            return true;
        }
        if (errno != EEXIST) {
            return false;
        }
    }
    return false;
}

static void open_file(void)
{
    struct rkl_text line;
    if (trace.settings.max_bytes < MIB || !create_file()) {
        fprintf(stderr, "rkparity layer: no trace can be written into %s\n", trace.folder);
        trace.on = false;
        return;
    }
    trace.opened = true;
    put_start(&line);
    end_line(&line);
    append(&line);
    rkl_text_free(&line);
    rkl_trace_begin(&line, "library");
    rkl_real_describe(&line);
    end_line(&line);
    append(&line);
    rkl_text_free(&line);
}

static void write_or_end(struct rkl_text *line)
{
    /* What is reserved ahead counts: the limit of the process must not be passed. */
    if (rkl_journal_used() + line->used + MIB / 2 > trace.settings.max_bytes) {
        struct rkl_text last;
        rkl_trace_begin(&last, "limit");
        rkl_put_uint(&last, "max_bytes", trace.settings.max_bytes);
        end_line(&last);
        append(&last);
        rkl_journal_finish();
        trace.on = false;
    } else {
        append(line);
    }
}

void rkl_trace_write(struct rkl_text *line)
{
    end_line(line);
    pthread_mutex_lock(&trace.lock);
    if (trace.on && !trace.opened) {
        open_file();
    }
    if (trace.on) {
        write_or_end(line);
    }
    pthread_mutex_unlock(&trace.lock);
    rkl_text_free(line);
}

__attribute__((destructor)) static void on_exit_of_process(void)
{
    struct rkl_text line;
    bool opened;
    const int saved = errno;
    pthread_mutex_lock(&trace.lock);
    opened = trace.on && trace.opened;
    pthread_mutex_unlock(&trace.lock);
    if (opened) {
        rkl_trace_begin(&line, "exit");
        rkl_put_int(&line, "t_ns", rkl_now());
        rkl_put_uint(&line, "calls", atomic_load(&next_call));
        rkl_registry_put_open(&line);
        rkl_trace_write(&line);
        pthread_mutex_lock(&trace.lock);
        rkl_journal_finish();
        pthread_mutex_unlock(&trace.lock);
    }
    errno = saved;
}

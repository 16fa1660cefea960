/*
 * Preloaded into the shells and tools of a virtual board whose programs are Arm programs: what they start is started under
 * user-mode emulation when it is a program of the board's machine, and unchanged when it is one of this machine. The kernel need
 * not know the foreign format (binfmt).
 *
 * RKPARITY_GUEST_EMULATOR, RKPARITY_GUEST_SYSROOT, RKPARITY_GUEST_MACHINE (the ELF number) and RKPARITY_GUEST_PRELOAD (the
 * stand-in driver) say how; RKPARITY_GUEST_SELF is this library. Libraries of the board's machine in LD_PRELOAD are for the
 * program under emulation; they are kept in RKPARITY_GUEST_EXTRA while tools of this machine run.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUEST_EXPORT __attribute__((visibility("default")))
#define EXTRA "RKPARITY_GUEST_EXTRA"
#define PRELOAD "LD_PRELOAD"
#define MAX_PATH 4096

typedef int exec_function(const char *, char *const[], char *const[]);
typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
                           char *const[]);

extern char **environ;

/* Everything to hand to exec: `path`, argument and environment vectors, and the texts they own. */
typedef struct launch {
    const char *path;
    char **arguments;
    char **environment;
    char *owned[4];
} launch;

static const char *value_in(char *const environment[], const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int elf_machine(const char *path)
{
    Elf32_Ehdr head;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, &head, sizeof head);
    close(fd);
    return got >= 20 && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 ? head.e_machine : 0;
}

static int guest_machine(void)
{
    const char *machine = getenv("RKPARITY_GUEST_MACHINE");
    return machine ? atoi(machine) : -1;
}

static bool is_own(const char *path)
{
    const char *own = getenv("RKPARITY_GUEST_SELF");
    return own != NULL && strcmp(path, own) == 0;
}

/* Appends `path` to the list `to`, unless it is there. */
static void append(char *to, size_t size, const char *path)
{
    size_t length = strlen(path);
    const char *found = strstr(to, path);
    if (length == 0 || (found != NULL && (found[length] == ':' || found[length] == '\0')))
        return;
    if (strlen(to) + length + 2 < size) {
        if (to[0] != '\0')
            strcat(to, ":");
        strcat(to, path);
    }
}

/* Splits a list of libraries into those of the board's machine, bare names included, and this machine's. */
static void sort_libraries(const char *list, char *guest, char *host, size_t size)
{
    char copy[MAX_PATH], *rest = copy;
    if (list == NULL || strlen(list) >= sizeof copy)
        return;
    strcpy(copy, list);
    for (char *name; (name = strsep(&rest, ": ")) != NULL;) {
        if (name[0] == '\0' || is_own(name))
            continue;
        int machine = strchr(name, '/') ? elf_machine(name) : guest_machine();
        append(machine == guest_machine() ? guest : host, size, name);
    }
}

static size_t count(char *const vector[])
{
    size_t n = 0;
    while (vector != NULL && vector[n] != NULL)
        n++;
    return n;
}

/* The environment without LD_PRELOAD and the kept libraries, with room for two more. */
static char **copy_environment(char *const environment[])
{
    char **copy = calloc(count(environment) + 3, sizeof *copy);
    size_t n = 0;
    for (; copy != NULL && environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, PRELOAD "=", sizeof PRELOAD) != 0 && strncmp(*environment, EXTRA "=", sizeof EXTRA) != 0)
            copy[n++] = *environment;
    return copy;
}

static char *text(const char *name, const char *value)
{
    char *made = NULL;
    return asprintf(&made, "%s=%s", name, value) < 0 ? NULL : made;
}

/* A program of the board's machine: the emulator becomes the program, the driver and the wanted libraries go into it. */
static bool launch_guest(launch *made, const char *path, char *const arguments[], const char *libraries)
{
    char preload[2 * MAX_PATH] = "";
    const char *sysroot = getenv("RKPARITY_GUEST_SYSROOT"), *driver = getenv("RKPARITY_GUEST_PRELOAD");
    size_t given = count(arguments), n = 0;
    append(preload, sizeof preload, driver ? driver : "");
    if (preload[0] != '\0' && libraries[0] != '\0')
        strcat(preload, ":");
    strncat(preload, libraries, sizeof preload - strlen(preload) - 1);
    made->path = getenv("RKPARITY_GUEST_EMULATOR");
    made->arguments = calloc(given + 10, sizeof *made->arguments);
    made->owned[0] = text(PRELOAD, preload);
    made->owned[1] = strdup(path);
    if (made->path == NULL || made->arguments == NULL || made->owned[0] == NULL || made->owned[1] == NULL)
        return false;
    const char *const first[] = {made->path, "-0", given ? arguments[0] : path, "-L", sysroot ? sysroot : "/", "-E"};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        made->arguments[n++] = (char *)(uintptr_t)first[i];
    made->arguments[n++] = made->owned[0];
    made->arguments[n++] = made->owned[1];
    for (size_t i = 1; i < given; i++)
        made->arguments[n++] = arguments[i];
    return true;
}

/* How to start `path`; false when there is no memory for it. What is not the board's is started as it is. */
static bool prepare(launch *made, const char *path, char *const arguments[], char *const environment[])
{
    char guest[MAX_PATH] = "", host[MAX_PATH] = "";
    const char *own = getenv("RKPARITY_GUEST_SELF");
    memset(made, 0, sizeof *made);
    made->environment = copy_environment(environment);
    if (made->environment == NULL)
        return false;
    sort_libraries(value_in(environment, PRELOAD), guest, host, sizeof guest);
    sort_libraries(value_in(environment, EXTRA), guest, host, sizeof guest);
    if (elf_machine(path) == guest_machine())
        return launch_guest(made, path, arguments, guest);
    made->path = path;
    char list[2 * MAX_PATH] = "";
    append(list, sizeof list, own ? own : "");
    if (host[0] != '\0') {
        strcat(list, ":");
        strncat(list, host, sizeof list - strlen(list) - 1);
    }
    size_t n = count(made->environment);
    made->environment[n] = made->owned[2] = text(PRELOAD, list);
    if (guest[0] != '\0')
        made->environment[n + 1] = made->owned[3] = text(EXTRA, guest);
    return made->owned[2] != NULL;
}

static void release(launch *made)
{
    for (size_t i = 0; i < sizeof made->owned / sizeof made->owned[0]; i++)
        free(made->owned[i]);
    free(made->arguments);
    free(made->environment);
}

static int execute(const char *path, char *const arguments[], char *const environment[])
{
    exec_function *real;
    void *symbol = dlsym(RTLD_NEXT, "execve");
    launch made;
    if (symbol == NULL || !prepare(&made, path, arguments, environment)) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    int result = real(made.path, made.arguments ? made.arguments : (char **)(uintptr_t)arguments, made.environment);
    int error = errno;
    release(&made);
    errno = error;
    return result;
}

/* The file a bare name means, by PATH; the name itself when there is none. */
static const char *by_path(const char *file, char *room, size_t size)
{
    const char *search = getenv("PATH");
    if (strchr(file, '/') != NULL || search == NULL)
        return file;
    while (*search != '\0') {
        size_t length = strcspn(search, ":");
        if (snprintf(room, size, "%.*s/%s", (int)length, length ? search : ".", file) < (int)size && access(room, X_OK) == 0)
            return room;
        search += length + (search[length] == ':');
    }
    return file;
}

GUEST_EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    return execute(path, arguments, environment);
}

GUEST_EXPORT int execv(const char *path, char *const arguments[])
{
    return execute(path, arguments, environ);
}

GUEST_EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    char room[MAX_PATH];
    const char *path = by_path(file, room, sizeof room);
    if (strchr(path, '/') == NULL) {
        errno = ENOENT;
        return -1;
    }
    return execute(path, arguments, environment);
}

GUEST_EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

static int start(const char *path, pid_t *pid, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                 char *const arguments[], char *const environment[])
{
    spawn_function *real;
    void *symbol = dlsym(RTLD_NEXT, "posix_spawn");
    launch made;
    if (symbol == NULL || !prepare(&made, path, arguments, environment))
        return ENOMEM;
    memcpy(&real, &symbol, sizeof real);
    int result = real(pid, made.path, actions, attributes, made.arguments ? made.arguments : (char **)(uintptr_t)arguments,
                      made.environment);
    release(&made);
    return result;
}

GUEST_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    return start(path, pid, actions, attributes, arguments, environment);
}

GUEST_EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    char room[MAX_PATH];
    return start(by_path(file, room, sizeof room), pid, actions, attributes, arguments, environment);
}

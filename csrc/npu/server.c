#include "npu/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x31454b52u /* "RKE1" */
#define VERSION 1u
#define MAX_IDLE 16
#define MAX_REASON 511u
#define STATUS_TIMEOUT (-2)
/* The board does not know what the NPU would have computed. librknnrt goes on after a failed submit as if all were well, so the
   program must not. */
#define STATUS_UNKNOWN (-100)

enum operation { OPERATION_ATTACH = 16, OPERATION_CREATED = 17, OPERATION_DESTROYED = 18, OPERATION_SUBMIT = 19 };

typedef struct message {
    uint8_t bytes[16 + 96];
    size_t length;
} message;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int idle[MAX_IDLE];
static int idle_count;
static uint64_t session;
static npu_board known;
static bool attached, refused;

static void put_u32(message *to, uint32_t value)
{
    memcpy(to->bytes + to->length, &value, sizeof value);
    to->length += sizeof value;
}

static void put_u64(message *to, uint64_t value)
{
    memcpy(to->bytes + to->length, &value, sizeof value);
    to->length += sizeof value;
}

static message begin(enum operation operation)
{
    message made = {.length = 0};
    put_u32(&made, MAGIC);
    put_u32(&made, (uint32_t)operation);
    put_u64(&made, 0);
    return made;
}

/* Sends a message whole; `fd`, when not negative, goes with its first byte. */
static bool send_message(int connection, message *to_send, int fd)
{
    uint64_t payload = to_send->length - 16;
    memcpy(to_send->bytes + 8, &payload, sizeof payload);
    size_t sent = 0;
    while (sent < to_send->length) {
        struct iovec part = {to_send->bytes + sent, to_send->length - sent};
        union {
            struct cmsghdr head;
            char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd >= 0 && sent == 0) {
            memset(&control, 0, sizeof control);
            header.msg_control = control.room;
            header.msg_controllen = sizeof control.room;
            control.head.cmsg_level = SOL_SOCKET;
            control.head.cmsg_type = SCM_RIGHTS;
            control.head.cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        }
        ssize_t count = sendmsg(connection, &header, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        sent += (size_t)count;
    }
    return true;
}

static bool receive(int connection, void *data, size_t count)
{
    char *bytes = data;
    while (count > 0) {
        ssize_t got = recv(connection, bytes, count, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        count -= (size_t)got;
    }
    return true;
}

/* Sends and takes the answer of at most `room` bytes into `answer`. False when the connection is of no use any more. */
static bool converse(int connection, message *request, int fd, int32_t *status, void *answer, size_t room)
{
    uint8_t head[16];
    uint32_t magic;
    uint64_t length;
    if (!send_message(connection, request, fd) || !receive(connection, head, sizeof head))
        return false;
    memcpy(&magic, head, 4);
    memcpy(status, head + 4, 4);
    memcpy(&length, head + 8, 8);
    if (magic != MAGIC || length > MAX_REASON)
        return false;
    char text[MAX_REASON + 1];
    if (!receive(connection, text, (size_t)length))
        return false;
    text[length] = '\0';
    if (*status == STATUS_UNKNOWN) {
        fprintf(stderr, "rkparity stand-in NPU: %s\nrkparity stand-in NPU: the program is ended: its outputs would be no results\n",
                text);
        abort();
    }
    if (*status != 0 || room == 0) {
        if (length > 0)
            fprintf(stderr, "rkparity stand-in NPU: %s\n", text);
        return true;
    }
    memcpy(answer, text, length < room ? (size_t)length : room);
    return length == room;
}

static int dial(void)
{
    const char *path = getenv("RKPARITY_NPU_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path) {
        errno = ENOENT;
        return -1;
    }
    strcpy(address.sun_path, path);
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(connection);
        errno = error;
        connection = -1;
    }
    return connection;
}

static uint64_t new_session(void)
{
    uint64_t value = 0;
    struct timespec now;
    if (syscall(SYS_getrandom, &value, sizeof value, 0) == (long)sizeof value && value != 0)
        return value;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)getpid() << 40) ^ (uint64_t)now.tv_nsec ^ 1u;
}

/* A greeted connection of this process's session: an idle one, or a new one. */
static int take_connection(npu_board *board)
{
    pthread_mutex_lock(&lock);
    if (session == 0)
        session = new_session();
    int connection = idle_count > 0 ? idle[--idle_count] : -1;
    uint64_t own = session;
    pthread_mutex_unlock(&lock);
    if (connection >= 0)
        return connection;
    connection = dial();
    if (connection < 0)
        return -1;
    message request = begin(OPERATION_ATTACH);
    put_u32(&request, VERSION);
    put_u32(&request, (uint32_t)getpid());
    put_u64(&request, own);
    npu_board answer;
    int32_t status = -1;
    if (!converse(connection, &request, -1, &status, &answer, sizeof answer) || status != 0) {
        close(connection);
        return -1;
    }
    if (board != NULL)
        *board = answer;
    return connection;
}

static void give_back(int connection)
{
    pthread_mutex_lock(&lock);
    bool kept = idle_count < MAX_IDLE;
    if (kept)
        idle[idle_count++] = connection;
    pthread_mutex_unlock(&lock);
    if (!kept)
        close(connection);
}

/* One request on a connection of its own, so that a long one holds nobody. -1: no server. */
static int32_t ask(message *request, int fd)
{
    int32_t status = -1;
    char nothing;
    int connection = take_connection(NULL);
    if (connection < 0)
        return -1;
    if (!converse(connection, request, fd, &status, &nothing, 0)) {
        close(connection);
        fprintf(stderr, "rkparity stand-in NPU: the connection to the virtual board is lost; is it still running?\n");
        return -1;
    }
    give_back(connection);
    return status;
}

bool npu_server_attach(npu_board *board)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&once);
    if (!attached && !refused) {
        int connection = take_connection(&known);
        attached = connection >= 0;
        refused = !attached;
        if (attached)
            give_back(connection);
        else
            fprintf(stderr, "rkparity stand-in NPU: no virtual board answers at RKPARITY_NPU_SOCKET (%s); there is no NPU\n",
                    strerror(errno));
    }
    *board = known;
    bool there = attached;
    pthread_mutex_unlock(&once);
    return there;
}

bool npu_server_created(const npu_object *object)
{
    message request = begin(OPERATION_CREATED);
    put_u32(&request, object->handle);
    put_u32(&request, object->flags);
    put_u64(&request, object->dma);
    put_u64(&request, object->size);
    put_u64(&request, object->asked);
    put_u32(&request, (uint32_t)syscall(SYS_gettid));
    return ask(&request, object->fd) == 0;
}

bool npu_server_destroyed(uint32_t handle)
{
    message request = begin(OPERATION_DESTROYED);
    put_u32(&request, handle);
    return ask(&request, -1) == 0;
}

int npu_server_submit(uint32_t task_handle, const npu_submit *submit)
{
    message request = begin(OPERATION_SUBMIT);
    put_u32(&request, task_handle);
    put_u32(&request, submit->flags);
    put_u32(&request, submit->core_mask);
    put_u32(&request, submit->timeout_ms);
    put_u32(&request, submit->task_start);
    put_u32(&request, submit->task_number);
    put_u64(&request, submit->task_base);
    for (int i = 0; i < 5; i++) {
        put_u32(&request, submit->cores[i].start);
        put_u32(&request, submit->cores[i].number);
    }
    int32_t status = ask(&request, -1);
    return status == 0 ? 0 : status == STATUS_TIMEOUT ? ETIMEDOUT : EIO;
}

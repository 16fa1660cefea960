#include "emulator/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "emulator/place.h"

#define MAGIC 0x31454b52u /* "RKE1" */
#define PROTOCOL_VERSION 3u
#define MAX_DESCRIPTION ((uint64_t)64 << 20)

enum operation { OPERATION_HELLO = 1, OPERATION_OPEN = 2, OPERATION_RUN = 3 };

static void explain(char *why, size_t why_size, const char *text, const char *detail) {
    snprintf(why, why_size, "%s%s%s", text, detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

static bool send_all(int connection, const void *data, size_t count) {
    const char *bytes = data;
    while (count > 0) {
        ssize_t sent = send(connection, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int connection, void *data, size_t count) {
    char *bytes = data;
    while (count > 0) {
        ssize_t received = recv(connection, bytes, count, 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received <= 0)
            return false;
        bytes += received;
        count -= (size_t)received;
    }
    return true;
}

/* Sends one request and reads the answer's head. Anything but success puts the server's own text into `why`. */
static int ask(int connection, enum operation operation, const void *payload, size_t nbytes, emu_answer *answer, char *why,
               size_t why_size) {
    uint8_t head[16];
    uint32_t magic = MAGIC, code = (uint32_t)operation;
    uint64_t length = nbytes;
    memcpy(head, &magic, 4);
    memcpy(head + 4, &code, 4);
    memcpy(head + 8, &length, 8);
    if (!send_all(connection, head, sizeof head) || !send_all(connection, payload, nbytes) ||
        !receive_all(connection, head, sizeof head)) {
        explain(why, why_size, "the connection to the emulator's server is lost; is `rkparity emulator` still running?", NULL);
        return RKABI_ERR_DEVICE_UNAVAILABLE;
    }
    uint32_t raw_status;
    memcpy(&magic, head, 4);
    memcpy(&raw_status, head + 4, 4);
    memcpy(&length, head + 8, 8);
    if (magic != MAGIC) {
        explain(why, why_size, "the emulator's server does not speak this library's protocol", NULL);
        return RKABI_ERR_FAIL;
    }
    *answer = (emu_answer){connection, length, false};
    int status = (int)(int32_t)raw_status;
    if (status != RKABI_OK) {
        size_t count = length < why_size - 1 ? (size_t)length : why_size - 1;
        if (!emu_answer_read(answer, why, count))
            count = 0;
        why[count] = '\0';
        emu_answer_skip(answer, answer->remaining);
    }
    return status;
}

static bool socket_path(char *path, size_t size) {
    const char *from_environment = getenv("RKPARITY_EMULATOR_SOCKET");
    if (from_environment != NULL && from_environment[0] != '\0')
        return snprintf(path, size, "%s", from_environment) < (int)size;
    char name[4096];
    if (!emu_beside_library("librknnrt.emulator", name, sizeof name))
        return false;
    FILE *file = fopen(name, "r");
    if (file == NULL)
        return false;
    bool found = fgets(path, (int)size, file) != NULL;
    fclose(file);
    path[strcspn(path, "\n")] = '\0';
    return found && path[0] != '\0';
}

int emu_client_connect(char *why, size_t why_size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!socket_path(address.sun_path, sizeof address.sun_path)) {
        explain(why, why_size,
                "no emulator server is named: start the program from `rkparity emulator exec|shell|start`, or set "
                "RKPARITY_EMULATOR_SOCKET",
                NULL);
        return -1;
    }
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0) {
        explain(why, why_size, "the emulator's server does not answer; is `rkparity emulator` still running?", strerror(errno));
        if (connection >= 0)
            close(connection);
        return -1;
    }
    uint32_t version = PROTOCOL_VERSION;
    emu_answer answer;
    if (ask(connection, OPERATION_HELLO, &version, sizeof version, &answer, why, why_size) != RKABI_OK) {
        close(connection);
        return -1;
    }
    emu_answer_skip(&answer, answer.remaining);
    return connection;
}

int emu_client_open(int connection, const void *bytes, size_t nbytes, emu_file **file, char *why, size_t why_size) {
    emu_answer answer;
    int status = ask(connection, OPERATION_OPEN, bytes, nbytes, &answer, why, why_size);
    if (status != RKABI_OK)
        return status;
    if (answer.remaining > MAX_DESCRIPTION) {
        explain(why, why_size, "the model's description is too long", NULL);
        return RKABI_ERR_FAIL;
    }
    size_t length = (size_t)answer.remaining;
    uint8_t *data = malloc(length > 0 ? length : 1);
    if (data == NULL) {
        explain(why, why_size, "out of memory", NULL);
        return RKABI_ERR_MALLOC_FAIL;
    }
    if (emu_answer_read(&answer, data, length)) {
        emu_reader reader = {data, length, 0, false};
        *file = emu_file_read(&reader);
    }
    free(data);
    if (*file == NULL) {
        explain(why, why_size, "the model's description is damaged", NULL);
        return RKABI_ERR_FAIL;
    }
    return RKABI_OK;
}

int emu_client_run(int connection, const emu_writer *request, emu_answer *answer, char *why, size_t why_size) {
    return ask(connection, OPERATION_RUN, request->data, request->length, answer, why, why_size);
}

bool emu_answer_read(emu_answer *answer, void *to, size_t count) {
    if (answer->failed || answer->remaining < count || !receive_all(answer->connection, to, count)) {
        answer->failed = true;
        return false;
    }
    answer->remaining -= count;
    return true;
}

uint32_t emu_answer_u32(emu_answer *answer) {
    uint32_t value = 0;
    return emu_answer_read(answer, &value, sizeof value) ? value : 0;
}

uint64_t emu_answer_u64(emu_answer *answer) {
    uint64_t value = 0;
    return emu_answer_read(answer, &value, sizeof value) ? value : 0;
}

void emu_answer_skip(emu_answer *answer, uint64_t count) {
    uint8_t sink[4096];
    if (count > answer->remaining)
        count = answer->remaining;
    while (count > 0 && !answer->failed) {
        size_t piece = count < sizeof sink ? (size_t)count : sizeof sink;
        emu_answer_read(answer, sink, piece);
        count -= piece;
    }
}

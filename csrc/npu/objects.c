#include "npu/objects.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "npu/identity.h"

#define PAGE 4096u
#define FIRST_DMA 0x10000000u
#define END_DMA 0xfff00000u
#define DMA_STEP 0x10000u
#define MAX_OBJECTS 65536u
#define MAX_SIZE 0x80000000u
#define ADDRESS_BASE 0xffffff8000000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static npu_object *objects; /* sorted by DMA address */
static uint32_t count, capacity, last_handle;

int npu_memory_file(const char *name)
{
    /* Through syscall: glibc has the function from 2.27 on only. */
    return (int)syscall(SYS_memfd_create, name, 1u /* MFD_CLOEXEC */);
}

uint64_t npu_object_address(uint32_t handle)
{
    return ADDRESS_BASE | handle;
}

uint32_t npu_object_handle(uint64_t address)
{
    return (address & ~(uint64_t)0xffffffffu) == (ADDRESS_BASE & ~(uint64_t)0xffffffffu) ? (uint32_t)(address & 0x7fffffffu) : 0;
}

/* The first free place of `size` bytes among the sorted objects; `count` may be where it is. */
static bool find_place(uint64_t size, uint64_t *dma, uint32_t *position)
{
    uint64_t free_from = FIRST_DMA;
    for (uint32_t i = 0; i <= count; i++) {
        uint64_t end = i < count ? objects[i].dma : END_DMA;
        if (end >= free_from && end - free_from >= size) {
            *dma = free_from;
            *position = i;
            return true;
        }
        if (i < count)
            free_from = (objects[i].dma + objects[i].size + DMA_STEP + DMA_STEP - 1) & ~(uint64_t)(DMA_STEP - 1);
    }
    return false;
}

static uint32_t index_of(uint32_t handle)
{
    for (uint32_t i = 0; i < count; i++)
        if (objects[i].handle == handle)
            return i;
    return count;
}

/* Adds an object for `fd`, which is the table's from then on. Called with the lock held. */
static npu_object add(int fd, uint64_t size, uint64_t asked, uint32_t flags)
{
    npu_object none = {.handle = 0, .fd = -1};
    uint64_t dma = 0;
    uint32_t position = 0;
    if (count >= MAX_OBJECTS || !find_place(size, &dma, &position)) {
        errno = ENOMEM;
        return none;
    }
    if (count == capacity) {
        uint32_t wanted = capacity ? 2 * capacity : 64;
        npu_object *grown = realloc(objects, wanted * sizeof *objects);
        if (grown == NULL) {
            errno = ENOMEM;
            return none;
        }
        objects = grown;
        capacity = wanted;
    }
    do
        last_handle = last_handle % MAX_OBJECTS + 1;
    while (index_of(last_handle) < count);
    for (uint32_t i = count; i > position; i--)
        objects[i] = objects[i - 1];
    objects[position] =
        (npu_object){.handle = last_handle, .fd = fd, .size = size, .asked = asked, .dma = dma, .flags = flags};
    count++;
    return objects[position];
}

npu_object npu_object_create(uint64_t asked, uint32_t flags)
{
    npu_object object = {.handle = 0, .fd = -1};
    if (asked > MAX_SIZE) {
        errno = ENOMEM;
        return object;
    }
    uint64_t size = asked ? (asked + PAGE - 1) / PAGE * PAGE : PAGE;
    int fd = npu_memory_file("rknpu-memory");
    if (fd < 0)
        return object;
    if (ftruncate(fd, (off_t)size) == 0) {
        pthread_mutex_lock(&lock);
        object = add(fd, size, asked, flags);
        pthread_mutex_unlock(&lock);
    }
    if (object.handle == 0) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return object;
}

npu_object npu_object_import(int fd)
{
    npu_object object = {.handle = 0, .fd = -1};
    npu_identity wanted, other;
    if (!npu_identify(fd, &wanted) || !wanted.regular || wanted.size == 0 || wanted.size > MAX_SIZE) {
        errno = EINVAL;
        return object;
    }
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < count && object.handle == 0; i++)
        if (npu_identify(objects[i].fd, &other) && npu_same_file(&wanted, &other))
            object = objects[i];
    if (object.handle == 0) {
        int own = dup(fd);
        if (own >= 0) {
            object = add(own, wanted.size, wanted.size, 0);
            if (object.handle == 0)
                close(own);
        }
    }
    pthread_mutex_unlock(&lock);
    return object;
}

bool npu_object_find(uint32_t handle, npu_object *object)
{
    pthread_mutex_lock(&lock);
    uint32_t i = index_of(handle);
    bool found = i < count;
    if (found)
        *object = objects[i];
    pthread_mutex_unlock(&lock);
    return found;
}

bool npu_object_destroy(uint32_t handle)
{
    pthread_mutex_lock(&lock);
    uint32_t i = index_of(handle);
    bool found = i < count;
    if (found) {
        close(objects[i].fd);
        for (count--; i < count; i++)
            objects[i] = objects[i + 1];
    }
    pthread_mutex_unlock(&lock);
    return found;
}

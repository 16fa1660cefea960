#include "layer/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* No architecture has smaller pages. */
enum { PAGE = 4096, BATCH = 256 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

bool rkl_prober_open(struct rkl_prober *prober)
{
    return pipe2(prober->ends, O_CLOEXEC | O_NONBLOCK) == 0;
}

void rkl_prober_close(struct rkl_prober *prober)
{
    close(prober->ends[0]);
    close(prober->ends[1]);
}

static void drain(const struct rkl_prober *prober)
{
    char sink[BATCH];
    ssize_t n;
    do {
        n = read(prober->ends[0], sink, sizeof sink);
    } while (n == (ssize_t)sizeof sink || (n < 0 && errno == EINTR));
}

static bool accepts(const struct rkl_prober *prober, struct iovec *parts, int n)
{
    ssize_t written;
    do {
        written = n == 1 ? write(prober->ends[1], parts->iov_base, 1) : writev(prober->ends[1], parts, n);
    } while (written < 0 && errno == EINTR);
    drain(prober);
    return written == n;
}

uint64_t rkl_readable(const struct rkl_prober *prober, const void *address, uint64_t nbytes)
{
    struct iovec parts[BATCH];
    const uintptr_t start = (uintptr_t)address;
    uint64_t done = 0;

    if (!address || nbytes > UINTPTR_MAX - start) {
        return 0;
    }
    while (done < nbytes) {
        const uint64_t before = done;
        int n = 0;
        for (; n < BATCH && done < nbytes; n++) {
            const uintptr_t at = start + (uintptr_t)done;
            parts[n] = (struct iovec){(void *)at, 1};
            done += PAGE - at % PAGE;
        }
        if (!accepts(prober, parts, n)) {
            int good = 0;
            while (good < n && accepts(prober, &parts[good], 1)) {
                good++;
            }
            if (good < n) {
                return good == 0 ? before : (uint64_t)((uintptr_t)parts[good].iov_base - start);
            }
        }
    }
    return nbytes;
}

#ifdef SANITIZED
__attribute__((no_sanitize_address, no_sanitize_thread)) void rkl_copy_raw(void *to, const void *from, size_t nbytes)
{
    volatile char *target = to;
    const volatile char *source = from;
    for (size_t i = 0; i < nbytes; i++) {
        target[i] = source[i];
    }
}
#else
void rkl_copy_raw(void *to, const void *from, size_t nbytes)
{
    memcpy(to, from, nbytes);
}
#endif

size_t rkl_copy_proven(void *to, const void *from, size_t nbytes)
{
    struct rkl_prober prober;
    size_t readable;
    if (!rkl_prober_open(&prober)) {
        return 0;
    }
    readable = (size_t)rkl_readable(&prober, from, nbytes);
    rkl_prober_close(&prober);
    rkl_copy_raw(to, from, readable);
    return readable;
}

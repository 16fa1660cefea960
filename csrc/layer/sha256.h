/* SHA-256 (FIPS 180-4): a model's identity as run manifests state it. */
#ifndef RKPARITY_LAYER_SHA256_H
#define RKPARITY_LAYER_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct rkl_sha256 {
    uint32_t state[8];
    uint64_t nbytes;
    uint8_t pending[64];
};

void rkl_sha256_init(struct rkl_sha256 *hash);
void rkl_sha256_update(struct rkl_sha256 *hash, const void *data, size_t nbytes);
/* 64 lower-case hexadecimal digits and a NUL. */
void rkl_sha256_text(struct rkl_sha256 *hash, char text[65]);

#endif

/* The model given to rknn_init: where it came from and the SHA-256 of its bytes. */
#ifndef RKPARITY_LAYER_MODEL_H
#define RKPARITY_LAYER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/rknn_abi.h"
#include "layer/text.h"

struct rkl_model {
    bool is_path;
    bool size_known;
    bool hashed;
    uint64_t size;
    const char *unread;
    char path[4096];
    char sha256[65];
};

/* `size` 0: `model` is a path. `extend` (may be NULL) can say which part of the file is the model. */
void rkl_model_take(struct rkl_model *model, const void *data, uint32_t size, const rkabi_init_extend *extend, bool hash);
void rkl_put_model(struct rkl_text *text, const struct rkl_model *model);

#endif

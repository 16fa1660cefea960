/*
 * The library's other functions: matrix multiplication, custom operators, memory of the media framework. They are handed on untraced, for
 * programs that open librknnrt themselves and look them up in the layer's handle.
 *
 * Their arguments are integers and pointers, at most six: as many words go on as there are, whatever they mean. A function that
 * the real library lacks answers RKNN_ERR_FAIL.
 */
#include <stdint.h>
#include <string.h>

#include "layer/call.h"
#include "layer/real.h"

typedef intptr_t words(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t);

static intptr_t hand_on(const char *name, intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f)
{
    void *address = rkl_real_other(name);
    words *function;
    intptr_t answer;
    if (!address) {
        return RKABI_ERR_FAIL;
    }
    memcpy(&function, &address, sizeof function);
    rkl_nest();
    answer = function(a, b, c, d, e, f);
    rkl_unnest();
    return answer;
}

#define FORWARD(NAME)                                                                                                           \
    RKL_EXPORT intptr_t NAME(intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f);                            \
    RKL_EXPORT intptr_t NAME(intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e, intptr_t f)                             \
    {                                                                                                                           \
        return hand_on(#NAME, a, b, c, d, e, f);                                                                                \
    }

FORWARD(rknn_matmul_create)
FORWARD(rknn_matmul_create_dynamic_shape)
FORWARD(rknn_matmul_set_io_mem)
FORWARD(rknn_matmul_set_core_mask)
FORWARD(rknn_matmul_set_quant_params)
FORWARD(rknn_matmul_get_quant_params)
FORWARD(rknn_matmul_set_dynamic_shape)
FORWARD(rknn_matmul_run)
FORWARD(rknn_matmul_destroy)
FORWARD(rknn_B_normal_layout_to_native_layout)
FORWARD(rknn_register_custom_ops)
FORWARD(rknn_custom_op_get_op_attr)
FORWARD(rknn_create_mem_from_mb_blk)

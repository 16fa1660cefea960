/* The connection to the virtual board's value server; docs/virtual-board.md has the messages. */
#ifndef RKPARITY_NPU_SERVER_H
#define RKPARITY_NPU_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "npu/kernel_abi.h"
#include "npu/objects.h"

/* What the virtual board says of its NPU. */
typedef struct npu_board {
    uint32_t hardware_version;
    uint32_t driver_version; /* 803: 0.8.3 */
    uint32_t through_drm;    /* 0: the program opens /dev/rknpu and shares memory by descriptor, as on RV1103 and RV1106 */
} npu_board;

/* Connects once per process; false, with a line on stderr the first time, when there is no server. */
bool npu_server_attach(npu_board *board);
/* Tells of a new object, or of the end of one. False when the server is gone. */
bool npu_server_created(const npu_object *object);
bool npu_server_destroyed(uint32_t handle);
/* Has a submit computed; 0, or the errno the driver answers with. Other threads are not held meanwhile. */
int npu_server_submit(uint32_t task_handle, const npu_submit *submit);

#endif

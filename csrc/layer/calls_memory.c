/* Memories: made, set, synchronised, destroyed. */
#include "layer/call.h"
#include "layer/describe.h"
#include "layer/names.h"

static rkabi_tensor_mem *created(struct rkl_call *call, rkabi_tensor_mem *mem)
{
    if (mem) {
        rkl_memory_add(mem);
    }
    rkl_put_memory(&call->line, mem);
    rkl_write(call);
    rkl_leave(call);
    return mem;
}

RKL_EXPORT rkabi_tensor_mem *rknn_create_mem(rkabi_context ctx, uint32_t size)
{
    struct rkl_call call;
    rkabi_tensor_mem *mem;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_create_mem, NULL, ctx, size);
    }
    rkl_begin(&call, "rknn_create_mem", ctx, !rkl_real()->rknn_create_mem);
    rkl_put_uint(&call.line, "size", size);
    rkl_before(&call);
    mem = RKL_PASS(rknn_create_mem, NULL, ctx, size);
    rkl_after(&call, mem ? RKABI_OK : RKABI_ERR_FAIL);
    return created(&call, mem);
}

RKL_EXPORT rkabi_tensor_mem *rknn_create_mem2(rkabi_context ctx, uint64_t size, uint64_t flags)
{
    struct rkl_call call;
    rkabi_tensor_mem *mem;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_create_mem2, NULL, ctx, size, flags);
    }
    rkl_begin(&call, "rknn_create_mem2", ctx, !rkl_real()->rknn_create_mem2);
    rkl_put_uint(&call.line, "size", size);
    rkl_put_uint(&call.line, "alloc_flags", flags);
    rkl_before(&call);
    mem = RKL_PASS(rknn_create_mem2, NULL, ctx, size, flags);
    rkl_after(&call, mem ? RKABI_OK : RKABI_ERR_FAIL);
    return created(&call, mem);
}

RKL_EXPORT rkabi_tensor_mem *rknn_create_mem_from_fd(rkabi_context ctx, int32_t fd, void *virt_addr, uint32_t size, int32_t offset)
{
    struct rkl_call call;
    rkabi_tensor_mem *mem;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_create_mem_from_fd, NULL, ctx, fd, virt_addr, size, offset);
    }
    rkl_begin(&call, "rknn_create_mem_from_fd", ctx, !rkl_real()->rknn_create_mem_from_fd);
    rkl_put_int(&call.line, "fd", fd);
    rkl_put_pointer(&call.line, "virt_addr", virt_addr);
    rkl_put_uint(&call.line, "size", size);
    rkl_put_int(&call.line, "offset", offset);
    rkl_before(&call);
    mem = RKL_PASS(rknn_create_mem_from_fd, NULL, ctx, fd, virt_addr, size, offset);
    rkl_after(&call, mem ? RKABI_OK : RKABI_ERR_FAIL);
    return created(&call, mem);
}

RKL_EXPORT rkabi_tensor_mem *rknn_create_mem_from_phys(rkabi_context ctx, uint64_t phys_addr, void *virt_addr, uint32_t size)
{
    struct rkl_call call;
    rkabi_tensor_mem *mem;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_create_mem_from_phys, NULL, ctx, phys_addr, virt_addr, size);
    }
    rkl_begin(&call, "rknn_create_mem_from_phys", ctx, !rkl_real()->rknn_create_mem_from_phys);
    rkl_put_hex(&call.line, "phys_addr", phys_addr);
    rkl_put_pointer(&call.line, "virt_addr", virt_addr);
    rkl_put_uint(&call.line, "size", size);
    rkl_before(&call);
    mem = RKL_PASS(rknn_create_mem_from_phys, NULL, ctx, phys_addr, virt_addr, size);
    rkl_after(&call, mem ? RKABI_OK : RKABI_ERR_FAIL);
    return created(&call, mem);
}

RKL_EXPORT int rknn_destroy_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_destroy_mem, RKABI_ERR_FAIL, ctx, mem);
    }
    rkl_begin(&call, "rknn_destroy_mem", ctx, !rkl_real()->rknn_destroy_mem);
    rkl_put_memory(&call.line, mem);
    /* Before the call: once the memory is free, another thread may be given its address. */
    if (rkl_real()->rknn_destroy_mem) {
        rkl_memory_remove(mem);
    }
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_destroy_mem, RKABI_ERR_FAIL, ctx, mem));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

static void put_set_memory(struct rkl_call *call, rkabi_tensor_mem *mem)
{
    if (!mem) {
        rkl_doubt(call, "memory", -1, NULL);
    }
    rkl_put_memory(&call->line, mem);
}

RKL_EXPORT int rknn_set_weight_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_weight_mem, RKABI_ERR_FAIL, ctx, mem);
    }
    rkl_begin(&call, "rknn_set_weight_mem", ctx, !rkl_real()->rknn_set_weight_mem);
    put_set_memory(&call, mem);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_weight_mem, RKABI_ERR_FAIL, ctx, mem));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_set_internal_mem(rkabi_context ctx, rkabi_tensor_mem *mem)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_internal_mem, RKABI_ERR_FAIL, ctx, mem);
    }
    rkl_begin(&call, "rknn_set_internal_mem", ctx, !rkl_real()->rknn_set_internal_mem);
    put_set_memory(&call, mem);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_internal_mem, RKABI_ERR_FAIL, ctx, mem));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_set_io_mem(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_tensor_attr *attr)
{
    struct rkl_call call;
    rkabi_tensor_attr copy;
    bool unreadable;
    bool has_attr;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_set_io_mem, RKABI_ERR_FAIL, ctx, mem, attr);
    }
    rkl_begin(&call, "rknn_set_io_mem", ctx, !rkl_real()->rknn_set_io_mem);
    has_attr = rkl_copy_array(&copy, attr, 1, call.context > 0, sizeof copy, &unreadable) == 1;
    if (!has_attr) {
        rkl_doubt(&call, "attr", -1, attr);
    }
    put_set_memory(&call, mem);
    if (has_attr) {
        rkl_put_attr(&call.line, "attr", &copy);
    } else {
        rkl_put_null(&call.line, "attr");
    }
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_set_io_mem, RKABI_ERR_FAIL, ctx, mem, attr));
    if (call.status == RKABI_OK && has_attr && mem) {
        rkl_bind(ctx, mem, &copy);
    }
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_mem_sync(rkabi_context ctx, rkabi_tensor_mem *mem, rkabi_sync mode)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_mem_sync, RKABI_ERR_FAIL, ctx, mem, mode);
    }
    rkl_begin(&call, "rknn_mem_sync", ctx, !rkl_real()->rknn_mem_sync);
    put_set_memory(&call, mem);
    rkl_put_name(&call.line, "mode", rkl_sync_name((int32_t)mode), (int32_t)mode);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_mem_sync, RKABI_ERR_FAIL, ctx, mem, mode));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

/* rknn_run and rknn_wait, with what the bound memories hold before and after. */
#include <stdlib.h>

#include "layer/call.h"
#include "layer/dumps.h"
#include "layer/trace.h"

struct watched {
    struct rkl_content before;
    struct rkl_content after;
};

static void put_extend(struct rkl_call *call, const rkabi_run_extend *extend)
{
    if (!extend || call->context == 0) {
        rkl_put_null(&call->line, "extend");
        return;
    }
    rkl_open(&call->line, "extend", '{');
    rkl_put_uint(&call->line, "frame_id", extend->frame_id);
    rkl_put_int(&call->line, "non_block", extend->non_block);
    rkl_put_int(&call->line, "timeout_ms", extend->timeout_ms);
    rkl_put_int(&call->line, "fence_fd", extend->fence_fd);
    rkl_close(&call->line, '}');
}

static void look(struct rkl_content *content, const struct rkl_call *call, const struct rkl_bound *bound, uint32_t place, bool input,
                 uint64_t run)
{
    const bool full = input ? bound->direction != RKL_OUTPUT : bound->direction != RKL_INPUT;
    char name[RKL_NAME_SIZE];
    const char *keep = NULL;
    if (full && run < rkl_settings()->buffers) {
        rkl_trace_name(name, sizeof name, call->seq, input ? "in" : "out", place);
        keep = name;
    }
    rkl_content_take(content, bound->virt_addr, bound->size, bound->type, full, keep);
}

static void put_bound(struct rkl_text *line, const struct rkl_bound *bound, const struct watched *watched)
{
    static const char *const directions[] = {"input", "output", "unknown"};
    rkl_open(line, NULL, '{');
    rkl_put_uint(line, "memory", bound->memory);
    rkl_put_text(line, "name", bound->name, sizeof bound->name);
    rkl_put_text(line, "direction", directions[bound->direction], 16);
    rkl_put_uint(line, "index", bound->index);
    rkl_put_pointer(line, "virt_addr", bound->virt_addr);
    rkl_put_uint(line, "size", bound->size);
    if (watched) {
        rkl_put_content(line, "before", &watched->before);
        rkl_put_content(line, "after", &watched->after);
    } else {
        rkl_put_null(line, "before");
        rkl_put_null(line, "after");
    }
    rkl_close(line, '}');
}

RKL_EXPORT int rknn_run(rkabi_context ctx, rkabi_run_extend *extend)
{
    struct rkl_call call;
    struct rkl_bound *bound;
    struct watched *watched = NULL;
    uint32_t n;
    uint64_t run;
    bool blocks;

    if (!rkl_wanted()) {
        return RKL_PASS(rknn_run, RKABI_ERR_FAIL, ctx, extend);
    }
    rkl_begin(&call, "rknn_run", ctx, !rkl_real()->rknn_run);
    blocks = !(extend && call.context > 0 && extend->non_block);
    run = rkl_context_runs(ctx, true);
    rkl_put_uint(&call.line, "run", run);
    put_extend(&call, extend);
    bound = rkl_bound_copy(ctx, &n);
    if (n > 0 && rkl_settings()->hash) {
        watched = calloc(n, sizeof *watched);
    }
    for (uint32_t i = 0; watched && i < n; i++) {
        look(&watched[i].before, &call, &bound[i], i, true, run);
    }
    rkl_dumps_enter(call.context);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_run, RKABI_ERR_FAIL, ctx, extend));
    rkl_dumps_leave();
    for (uint32_t i = 0; watched && i < n && blocks && call.status == RKABI_OK; i++) {
        look(&watched[i].after, &call, &bound[i], i, false, run);
    }
    rkl_open(&call.line, "bound", '[');
    for (uint32_t i = 0; i < n; i++) {
        put_bound(&call.line, &bound[i], watched ? &watched[i] : NULL);
    }
    rkl_close(&call.line, ']');
    free(watched);
    free(bound);
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

RKL_EXPORT int rknn_wait(rkabi_context ctx, rkabi_run_extend *extend)
{
    struct rkl_call call;
    if (!rkl_wanted()) {
        return RKL_PASS(rknn_wait, RKABI_ERR_FAIL, ctx, extend);
    }
    rkl_begin(&call, "rknn_wait", ctx, !rkl_real()->rknn_wait);
    put_extend(&call, extend);
    rkl_before(&call);
    rkl_after(&call, RKL_PASS(rknn_wait, RKABI_ERR_FAIL, ctx, extend));
    rkl_write(&call);
    rkl_leave(&call);
    return call.status;
}

#include "layer/call.h"

#include <errno.h>
#include <string.h>

#include "layer/names.h"
#include "layer/real.h"
#include "layer/trace.h"

/* Calls under way in this thread: the library may call its own exported functions through the layer. */
static __thread int depth;

bool rkl_wanted(void)
{
    return depth == 0 && rkl_trace_is_on();
}

void rkl_nest(void)
{
    depth++;
}

void rkl_unnest(void)
{
    depth--;
}

void rkl_begin(struct rkl_call *call, const char *name, rkabi_context handle, bool missing)
{
    call->program_errno = errno;
    call->name = name;
    call->handle = handle;
    call->context = rkl_context_number(handle);
    call->seq = rkl_trace_next();
    call->missing = missing;
    call->doubt = NULL;
    rkl_trace_begin(&call->line, "call");
    rkl_put_uint(&call->line, "seq", call->seq);
    rkl_put_uint(&call->line, "tid", rkl_thread());
    rkl_put_text(&call->line, "call", name, 64);
    call->arguments = call->line.used;
}

void rkl_doubt(struct rkl_call *call, const char *what, int index, const void *pointer)
{
    if (!call->doubt) {
        call->doubt = what;
        call->doubt_index = index;
        call->doubt_pointer = pointer;
    }
}

static void enter(const struct rkl_call *call)
{
    struct rkl_text line;
    rkl_trace_begin(&line, "enter");
    rkl_put_uint(&line, "seq", call->seq);
    rkl_put_uint(&line, "tid", rkl_thread());
    rkl_put_int(&line, "t_ns", rkl_now());
    rkl_put_text(&line, "call", call->name, 64);
    rkl_put_uint(&line, "context", call->context);
    rkl_put_hex(&line, "handle", call->handle);
    if (call->doubt) {
        rkl_open(&line, "suspect", '{');
        rkl_put_text(&line, "what", call->doubt, 64);
        if (call->doubt_index >= 0) {
            rkl_put_int(&line, "index", call->doubt_index);
        } else {
            rkl_put_null(&line, "index");
        }
        rkl_put_pointer(&line, "buf", call->doubt_pointer);
        rkl_close(&line, '}');
    } else {
        rkl_put_null(&line, "suspect");
    }
    rkl_append_tail(&line, "given", &call->line, call->arguments);
    rkl_trace_write(&line);
}

void rkl_before(struct rkl_call *call)
{
    rkl_real();
    enter(call);
    rkl_nest();
    call->start = rkl_now();
    errno = call->program_errno;
}

void rkl_after(struct rkl_call *call, int status)
{
    call->program_errno = errno;
    call->duration = rkl_now() - call->start;
    call->status = status;
    rkl_unnest();
}

void rkl_write(struct rkl_call *call)
{
    struct rkl_text *line = &call->line;
    rkl_put_int(line, "t_ns", call->start);
    rkl_put_int(line, "dur_ns", call->duration);
    rkl_put_uint(line, "context", call->context);
    rkl_put_hex(line, "handle", call->handle);
    rkl_put_int(line, "ret", call->status);
    rkl_put_name(line, "ret_name", rkl_status_name(call->status), call->status);
    rkl_put_bool(line, "missing", call->missing);
    rkl_trace_write(line);
}

void rkl_leave(const struct rkl_call *call)
{
    errno = call->program_errno;
}

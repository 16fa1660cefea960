"""Rules about the order of calls and their return codes."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import ContextView, Subject
from rkparity.trace import Destroy, Init, InputsSet, OutputsGet, Query, Run, SetIoMemory, TraceCall

# Functions that only some versions have, or that are asked to find out: a refusal may be what the program expects.
_MAY_FAIL = ("rknn_query", "rknn_set_core_mask", "rknn_set_batch_core_num", "rknn_mem_sync")


def _get_before_run(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.info is None:
            continue
        has_run = False
        for call in view.calls:
            if isinstance(call.details, Run):
                has_run = has_run or not call.failed
            elif isinstance(call.details, OutputsGet) and not has_run:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"rknn_outputs_get returned {call.ret_name} before any rknn_run succeeded: what it gave is not a "
                    "result",
                )


def _run_without_inputs(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if not view.inputs:
            continue
        have: set[str] = set()
        for call in view.calls:
            details = call.details
            if isinstance(details, InputsSet) and not call.failed:
                have.update(attr.name for attr in view.inputs[: details.n_inputs])
            elif isinstance(details, SetIoMemory) and not call.failed and details.attr is not None:
                have.add(details.attr.name)
            elif isinstance(details, Run):
                missing = [attr.name for attr in view.inputs if attr.name not in have]
                if missing:
                    names = ", ".join(repr(name) for name in missing)
                    yield Observation(
                        view.number,
                        (call.seq,),
                        f"rknn_run returned {call.ret_name}, but {names} had never been given successfully: the "
                        "model saw old "
                        "memory",
                        missing[0],
                        {"missing": names},
                    )


def _error_ignored(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        failed_set: TraceCall | None = None
        failed_run: TraceCall | None = None
        failed_binds: dict[str, TraceCall] = {}
        for call in view.calls:
            details = call.details
            if isinstance(details, InputsSet):
                failed_set = call if call.failed else None
            elif isinstance(details, SetIoMemory):
                name = details.attr.name if details.attr is not None else ""
                if call.failed:
                    failed_binds[name] = call
                else:
                    failed_binds.pop(name, None)
            elif isinstance(details, Run):
                for before in [*([failed_set] if failed_set is not None else []), *failed_binds.values()]:
                    yield _ignored(view, before, call)
                failed_run = call if call.failed else None
            elif isinstance(details, OutputsGet) and failed_run is not None:
                yield _ignored(view, failed_run, call)
    yield from _init_ignored(subject)


def _ignored(view: ContextView, before: TraceCall, after: TraceCall) -> Observation:
    return Observation(
        view.number,
        (before.seq, after.seq),
        f"{before.name} failed with {before.ret_name} ({before.ret}), and the program went on to {after.name}, which "
        f"returned {after.ret_name}",
        "",
        {"failed": before.name, "code": before.ret, "then": after.name},
    )


def _init_ignored(subject: Subject) -> Iterator[Observation]:
    failed: dict[int, TraceCall] = {}
    for call in subject.trace.calls:
        if isinstance(call.details, Init):
            if call.failed:
                failed[call.tid] = call
            else:
                failed.pop(call.tid, None)
        elif call.context == 0 and call.tid in failed:
            before = failed.pop(call.tid)
            yield Observation(
                0,
                (before.seq, call.seq),
                f"{before.name} failed with {before.ret_name} ({before.ret}), and the program went on to "
                f"{call.name}, which "
                f"returned {call.ret_name}",
                "",
                {"failed": before.name, "code": before.ret, "then": call.name},
            )


def _unknown_context(subject: Subject) -> Iterator[Observation]:
    destroyed = {
        info.handle: number
        for info in subject.trace.contexts
        for number in [info.context]
        if any(isinstance(call.details, Destroy) for call in subject.trace.calls_of(number))
    }
    if subject.trace.start.forked_from is not None and not subject.trace.contexts:
        return
    for call in subject.trace.calls:
        if call.context != 0 or isinstance(call.details, Init) or call.name in ("rknn_create_mem2", "rknn_destroy_mem"):
            continue
        was = destroyed.get(call.handle)
        what = (
            "is 0: was rknn_init called, and did it succeed?"
            if call.handle == 0
            else f"was destroyed (context {was})"
            if was is not None
            else "was never made by rknn_init"
        )
        yield Observation(
            0,
            (call.seq,),
            f"{call.name} was called with the context {call.handle:#x}, which {what}; it returned {call.ret_name}",
            "",
            {"call": call.name, "handle": hex(call.handle)},
        )


def _call_failed(subject: Subject) -> Iterator[Observation]:
    for call in subject.trace.calls:
        if call.failed and not call.missing and call.name not in _MAY_FAIL:
            yield Observation(
                call.context,
                (call.seq,),
                f"{call.name} returned {call.ret_name} ({call.ret})",
                "",
                {"call": call.name, "code": call.ret},
            )


def _missing_function(subject: Subject) -> Iterator[Observation]:
    for call in subject.trace.calls:
        if call.missing:
            yield Observation(
                call.context,
                (call.seq,),
                f"{call.name} was called, but this librknnrt does not have it",
                "",
                {"call": call.name},
            )


def _query_failed(subject: Subject) -> Iterator[Observation]:
    for call in subject.trace.calls:
        if call.failed and not call.missing and isinstance(call.details, Query) and call.context != 0:
            details = call.details
            place = f", index {details.index}" if details.index is not None else ""
            yield Observation(
                call.context,
                (call.seq,),
                f"rknn_query {details.command} (info_len {details.info_len}{place}) returned {call.ret_name}: the "
                "structure "
                "was not filled in",
                "",
                {"command": details.command, "info_len": details.info_len, "code": call.ret},
            )


def _bad_pointer(subject: Subject) -> Iterator[Observation]:
    unfinished = {entered.seq for entered in subject.trace.unfinished}
    for entered in subject.trace.entered:
        suspect = entered.suspect
        if suspect is None:
            continue
        place = f"{suspect.what}[{suspect.index}]" if suspect.index is not None else suspect.what
        what = "is NULL" if suspect.buf == 0 else f"is {suspect.buf:#x}, which cannot be read"
        died = "; the program died in this call" if entered.seq in unfinished else ""
        yield Observation(
            entered.context,
            (entered.seq,),
            f"{entered.name} was given {place}, which {what}{died}",
            "",
            {"call": entered.name, "pointer": hex(suspect.buf)},
        )


def _two_threads(subject: Subject) -> Iterator[Observation]:
    """A thread's set, run, get on a context with another thread's set or run on it in between."""
    for view in subject.contexts:
        fetches = any(True for _ in view.gets())
        last: TraceCall | None = None
        for call in view.calls:
            if not isinstance(call.details, (InputsSet, Run, OutputsGet)):
                continue
            if last is not None and last.tid != call.tid and _breaks(last, call, fetches):
                yield Observation(
                    view.number,
                    (last.seq, call.seq),
                    f"thread {last.tid} called {last.name}, then thread {call.tid} called {call.name} on the same "
                    "context: one "
                    "thread's data become the other's result",
                    "",
                    {"thread": last.tid, "other": call.tid},
                )
            last = call


def _breaks(last: TraceCall, call: TraceCall, fetches: bool) -> bool:
    overlap = last.t_ns + last.duration_ns > call.t_ns
    if isinstance(call.details, InputsSet):
        # Set after set: the first thread's data are lost. Set after run: a new frame over one that was not fetched yet.
        return overlap or isinstance(last.details, InputsSet) or (fetches and isinstance(last.details, Run))
    return overlap


RULES = (
    Rule(
        "get-before-run",
        Severity.ERROR,
        "outputs are fetched before a run",
        "evidence 160_err_get_norun, 160_err_get_noset",
        "Call rknn_inputs_set, rknn_run and rknn_outputs_get in this order; the library does not complain.",
        "rknn_inputs_set(ctx, n, inputs);\nrknn_run(ctx, NULL);\nrknn_outputs_get(ctx, n, outputs, NULL);",
        _get_before_run,
    ),
    Rule(
        "run-without-inputs",
        Severity.ERROR,
        "the model runs without an input",
        "evidence 160_err_run_noset, 160_err_get_noset, 160_zc_only_one_in",
        "Give every input with rknn_inputs_set or rknn_set_io_mem, and check the return code, before rknn_run.",
        "if (rknn_inputs_set(ctx, io_num.n_input, inputs) != RKNN_SUCC) return -1;",
        _run_without_inputs,
    ),
    Rule(
        "error-ignored",
        Severity.ERROR,
        "a return code was ignored",
        "evidence 160_err_size_small, 160_err_get_noset",
        "Check every return code and stop; a later call's success says nothing about the earlier one.",
        'int ret = rknn_inputs_set(ctx, n, inputs);\nif (ret != RKNN_SUCC) { fprintf(stderr, "inputs_set: %d\\n", '
        "ret); return ret; }",
        _error_ignored,
    ),
    Rule(
        "context-unknown",
        Severity.ERROR,
        "a call with a context that does not exist",
        "evidence 160_err_ctx0",
        "Use the context that rknn_init gave, in the time between rknn_init and rknn_destroy.",
        "rknn_context ctx = 0;\nif (rknn_init(&ctx, model, size, 0, NULL) != RKNN_SUCC) return -1;",
        _unknown_context,
    ),
    Rule(
        "pointer-bad",
        Severity.ERROR,
        "a pointer is NULL or cannot be read",
        "evidence 160_err_nullbuf, 160_err_nullinputs, 160_zc_nullattr, 160_zc_nullmem",
        "Check allocations, and keep buffers alive until the call returns. librknnrt crashes on such pointers.",
        "unsigned char *data = malloc(size);\nif (data == NULL) return -1;",
        _bad_pointer,
    ),
    Rule(
        "context-shared",
        Severity.ERROR,
        "threads use one context at the same time",
        "airockchip/rknn-toolkit2#473, airockchip/rknn-toolkit2#474",
        "Give each thread its own context (rknn_dup_context shares the weights), or hold a lock from rknn_inputs_set "
        "to the end "
        "of rknn_outputs_get.",
        "rknn_dup_context(&ctx, &thread_ctx[i]);",
        _two_threads,
    ),
    Rule(
        "function-missing",
        Severity.ERROR,
        "the library does not have this function",
        "RKNN manual; evidence 152_rawq (1.5.2 has no rknn_mem_sync)",
        "Use a newer librknnrt, or do without the function.",
        "",
        _missing_function,
    ),
    Rule(
        "query-failed",
        Severity.WARNING,
        "a query failed",
        "evidence 160_rawq; RKNN manual, rknn_query",
        "Set index before the call, pass sizeof of the right structure, and check the return code.",
        "rknn_tensor_attr attr;\nmemset(&attr, 0, sizeof attr);\nattr.index = i;\nrknn_query(ctx, "
        "RKNN_QUERY_INPUT_ATTR, &attr, sizeof attr);",
        _query_failed,
    ),
    Rule(
        "call-failed",
        Severity.ERROR,
        "a call failed",
        "RKNN manual, return codes",
        "See the runtime's log at RKNN_LOG_LEVEL=5 for the line before.",
        "",
        _call_failed,
        is_general=True,
    ),
)

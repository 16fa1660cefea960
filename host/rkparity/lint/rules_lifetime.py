"""Rules about what is opened and never closed."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import Subject
from rkparity.trace import CreateMemory, Destroy, DestroyMemory, OutputsGet, OutputsRelease, SetIoMemory


def _contexts(subject: Subject) -> Iterator[Observation]:
    ended = subject.trace.exit
    if ended is None:
        return
    for number in ended.open_contexts:
        info = subject.trace.context(number)
        if info is None:
            # A forked child still knows its parent's contexts; they are not its own to destroy.
            continue
        yield Observation(
            number,
            (info.seq,),
            f"context {number} was still open when the program ended",
        )


def _memories(subject: Subject) -> Iterator[Observation]:
    alive: dict[int, tuple[int, int, int]] = {}
    for call in subject.trace.calls:
        details = call.details
        if isinstance(details, CreateMemory) and details.memory is not None:
            alive[details.memory.id] = (call.context, call.seq, details.memory.size)
        elif isinstance(details, DestroyMemory) and details.memory is not None and not call.failed:
            alive.pop(details.memory.id, None)
        elif isinstance(details, Destroy) and not call.failed:
            for number, (context, seq, size) in list(alive.items()):
                if context == call.context != 0:
                    del alive[number]
                    yield Observation(
                        context,
                        (seq, call.seq),
                        f"memory {number} ({size} bytes) was not freed before its context was destroyed",
                        "",
                        {"memory": number, "size": size},
                    )
    if subject.trace.exit is not None:
        for number, (context, seq, size) in alive.items():
            yield Observation(
                context,
                (seq,),
                f"memory {number} ({size} bytes) was not freed before the program ended",
                "",
                {"memory": number, "size": size},
            )


def _released_twice(subject: Subject) -> Iterator[Observation]:
    """A buffer that rknn_outputs_release had already, and rknn_outputs_get did not hand out again."""
    released: dict[int, int] = {}
    for call in subject.trace.calls:
        details = call.details
        if isinstance(details, OutputsGet):
            for item in details.outputs:
                released.pop(item.buf, None)
        elif isinstance(details, OutputsRelease):
            again = [item for item in details.outputs if item.buf in released and not item.is_prealloc]
            if again:
                yield Observation(
                    call.context,
                    (released[again[0].buf], call.seq),
                    f"rknn_outputs_release was given outputs[{again[0].position}] again, whose buffer it had freed",
                    "",
                    {"buffer": hex(again[0].buf)},
                )
            released.update({item.buf: call.seq for item in details.outputs if item.buf and not item.is_prealloc})


def _after_free(subject: Subject) -> Iterator[Observation]:
    freed: dict[int, int] = {}
    for call in subject.trace.calls:
        details = call.details
        if isinstance(details, CreateMemory) and details.memory is not None:
            freed.pop(details.memory.address, None)
        elif isinstance(details, DestroyMemory) and details.memory is not None:
            if details.memory.address in freed:
                yield Observation(
                    call.context,
                    (freed[details.memory.address], call.seq),
                    f"the memory at {details.memory.address:#x} was freed twice",
                    "",
                    {"address": hex(details.memory.address)},
                )
            freed[details.memory.address] = call.seq
        elif isinstance(details, SetIoMemory) and details.memory is not None and details.memory.address in freed:
            yield Observation(
                call.context,
                (freed[details.memory.address], call.seq),
                f"rknn_set_io_mem was given the memory at {details.memory.address:#x}, which was freed before",
                "",
                {"address": hex(details.memory.address)},
            )


RULES = (
    Rule(
        "outputs-released-twice",
        Severity.ERROR,
        "outputs are released twice",
        "evidence seq_01_*",
        "Call rknn_outputs_release once for each rknn_outputs_get: it frees the buffers and leaves their pointers in "
        "outputs[], and librknnrt dies of the second call.",
        "rknn_outputs_release(ctx, io_num.n_output, outputs);\nmemset(outputs, 0, sizeof outputs);",
        _released_twice,
    ),
    Rule(
        "context-leak",
        Severity.WARNING,
        "a context is not destroyed",
        "RKNN manual, rknn_destroy",
        "Call rknn_destroy for every context that rknn_init or rknn_dup_context made, on error paths too.",
        "rknn_destroy(ctx);",
        _contexts,
    ),
    Rule(
        "memory-leak",
        Severity.WARNING,
        "a memory is not freed",
        "RKNN manual, rknn_destroy_mem",
        "Call rknn_destroy_mem for every memory, before rknn_destroy.",
        "rknn_destroy_mem(ctx, mem);\nrknn_destroy(ctx);",
        _memories,
    ),
    Rule(
        "memory-after-free",
        Severity.ERROR,
        "a memory is used after it was freed",
        "RKNN manual, rknn_destroy_mem",
        "Free a memory once, after its last use, and set the pointer to NULL.",
        "rknn_destroy_mem(ctx, mem);\nmem = NULL;",
        _after_free,
    ),
)

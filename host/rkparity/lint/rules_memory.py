"""Rules about memory that CPU, NPU, tensors and contexts share: caches, overlaps, contents that change."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import ContextView, Subject
from rkparity.trace import BoundMemory, CreateMemory, Init, MemorySync, TraceCall

# rknn_init's flags (RKNN manual, rknn_init): the runtime then leaves cache maintenance to the program.
_NO_FLUSH = {"input": 0x4000, "output": 0x8000}
# rknn_create_mem2's alloc_flags (RKNN manual, rknn_create_mem2).
_NON_CACHEABLE = 0x2


def _sync(subject: Subject) -> Iterator[Observation]:
    library = subject.trace.library
    if library is not None and "rknn_mem_sync" in library.missing:
        return
    made = {
        c.details.memory.id: c for c in subject.trace.calls if isinstance(c.details, CreateMemory) and c.details.memory
    }
    flags = {call.context: call.details.flags for call in subject.trace.calls if isinstance(call.details, Init)}
    for view in subject.contexts:
        synced: dict[int, set[str]] = {}
        for call in view.calls:
            details = call.details
            if isinstance(details, MemorySync) and details.memory is not None and not call.failed:
                synced.setdefault(details.memory.id, set()).add(details.mode)
        no_flush = flags.get(view.number, 0)
        for call, run in view.runs():
            for bound in run.bound:
                wanted = {"input": {"TO_DEVICE", "BOTH"}, "output": {"FROM_DEVICE", "BOTH"}}.get(bound.direction)
                if wanted is None or call.failed or synced.get(bound.memory, set()) & wanted:
                    continue
                seen = _unsynced(view, call, bound, made.get(bound.memory), no_flush & _NO_FLUSH[bound.direction] != 0)
                if seen is not None:
                    yield seen


def _unsynced(
    view: ContextView, call: TraceCall, bound: BoundMemory, made: TraceCall | None, no_flush: bool
) -> Observation | None:
    creation = made.details if made is not None and isinstance(made.details, CreateMemory) else None
    if creation is not None and creation.alloc_flags is not None and creation.alloc_flags & _NON_CACHEABLE:
        return None
    external = made is not None and made.name in ("rknn_create_mem_from_fd", "rknn_create_mem_from_phys")
    mode = "RKNN_MEMORY_SYNC_TO_DEVICE before" if bound.direction == "input" else "RKNN_MEMORY_SYNC_FROM_DEVICE after"
    why = (
        "rknn_init was told not to flush it"
        if no_flush
        else "it was not allocated by the library"
        if external
        else "cacheable memory; the library flushes its own memory in rknn_run by default"
    )
    return Observation(
        view.number,
        (call.seq,),
        f"{bound.direction} {bound.name!r} ran without any rknn_mem_sync ({mode} the run): {why}",
        bound.name,
        {"memory": bound.memory, "external": external, "flush_disabled": no_flush},
        Severity.ERROR if no_flush else Severity.WARNING if external else Severity.INFO,
    )


def _shared(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, run in view.runs():
            for place, one in enumerate(run.bound):
                for other in run.bound[place + 1 :]:
                    if one.virt_addr and _overlap(one, other):
                        yield Observation(
                            view.number,
                            (call.seq,),
                            f"{one.direction} {one.name!r} and {other.direction} {other.name!r} share memory at "
                            f"{max(one.virt_addr, other.virt_addr):#x}",
                            one.name,
                            {"other": other.name, "address": hex(max(one.virt_addr, other.virt_addr))},
                        )


def _overlap(one: BoundMemory, other: BoundMemory) -> bool:
    return one.virt_addr < other.virt_addr + other.size and other.virt_addr < one.virt_addr + one.size


def _shared_outputs(subject: Subject) -> Iterator[Observation]:
    owners: dict[int, tuple[int, int, str]] = {}
    for view in subject.contexts:
        for call, bound in view.bound("output"):
            known = owners.setdefault(bound.virt_addr, (view.number, call.seq, bound.name))
            if bound.virt_addr and known[0] != view.number:
                yield Observation(
                    view.number,
                    (known[1], call.seq),
                    f"contexts {known[0]} and {view.number} both write their outputs {known[2]!r} and {bound.name!r} "
                    "to "
                    f"{bound.virt_addr:#x}",
                    bound.name,
                    {"address": hex(bound.virt_addr), "other_context": known[0]},
                )


def _changed(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, bound in view.bound("input"):
            before, after = bound.before, bound.after
            if (
                before is None
                or after is None
                or before.xxh64 == after.xxh64
                or before.nbytes_read != after.nbytes_read
            ):
                continue
            yield Observation(
                view.number,
                (call.seq,),
                f"the memory of input {bound.name!r} held something else after the run than before",
                bound.name,
                {"before": before.xxh64, "after": after.xxh64, "address": hex(bound.virt_addr)},
            )


RULES = (
    Rule(
        "mem-sync-missing",
        Severity.WARNING,
        "cacheable memory is used without rknn_mem_sync",
        "RKNN manual, rknn_mem_sync and rknn_init flags",
        "Synchronise memory that CPU and NPU share: to the device after writing, from the device before reading.",
        "rknn_mem_sync(ctx, input_mem, RKNN_MEMORY_SYNC_TO_DEVICE);\nrknn_run(ctx, NULL);\nrknn_mem_sync(ctx, "
        "output_mem, "
        "RKNN_MEMORY_SYNC_FROM_DEVICE);",
        _sync,
    ),
    Rule(
        "io-mem-shared",
        Severity.ERROR,
        "two tensors of one context share memory",
        "airockchip/rknn_model_zoo#371",
        "Give every tensor a memory, or a part of one, of its own.",
        "rknn_tensor_mem *mem[N]; /* one rknn_create_mem each */",
        _shared,
    ),
    Rule(
        "io-mem-shared-outputs",
        Severity.WARNING,
        "two contexts write to one memory",
        "airockchip/rknn-toolkit2#473, airockchip/rknn-toolkit2#474",
        "Give every context its own output memory, or make sure the first result is read before the other context "
        "runs.",
        "",
        _shared_outputs,
    ),
    Rule(
        "input-changed-by-run",
        Severity.ERROR,
        "the run changed an input's memory",
        "airockchip/rknn_model_zoo#371",
        "Something else writes there: an output or internal memory that overlaps, a DMA transfer that has not ended, "
        "another thread.",
        "",
        _changed,
    ),
)

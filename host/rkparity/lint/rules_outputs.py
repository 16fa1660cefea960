"""Rules about rknn_outputs_get and rknn_outputs_release."""

from __future__ import annotations

from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule, Unchecked
from rkparity.lint.rules_content import run_inputs
from rkparity.lint.subject import ContextView, Subject, described, nbytes_of
from rkparity.trace import Content, Destroy, OutputGot, OutputsGet, OutputsRelease, Run, TensorAttributes, TraceCall


def _needed(output: OutputGot, attr: TensorAttributes) -> int | None:
    if output.want_float:
        # INT64 outputs stay INT64 (evidence 160_c25_odd_names_*).
        return nbytes_of(attr, "INT64" if attr.type == "INT64" else "FLOAT32")
    return nbytes_of(attr, attr.type)


def _prealloc_small(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.is_reshaped:
            continue
        for call, output, attr in view.got():
            need = _needed(output, attr)
            if output.is_prealloc and need is not None and output.size_before < need:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"output {described(attr)} was to go into a buffer of {output.size_before} bytes, want_float "
                    f"{output.want_float} needs {need}: the call returned {call.ret_name} and left the buffer "
                    "untouched",
                    attr.name,
                    {"size": output.size_before, "expected": need, "want_float": output.want_float},
                )


def _raw_as_float(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for call, output, attr in view.got():
            raw, wide = nbytes_of(attr, attr.type), nbytes_of(attr, "FLOAT32")
            if raw is None or wide is None or not output.is_prealloc or output.want_float:
                continue
            if raw < wide == output.size_before:
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"output {described(attr)} was fetched with want_float 0 into a buffer of {wide} bytes, the "
                    "size of its "
                    f"float32 values; only {raw} bytes of {attr.type} were written",
                    attr.name,
                    {"size": output.size_before, "written": raw, "type": attr.type},
                )


def _index(subject: Subject) -> Iterator[Observation]:
    """Indices that repeat, as after memset alone, are rewritten to the places, and all outputs come in place.

    Evidence seq_49_*; vendors' demos leave them 0. A permutation does not permute the outputs (160_out_multi_swapped).
    """
    for view in subject.contexts:
        for call, details in view.gets():
            indices = [output.index for output in details.outputs]
            if indices == list(range(len(indices))):
                continue
            repeated = len(set(indices)) < len(indices)
            beyond = [index for index in indices if index >= max(len(view.outputs), len(indices))]
            if repeated and not beyond:
                continue
            empty = [] if repeated else [place for place in range(len(indices)) if place not in indices]
            outcome = "outputs come in the model's order all the same"
            if beyond:
                outcome = f"index {beyond[0]} is out of range"
            elif empty:
                outcome = f"outputs[{empty[0]}] is not filled"
            yield Observation(
                view.number,
                (call.seq,),
                f"outputs[] has the indices {indices}, not 0 to {len(indices) - 1}: {outcome}",
                "",
                {"indices": str(indices)},
                Severity.ERROR if beyond or empty else None,
            )


def _count(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if not view.outputs:
            continue
        for call, details in view.gets():
            if details.n_outputs != len(view.outputs):
                yield Observation(
                    view.number,
                    (call.seq,),
                    f"n_outputs is {details.n_outputs}, the model has {len(view.outputs)} outputs: "
                    + (
                        "refused"
                        if details.n_outputs > len(view.outputs)
                        else "the library reads beyond the array and takes what is there for structures"
                    ),
                    "",
                    {"n_outputs": details.n_outputs, "expected": len(view.outputs)},
                )


def _not_released(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        waiting: TraceCall | None = None
        for call in view.calls:
            if isinstance(call.details, OutputsRelease) and not call.failed:
                waiting = None
            elif isinstance(call.details, (OutputsGet, Destroy)):
                if waiting is not None:
                    yield _leaked(view, waiting, f"before call {call.seq}, {call.name}")
                holds = isinstance(call.details, OutputsGet) and any(not o.is_prealloc for o in call.details.outputs)
                waiting = call if holds and not call.failed else None
        if waiting is not None and subject.trace.exit is not None:
            yield _leaked(view, waiting, "before the program ended")


def _leaked(view: ContextView, call: TraceCall, until: str) -> Observation:
    return Observation(
        view.number,
        (call.seq,),
        f"the outputs of rknn_outputs_get were not given back with rknn_outputs_release {until}",
    )


def _produced(view: ContextView) -> Iterator[tuple[int, TensorAttributes, Content]]:
    if view.is_void:
        return
    for call, output, attr in view.got():
        if output.content is not None and not call.failed:
            yield call.seq, attr, output.content
    for call, bound in view.bound("output"):
        plain = view.named(bound.name)
        if bound.after is not None and plain is not None:
            yield call.seq, plain, bound.after


def _all_zero(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for seq, attr, content in _produced(view):
            seen = content.bytes
            if attr.n_elems > 1 and seen is not None and content.nbytes_read and seen.minimum == seen.maximum == 0:
                yield Observation(
                    view.number,
                    (seq,),
                    f"all {content.nbytes_read} bytes of output {described(attr)} are 0",
                    attr.name,
                    {"nbytes": content.nbytes_read},
                )


def _not_finite(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        for seq, attr, content in _produced(view):
            values = content.values
            if values is not None and (values.nan or values.inf):
                yield Observation(
                    view.number,
                    (seq,),
                    f"output {described(attr)} holds {values.nan} NaN and {values.inf} infinite values of {values.n}",
                    attr.name,
                    {"nan": values.nan, "inf": values.inf, "n": values.n},
                )


def _results(view: ContextView) -> Iterator[tuple[int, tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]]:
    """Each run with known contents: its call number, its inputs' (name, hash) and its outputs' (hash, size)."""
    if view.is_void:
        return
    inputs = dict(run_inputs(view))
    last_run = told = -1
    for call in view.calls:
        details = call.details
        contents: list[Content | None] = []
        if isinstance(details, Run):
            last_run = call.seq
            contents = [bound.after for bound in details.bound if bound.direction == "output"]
        elif isinstance(details, OutputsGet) and not call.failed:
            contents = [output.content for output in details.outputs]
        held = tuple((content.xxh64, content.size) for content in contents if content is not None)
        given = inputs.get(last_run)
        if held and given and told != last_run:
            told = last_run
            yield last_run, given, held


def _unchanged(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        results = list(_results(view))
        for (first, inputs, outputs), (second, other_inputs, other_outputs) in zip(results, results[1:]):
            if inputs != other_inputs and outputs == other_outputs:
                yield Observation(
                    view.number,
                    (first, second),
                    "these two runs had different inputs and exactly the same outputs, all of them",
                    "",
                    {"xxh64": outputs[0][0]},
                )


def _unstable(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        seen: dict[tuple[tuple[str, str], ...], tuple[int, tuple[tuple[str, int], ...]]] = {}
        for call, inputs, outputs in _results(view):
            first, known = seen.setdefault(inputs, (call, outputs))
            sizes = [[size for _, size in result] for result in (known, outputs)]
            if known != outputs and sizes[0] == sizes[1]:
                yield Observation(
                    view.number,
                    (first, call),
                    "these two runs had exactly the same inputs and different outputs",
                    "",
                    {"first": known[0][0], "second": outputs[0][0]},
                )


def _shared_buffer(subject: Subject) -> Iterator[Observation]:
    """Preallocated output buffers of several contexts, fetched by several threads, at one address."""
    first: dict[int, tuple[ContextView, TraceCall]] = {}
    for view in subject.contexts:
        for call, output, attr in view.got():
            if not output.is_prealloc or output.buf_before == 0:
                continue
            known = first.setdefault(output.buf_before, (view, call))
            if known[0].number != view.number and known[1].tid != call.tid and _alive_together(known[0], view):
                yield Observation(
                    view.number,
                    (known[1].seq, call.seq),
                    f"contexts {known[0].number} and {view.number} fetch into the same buffer {output.buf_before:#x} "
                    "from "
                    f"threads {known[1].tid} and {call.tid}",
                    attr.name,
                    {"buf": hex(output.buf_before), "thread": call.tid, "other": known[1].tid},
                )


def _alive_together(one: ContextView, other: ContextView) -> bool:
    spans = [(view.calls[0].t_ns, view.calls[-1].t_ns) for view in (one, other)]
    return spans[0][0] <= spans[1][1] and spans[1][0] <= spans[0][1]


def unseen_outputs(subject: Subject) -> Iterator[Unchecked]:
    """Outputs fetched raw: what the program makes of them is out of any trace's sight."""
    for view in subject.contexts:
        told: set[str] = set()
        for _, output, attr in view.got():
            if not output.want_float and attr.name not in told:
                told.add(attr.name)
                how = f"(q - {attr.zp}) * {attr.scale}" if attr.qnt_type == "AFFINE_ASYMMETRIC" else "no scale"
                yield Unchecked(
                    f"process {subject.trace.start.pid}, context {view.number}: output {attr.name!r}",
                    f"fetched with want_float 0, so it is {attr.type} ({how}); whether the program reads it as that "
                    "cannot be "
                    "seen in its calls",
                )


RULES = (
    Rule(
        "output-prealloc-small",
        Severity.ERROR,
        "a preallocated output is too small",
        "evidence 160_out_wf0_pre1_small, 160_out_wf1_pre1_small",
        "Allocate elements * 4 bytes for want_float 1, elements * bytes of the attribute's type for 0.",
        "outputs[i].size = attr.n_elems * sizeof(float); /* want_float = 1 */\noutputs[i].buf = "
        "malloc(outputs[i].size);",
        _prealloc_small,
    ),
    Rule(
        "output-raw-as-float",
        Severity.ERROR,
        "want_float is 0, and the buffer is made for floats",
        "RKNN manual 7.2.2 (U5); evidence 160_out_wf0_pre1",
        "Set want_float to 1, or read the raw type and dequantise it with this output's own zero point and scale.",
        "outputs[i].want_float = 1; /* or: (q - attr.zp) * attr.scale */",
        _raw_as_float,
    ),
    Rule(
        "output-index",
        Severity.WARNING,
        "index does not agree with the place in the array",
        "evidence 160_out_multi_swapped, 160_out_idx_oob; airockchip/rknn-toolkit2#295",
        "Set index to the place in the array.",
        "for (uint32_t i = 0; i < n; i++) outputs[i].index = i;",
        _index,
    ),
    Rule(
        "output-count",
        Severity.ERROR,
        "n_outputs is not the model's number of outputs",
        "evidence 160_out_multi_one, 160_out_n0, 160_out_n2; airockchip/rknn-toolkit2#295",
        "Fetch all outputs in one call, also those that are not used.",
        "rknn_outputs_get(ctx, io_num.n_output, outputs, NULL);",
        _count,
    ),
    Rule(
        "outputs-not-released",
        Severity.WARNING,
        "outputs are not released",
        "RKNN manual, rknn_outputs_release",
        "Call rknn_outputs_release with the same array after every rknn_outputs_get, on error paths too.",
        "rknn_outputs_release(ctx, io_num.n_output, outputs);",
        _not_released,
    ),
    Rule(
        "output-all-zero",
        Severity.WARNING,
        "an output is all zero",
        "rockchip-linux/rknpu#48; RKNN manual 7.2.2 (U6)",
        "Compare the dumped inputs and layers with the simulator: `rkparity compare-dumps`.",
        "",
        _all_zero,
    ),
    Rule(
        "output-not-finite",
        Severity.WARNING,
        "an output holds NaN or infinite values",
        "RKNN manual 7.1.1 (F9, F10)",
        "A tensor overflows float16, or the input is not finite: find the first layer with `rkparity compare-dumps`.",
        "",
        _not_finite,
    ),
    Rule(
        "output-unchanged",
        Severity.WARNING,
        "different inputs gave the same outputs",
        "PaddlePaddle/FastDeploy#1989, rockchip-linux/rknn-toolkit#175, airockchip/rknn-toolkit2#529",
        "Check that the input is taken (fmt, type, size, range) and that outputs are fetched after this run, not "
        "before.",
        "",
        _unchanged,
    ),
    Rule(
        "output-unstable",
        Severity.WARNING,
        "the same inputs gave different outputs",
        "cqu20160901/yolov8_rknn_Cplusplus#2; RKNN manual 7.2.2 (U4, U6)",
        "Look for memory that is used before it is written, for missing rknn_mem_sync, and for threads that share "
        "buffers. "
        "Compare the dumps of the two runs.",
        "",
        _unstable,
    ),
    Rule(
        "output-buffer-shared",
        Severity.ERROR,
        "threads fetch outputs into one buffer",
        "airockchip/rknn-toolkit2#473, airockchip/rknn-toolkit2#474",
        "Give every context its own output buffers.",
        "struct worker { rknn_context ctx; float *output; };",
        _shared_buffer,
    ),
)

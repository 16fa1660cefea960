"""From an input proof that failed to D1's search: collects what both sides hold and hands back its findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.align import align
from rkparity.compare.alignment import LayerPair, PairRole
from rkparity.compare.comparison import Comparison
from rkparity.compare.dumps import DumpSet
from rkparity.compare.input_evidence import gather
from rkparity.compare.inputs import InputEvidence, InputProof
from rkparity.compare.source import TensorSource
from rkparity.compare.verdict import Verdict
from rkparity.diagnose.inputs.problem import ExpectedInput, ObservedInput
from rkparity.diagnose.outputs.sources import beside
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.model.records import Model
from rkparity.runs import open_npy
from rkparity.runs.dump_names import sanitize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.trace import InputGiven, Trace

_DTYPES = {"UINT8": "|u1", "INT8": "|i1", "FLOAT32": "<f4", "FLOAT16": "<f2"}


def input_findings(
    comparison: Comparison,
    dumps: DumpSet,
    reference: TensorSource,
    model: Model | None,
    *,
    picture: NDArray[Any] | None = None,
    traces: Sequence[Trace] = (),
    folder: Path | None = None,
) -> Iterable[Finding]:
    """The causes of every input that is known to differ; pictures of both go into `folder` when it is given."""
    failed = [proof for proof in comparison.inputs if proof.verdict is Verdict.FAIL]
    if not failed:
        return
    pairs = {
        pair.dump.file: pair
        for pair in align(list(dumps.entries), reference.manifest, model).pairs
        if pair.role in (PairRole.INPUT, PairRole.DUPLICATE_INPUT)
    }
    explained: set[str] = set()
    for proof in failed:
        pair = pairs.get(proof.dump)
        # 2.x runtimes write an input again under the operator that reads it.
        if pair is None or proof.tensor in explained:
            continue
        explained.add(proof.tensor)
        found = list(_explain(proof, pair, dumps, reference, model, picture, traces, folder))
        yield from found or [_unexplained(proof)]


def not_taken(dumps: DumpSet, model: Model | None, traces: Sequence[Trace]) -> Iterable[Finding]:
    """Inputs that the application gave last, by its trace, and that the runtime does not hold, by its dump.

    For uint8 pictures, which the dump holds as given, NCHW (evidence 160_gen_u8_nhwc_pt0).
    """
    import numpy as np

    for entry in dumps.entries:
        if not entry.name.is_input or entry.name.suffix.value != "uint8":
            continue
        shape = _nhwc(model, entry.name.tensor)
        if shape is None:
            continue
        kept = [
            (given, open_npy(path).reshape(-1).view("|u1"))
            for given, path in _inputs_of(traces, model, entry.name.tensor)
            if given.type == "UINT8" and not given.pass_through
        ]
        held = open_npy(dumps.path(entry)).transpose(0, 2, 3, 1).reshape(-1)
        same = [
            bytes_given.size >= held.size and np.array_equal(bytes_given[: held.size], held) for _, bytes_given in kept
        ]
        if not kept or (same[-1] and kept[-1][1].size == held.size):
            continue
        given = kept[-1][0]
        earlier = next((place for place, equal in enumerate(same[:-1]) if equal), None)
        size = f" It declared {given.size} bytes, the input has {held.size}." if given.size != held.size else ""
        holds = f"what was given in call {earlier + 1} of {len(kept)}" if earlier is not None else "something else"
        yield Finding(
            "input.not_taken",
            FindingStage.INPUT,
            Severity.ERROR,
            0.97 if earlier is not None else 0.8,
            f"input {entry.name.tensor}: the runtime did not take what the application gave last",
            f"The InputOperator dump holds {holds}, not the last buffer.{size} rknn_inputs_set returns 0 and copies "
            "nothing for a buffer that is too large or of an unsupported layout.",
            (
                Evidence(
                    "trace",
                    f"{len(kept)} calls of rknn_inputs_set",
                    {"declared": float(given.size), "needed": float(held.size)},
                    entry.file,
                ),
            ),
            "Give exactly elements * bytes of the declared type, and look for E lines in the runtime's log.",
            "inputs[0].size = W * H * C;\ninputs[0].fmt = RKNN_TENSOR_NHWC;",
            "RKNN manual 7.2.2 (inputs)",
            subject=entry.name.tensor,
        )


def _explain(
    proof: InputProof,
    pair: LayerPair,
    dumps: DumpSet,
    reference: TensorSource,
    model: Model | None,
    picture: NDArray[Any] | None,
    traces: Sequence[Trace],
    folder: Path | None,
) -> Iterable[Finding]:
    from rkparity.diagnose.inputs import explain_input

    evidence = gather(pair, dumps, reference, model)
    if evidence.is_integer or evidence.dump.dtype.kind not in "iuf":
        return
    expected = _expected(evidence, _earlier(traces, model, evidence.tensor))
    if expected is None:
        return
    observed = replace(_observed(evidence, model), given_range=_range_given(traces, model, evidence.tensor))
    explanation = explain_input(observed, expected, picture, folder=folder)
    if not explanation.findings or explanation.unexplained:
        given = _given(traces, model, evidence)
        if given is not None:
            from_buffer = explain_input(given, expected, picture, folder=folder)
            if from_buffer.findings and not from_buffer.unexplained:
                explanation = from_buffer
    yield from explanation.findings


def _observed(evidence: InputEvidence, model: Model | None) -> ObservedInput:
    tensors = model.input_tensors if model is not None else ()
    tensor = next((item for item in tensors if sanitize(item.name) == sanitize(evidence.tensor)), None)
    float16 = tensor.dtype == "float16" if tensor is not None else not evidence.is_quantized
    return ObservedInput(
        evidence.dump,
        evidence.scale,
        evidence.zero_point,
        float16,
        name=evidence.tensor,
        file=evidence.dump_file,
    )


def _expected(evidence: InputEvidence, earlier: tuple[NDArray[Any], ...]) -> ExpectedInput | None:
    raw = evidence.raw
    if raw is not None and raw.ndim == 4:
        raw = raw.transpose(0, 2, 3, 1)
    if raw is not None and raw.dtype != "uint8":
        raw = None
    if raw is None and evidence.normalized is None:
        return None
    return ExpectedInput(raw, evidence.normalized, evidence.mean or (), evidence.std or (), earlier)


def _all_given(traces: Sequence[Trace], model: Model | None, tensor: str) -> list[tuple[InputGiven, Trace]]:
    """Every rknn_input the application gave for this tensor, in the order of its calls."""
    from rkparity.trace import InputsSet

    if model is None:
        return []
    names = [sanitize(item.name) for item in model.input_tensors]
    index = names.index(sanitize(tensor)) if sanitize(tensor) in names else -1
    return [
        (given, trace)
        for trace in traces
        for call in trace.calls
        if isinstance(call.details, InputsSet)
        for given in call.details.inputs
        if given.position == index
    ]


def _inputs_of(traces: Sequence[Trace], model: Model | None, tensor: str) -> list[tuple[InputGiven, Path]]:
    """Those whose buffers the trace holds."""
    return [
        (given, beside(trace.path.parent, given.content.file))
        for given, trace in _all_given(traces, model, tensor)
        if given.content is not None and given.content.file
    ]


def _range_given(traces: Sequence[Trace], model: Model | None, tensor: str) -> tuple[float, float] | None:
    """The ends of the numbers in the last buffer; None when the trace has no statistics, or the numbers are codes."""
    every = _all_given(traces, model, tensor)
    if not every:
        return None
    given = every[-1][0]
    values = given.content.values if given.content is not None else None
    if given.pass_through or given.type not in ("FLOAT32", "FLOAT16", "UINT8") or values is None:
        return None
    if values.minimum is None or values.maximum is None or values.nan or values.inf:
        return None
    return values.minimum, values.maximum


def _earlier(traces: Sequence[Trace], model: Model | None, tensor: str) -> tuple[NDArray[Any], ...]:
    """What the application gave in runs before the last one, as pixels in NHWC."""
    found = []
    for given, path in _inputs_of(traces, model, tensor)[:-1][-3:]:
        shape = _nhwc(model, tensor)
        array = open_npy(path)
        if given.type == "UINT8" and shape is not None and array.nbytes == _size(shape):
            found.append(array.view("|u1").reshape(shape))
    return tuple(found)


def _given(traces: Sequence[Trace], model: Model | None, evidence: InputEvidence) -> ObservedInput | None:
    """The buffer the application gave last, in the model's order."""
    kept = _inputs_of(traces, model, evidence.tensor)
    shape = _nhwc(model, evidence.tensor)
    if not kept or shape is None:
        return None
    given, path = kept[-1]
    dtype = _DTYPES.get(given.type)
    array = open_npy(path)
    if dtype is None or given.pass_through:
        return None
    values = array.reshape(-1).view(dtype)
    if values.size != _size(shape):
        return None
    picture = values.reshape(shape).transpose(0, 3, 1, 2)
    return ObservedInput(
        picture,
        evidence.scale,
        evidence.zero_point,
        before_normalization=picture.dtype.kind == "f",
        name=evidence.tensor,
        file=path.name,
    )


def _nhwc(model: Model | None, tensor: str) -> tuple[int, ...] | None:
    for item in model.input_tensors if model is not None else ():
        if sanitize(item.name) == sanitize(tensor) and len(item.shape) == 4:
            batch, channels, height, width = item.shape
            return batch, height, width, channels
    return None


def _size(shape: Sequence[int]) -> int:
    size = 1
    for dim in shape:
        size *= dim
    return size


def _unexplained(proof: InputProof) -> Finding:
    return Finding(
        "input.unexplained" if not proof.explanation else "input.differs",
        FindingStage.INPUT,
        Severity.ERROR,
        0.0 if not proof.explanation else 0.8,
        f"input {proof.tensor} is not the simulator's",
        f"{proof.dump} {proof.text}" + (f": {proof.explanation}." if proof.explanation else "."),
        (Evidence("dump", proof.text, {"differing": float(proof.differing), "elements": float(proof.n)}, proof.dump),),
        "Give the same input to the board and to `rkparity simulate`; look at the picture in the dump.",
        reference="RKNN manual 7.2.2 (inputs)",
        subject=proof.tensor,
    )

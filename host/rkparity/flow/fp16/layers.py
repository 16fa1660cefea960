"""Where two runs of one graph part: the original's tensors against golden's, golden's against the simulator's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.simulation import OutputScore, score
from rkparity.runs import RunReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.original.engine import OnnxGraph, OnnxNode

GOLDEN_LIMIT = 1e-3
"""Golden agrees with ONNX Runtime to about 3e-6 (evidence toolkit/*); beyond this it computes something else."""
CONCENTRATED, LOCAL_SHARE = 0.9, 1e-3


@dataclass(frozen=True)
class LayerScore:
    """One tensor whose name both have."""

    order: int
    op_type: str
    score: OutputScore


def common_layers(golden: RunReader, original: Mapping[str, NDArray[Any]]) -> Iterator[LayerScore]:
    """Golden against the original for every tensor of the same name and size, in execution order."""
    for record in golden.manifest.tensors:
        other = original.get(record.name)
        if other is None or record.not_comparable:
            continue
        array = golden.tensor(record)
        if array.size == other.size and array.size and other.dtype.kind in "fiu":
            yield LayerScore(record.order, record.op_type, score(record.name, array, other))


def simulator_layers(golden: RunReader, simulator: RunReader) -> Iterator[LayerScore]:
    """The simulator against golden, tensor by tensor, in execution order."""
    others = {record.name: record for record in golden.manifest.tensors}
    for record in simulator.manifest.tensors:
        other = others.get(record.name)
        if other is None or record.not_comparable or record.dtype == "bool" or record.shape != other.shape:
            continue
        yield LayerScore(
            record.order, record.op_type, score(record.name, simulator.tensor(record), golden.tensor(other))
        )


def golden_wrong(first: LayerScore | None, worst: OutputScore, graph: OnnxGraph | None, known_input: bool) -> Finding:
    """The finding that the toolkit's own float run departs from the original although both had the same input."""
    node = None if first is None or graph is None else graph.maker(first.score.name)
    where = "" if first is None else first.score.name
    what = (node.op_type if node is not None else "" if first is None else first.op_type) or "a layer"
    cause = (
        f"The toolkit's float32 run of its optimised graph departs from the original model at {where or 'an output'}"
        f" ({what}); everything before agrees. mean, std, channel order and layout "
        f"{'are proven right: both started from the same input' if known_input else 'were tried and explain nothing'}."
    )
    fix = (
        f"rewrite {what} in the source model in another way and convert again; report it to the vendor with the "
        "files of `rkparity bundle`"
    )
    if node is not None and is_small_pool(node):
        cause += (
            " rknn-toolkit2 2.2.0 to 2.5.0 turn a MaxPool of kernel 5, stride 1, padding 2 on a 4x4 map into a "
            "global maximum."
        )
        fix = (
            "replace the MaxPool of kernel 5, stride 1, padding 2 by two MaxPools of kernel 3, stride 1, padding 1 in "
            "a row (the same function), or feed a larger map; report it to the vendor with "
            "`rkparity bundle`"
        )
    return Finding(
        id="toolkit.golden_wrong",
        stage=FindingStage.LAYER,
        severity=Severity.ERROR,
        confidence=0.95 if first is not None else 0.6,
        title=f"rknn-toolkit2 converts {what} wrongly" + (f" at {where}" if where else ""),
        cause=cause,
        evidence=(
            Evidence(
                "statistics",
                f"golden against the original at {where or worst.name}",
                {
                    "cosine": (first.score if first else worst).cosine,
                    "relative_error": (first.score if first else worst).relative,
                    "max_abs_error": (first.score if first else worst).max_abs_error,
                },
            ),
        ),
        fix=fix,
        reference="RKNN manual 7.1.1",
        subject=where or worst.name,
    )


def input_unexplained(worst: OutputScore) -> Finding:
    """The finding that the conversion is right and the sample is not what the original was fed, by no known mistake."""
    return Finding(
        id="input.unexplained",
        stage=FindingStage.INPUT,
        severity=Severity.ERROR,
        confidence=0.9,
        title="the original was fed something else than the project's sample",
        cause="Fed with the sample as configured, the original answers what golden answers: the conversion is right. "
        "The reference was made from another input, and no mean, std, channel order or layout turns the sample into "
        "it: another picture, another crop or resize, or another processing.",
        evidence=(
            Evidence(
                "statistics",
                f"golden against the reference at {worst.name}",
                {"cosine": worst.cosine, "relative_error": worst.relative},
            ),
        ),
        fix="make reference and sample from the same picture by the same steps: save what your script feeds the model "
        "(before normalisation as [input] files, after it as [original] inputs)",
        reference="RKNN manual 7.1.1",
        subject=worst.name,
    )


@dataclass(frozen=True)
class Concentration:
    """How few of an output's values hold nine tenths of the squared difference."""

    values: int
    size: int

    @property
    def is_local(self) -> bool:
        """Whether the difference sits in a handful of values: uncertain decisions, not a layer that loses precision."""
        return self.values <= max(self.size * LOCAL_SHARE, 2)

    def text(self) -> str:
        """The same in words."""
        return f"{self.values} of {self.size} values hold 90 percent of the squared difference"


def concentration(test: NDArray[Any], reference: NDArray[Any]) -> Concentration:
    """Of two arrays with as many elements; values that are not finite are left out."""
    import numpy as np

    squared = np.square(test.reshape(-1).astype(np.float64) - reference.reshape(-1).astype(np.float64))
    squared = np.sort(squared[np.isfinite(squared)])[::-1]
    total = float(squared.sum())
    needed = int(np.searchsorted(np.cumsum(squared), CONCENTRATED * total)) + 1 if total else 0
    return Concentration(needed, int(test.size))


def simulator_wrong(first: LayerScore | None, worst: OutputScore, held: Concentration, *, fails: bool) -> Finding:
    """The finding of last resort: configuration and range are fine, golden is right, FP16 departs from it.

    Rounding that adds up over many layers is a warning; too much of it (`fails`) may be an error of the simulator.
    `held` tells an output that is off everywhere from one whose few uncertain values tipped.
    """
    where = worst.name if first is None else first.score.name
    numbers = worst if first is None else first.score
    cause = (
        "The configuration is right, golden agrees with the original and no tensor leaves FP16's range. From "
        f"{where} on the difference is more than one percent: "
    )
    if fails:
        cause += "either it needs more precision than FP16 has, or the simulator computes it wrongly"
    else:
        cause += f"at {worst.name} it is {100 * worst.relative:.1f} percent"
    cause += f"; {held.text()}" + (
        ": a near tie before a softmax or sigmoid that FP16's rounding tips, on this sample." if held.is_local else "."
    )
    return Finding(
        id="simulator.fp16",
        stage=FindingStage.LAYER,
        severity=Severity.ERROR if fails else Severity.WARNING,
        confidence=0.6,
        title=f"the FP16 simulator departs from golden from {where} on"
        if fails
        else f"FP16 rounding adds up: output {worst.name} keeps cos {worst.cosine:.5f}",
        cause=cause,
        evidence=(
            Evidence(
                "statistics",
                f"simulator against golden at {where}",
                {"cosine": numbers.cosine, "relative_error": numbers.relative},
            ),
            Evidence(
                "statistics",
                f"at {worst.name}: {held.text()}",
                {"values": float(held.values), "size": float(held.size)},
            ),
        ),
        fix=_rounding_fix(where, held, fails=fails),
        reference="RKNN manual 7.1.1",
        subject=where,
    )


def _rounding_fix(where: str, held: Concentration, *, fails: bool) -> str:
    if held.is_local:
        return (
            "see whether other samples have it too ([input] files); if not, go on: the value was uncertain in the "
            "original as well. Measure the FP16 model on the data set"
        )
    if fails:
        return (
            "look for differences of large numbers, long sums or exponentials at this layer and rewrite them; else "
            "hand the files of `rkparity bundle` to the vendor"
        )
    return (
        "go on with stage quantized, and measure the FP16 model on the data set: if that is not good enough, look "
        f"for differences of large numbers or long sums at {where}"
    )


def is_small_pool(node: OnnxNode) -> bool:
    """Whether this is a MaxPool of kernel 5 and stride 1: global on a 4x4 map (tests/data/check/pool)."""
    kernel = node.attributes.get("kernel_shape", ())
    strides = node.attributes.get("strides", (1, 1))
    return node.op_type == "MaxPool" and kernel == (5, 5) and max(strides, default=1) == 1

"""Outputs that quantisation empties in part while their cosine stays near 1, and where to split them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rkparity.compare.levels import erased_group
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.quantized.measure import References
from rkparity.flow.quantized.samples import Sample
from rkparity.toolkit.hybrid import Operator

if TYPE_CHECKING:
    from rkparity.toolkit.built_model import BuiltModel
    from rkparity.toolkit.worker_client import Worker

_PASSES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "exDataConvert", "DequantizeLinear")
_ADDED = ("_int8", "__float16", "-rs", "_rs", "_exSecondary")


def erased_findings(
    worker: Worker,
    built: BuiltModel,
    samples: Sequence[Sample],
    references: References,
    operators: Sequence[Operator],
) -> list[Finding]:
    """One finding for every output of which a block of rows is lost in every sample."""
    found: list[Finding] = []
    groups: dict[str, list[str]] = {}
    numbers: dict[str, dict[str, float]] = {}
    for sample, reference in zip(samples, references):
        for name, array, golden in zip(built.outputs, worker.outputs(built.model_id, sample.values), reference):
            known = built.quantization.get(f"{name}_int8") or built.quantization.get(name)
            if known is None or len(known.scale) != 1:
                continue
            group = erased_group(golden, array, known.scale[0])
            if group is not None:
                groups.setdefault(name, []).append(group.text)
                numbers[name] = {"scale": group.scale, "spread": group.spread, "widest": group.widest}
    for name, texts in groups.items():
        if len(texts) == len(samples):
            found.append(_finding(name, texts[0], numbers[name], split_points(operators, name)))
    return found


def _finding(name: str, text: str, numbers: dict[str, float], points: Sequence[str]) -> Finding:
    split = f"Build with the outputs {', '.join(points)}, so that each has its own scale"
    return Finding(
        "quantized.erased_output",
        FindingStage.OUTPUT,
        Severity.ERROR,
        0.95,
        f"output {name}: one scale for values of unlike size, and the small ones are gone",
        f"In {name} {text}. The cosine does not see it, because the large rows make all of it.",
        (Evidence("statistics", "the rows of the output in golden and in the simulator", numbers),),
        f"{split if points else 'Split the output in the model'}, and join the parts in post-processing.",
        f"rknn.load_onnx(model=..., outputs={list(points)})" if points else "",
        "ultralytics/ultralytics#13566, airockchip/rknn-toolkit2#546",
        subject=name,
    )


def split_points(operators: Sequence[Operator], output: str) -> list[str]:
    """The tensors the last concatenation before `output` joins, by their names in the loaded model; empty if none."""
    makers = {name: item for item in operators for name in item.makes}
    name = output
    for _ in range(len(operators)):
        maker = makers.get(name)
        if maker is None:
            return []
        if maker.op_type == "Concat":
            return list(dict.fromkeys(_loaded(item) for item in maker.reads if item in makers))
        made = [item for item in maker.reads if item in makers]
        if maker.op_type not in _PASSES or not made:
            return []
        name = made[0]
    return []


def _loaded(name: str) -> str:
    """A tensor's name before the toolkit's optimisations added to it."""
    while name.endswith(_ADDED):
        name = next(name[: -len(ending)] for ending in _ADDED if name.endswith(ending))
    return name

"""Outputs that hold next to nothing: there is nothing to compare, and no difference means anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.result import Stage, StageResult, StageVerdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Outputs = Mapping[str, NDArray[Any]]

SILENT = 2.0**-20
"""Largest magnitude of an output that says nothing. Float32 kernels of Sigmoid and Softmax are exact to about 1e-7 of 1
and not of the value: ONNX Runtime 1.26's is 47 percent off from float64 over values of 1e-7. FP16 has steps of 6e-8."""


def silent_outputs(reference: Outputs, *others: Outputs) -> dict[str, float]:
    """Names (of the first of `others`) and largest magnitudes of outputs that are all but zero in every one.

    Outputs are taken in their order. One that is zero throughout in the reference is not meant: zeros can be compared.
    """
    import numpy as np

    found = {}
    for name, wanted, *arrays in zip(others[0], reference.values(), *(other.values() for other in others)):
        if not all(array.size and array.dtype.kind == "f" for array in (wanted, *arrays)):
            continue
        largest = [float(np.abs(array).max()) for array in (wanted, *arrays)]
        # A NaN is not less than anything: it is judged.
        if all(value < SILENT for value in largest) and largest[0] > 0:
            found[name] = max(largest)
    return found


def no_answer(silent: Mapping[str, float]) -> Finding:
    """The finding for outputs that were not judged."""
    names, largest = ", ".join(silent), max(silent.values())
    return Finding(
        id="input.no_answer",
        stage=FindingStage.INPUT,
        severity=Severity.WARNING,
        confidence=0.9,
        title=f"the model's answer to this sample is next to nothing ({names}: at most {largest:.2g})",
        cause="The original and the toolkit agree in that, and no more can be said: float32 and FP16 do not resolve "
        "such values, so these outputs were not compared.",
        evidence=(Evidence("statistics", "largest magnitude in original and toolkit", {"largest": largest}),),
        fix="give a sample that holds what the model looks for (a picture with text for a text detector); if this one "
        "does, check mean_values and std_values",
        reference="RKNN manual 7.1.1",
        subject=next(iter(silent)),
    )


def nothing_judged(
    finding: Finding, structure: Sequence[Finding], paths: Mapping[str, str], disk_nbytes: int
) -> StageResult:
    """The stage's result when no output says anything: incomplete, since nothing was proven.

    `structure`: what is wrong with the project's names and shapes, which fails the stage whatever the outputs are.
    """
    findings = (*structure, finding)
    return StageResult(
        Stage.FP16,
        StageVerdict.FAIL if structure else StageVerdict.INCOMPLETE,
        tuple(item.title for item in findings)[:3],
        findings[0].fix,
        findings,
        (),
        dict(paths),
        disk_nbytes=disk_nbytes,
    )

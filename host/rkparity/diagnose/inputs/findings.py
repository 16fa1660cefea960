"""Findings from an explained input: one per step of the chain, with evidence, fix and pictures."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.causes import UNEXPLAINED
from rkparity.diagnose.inputs.problem import InputExplanation, InputHypothesis, ObservedInput
from rkparity.diagnose.registry import cause_of
from rkparity.findings.finding import Evidence, Finding, Severity
from rkparity.io import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.diagnose.inputs.problem import Problem

# A runner-up that explains less than this share of the difference explains nothing.
_WORTH_SHOWING = 0.05


def with_findings(
    answer: InputExplanation, observed: ObservedInput, problem: Problem, folder: Path | None
) -> InputExplanation:
    """The answer with its findings; writes input-observed.png and input-expected.png into `folder`."""
    common = [*_statistics(problem), *_pictures(observed, problem, folder)]
    common += [Evidence("statistics", note) for note in answer.notes]
    findings: list[Finding] = []
    if answer.unexplained or not answer.hypotheses:
        near = [
            Evidence(
                "runner-up",
                f"nearest: {item.text}; it explains {100 * item.explained:.0f} % of the difference and leaves "
                f"{item.remaining}",
                {"explained": item.explained, "residual": item.residual, "matched": item.matched},
            )
            for item in answer.hypotheses[:3]
            if item.explained >= _WORTH_SHOWING
        ]
        findings.append(
            cause_of(UNEXPLAINED).finding(
                0.0, [*near, *common], residual=answer.residual, residual_unit=answer.unit, subject=observed.name
            )
        )
    else:
        best = answer.hypotheses[0]
        findings = [*_of_chain(best, answer, observed, common)]
    return replace(answer, findings=tuple(findings))


def _of_chain(
    best: InputHypothesis, answer: InputExplanation, observed: ObservedInput, common: list[Evidence]
) -> list[Finding]:
    ties = [
        Evidence("tie", f"fits equally well: {item.text}", {"cost": item.cost}) for item in answer.tied if item != best
    ]
    tied_steps = {step.id for step in best.steps}
    for item in answer.tied:
        tied_steps &= {step.id for step in item.steps}
    worth = [item for item in answer.hypotheses[1:] if item.explained >= _WORTH_SHOWING]
    others = [item for item in worth if item not in answer.tied][:1]
    evidence = [
        Evidence(
            "residual",
            f"predicts {100 * best.matched:.2f} % of the elements; remaining: {best.remaining or 'nothing'}",
            {"residual": best.residual, "matched": best.matched, "explained": best.explained, "cost": best.cost},
        ),
        *ties,
        *(Evidence("runner-up", f"next: {item.text}; leaves {item.remaining}", {"cost": item.cost}) for item in others),
        *common,
    ]
    return [
        cause_of(f"input.{step.id}").finding(
            best.confidence,
            [Evidence("fit", step.text, step.numbers), *evidence],
            detail=step.text,
            residual=best.residual,
            residual_unit=answer.unit,
            subject=observed.name,
            severity=None if not ties or step.id in tied_steps else Severity.WARNING,
        )
        for step in best.steps
    ]


def _statistics(problem: Problem) -> list[Evidence]:
    import numpy as np

    result = []
    for what, array in (("observed", problem.observed), ("expected", problem.base)):
        channels = np.asarray(array, np.float32).reshape(-1, array.shape[-1])[:, :4]
        numbers: dict[str, float] = {}
        for index in range(channels.shape[1]):
            numbers[f"mean_{index}"] = float(channels[:, index].mean())
            numbers[f"std_{index}"] = float(channels[:, index].std())
        numbers["min"], numbers["max"] = float(channels.min()), float(channels.max())
        said = ", ".join(f"{numbers[f'mean_{index}']:.4g}" for index in range(channels.shape[1]))
        text = f"{what} input in pixel values: channel means {said}; {numbers['min']:.4g} to {numbers['max']:.4g}"
        result.append(Evidence("statistics", text, numbers))
    return result


def _pictures(observed: ObservedInput, problem: Problem, folder: Path | None) -> list[Evidence]:
    if folder is None or not problem.is_picture:
        return []

    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(char if char.isalnum() or char in "-_" else "_" for char in observed.name)[:80]
    result = []
    for what, array in (("observed", problem.observed), ("expected", problem.base)):
        name = f"input-{stem}-{what}.png" if stem else f"input-{what}.png"
        write_png(folder / name, array)
        result.append(Evidence("picture", f"the {what} input as a picture", {}, name))
    return result


_MOST_PIXELS = 1 << 24


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """(H, W, 1|3|4) numbers, cut to 0..255 and rounded, as an 8-bit PNG; very large pictures are thinned out."""
    import numpy as np

    step = 1
    while (pixels.shape[0] // step) * (pixels.shape[1] // step) > _MOST_PIXELS:
        step += 1
    pixels = np.nan_to_num(pixels[::step, ::step].astype(np.float32), posinf=255.0, neginf=0.0)
    data = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if data.shape[2] == 2:
        data = data[:, :, :1]
    elif data.shape[2] > 4:
        data = data[:, :, :3]
    height, width, channels = data.shape
    rows = np.zeros((height, width * channels + 1), np.uint8)
    rows[:, 1:] = data.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    data_of_file = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + _chunk(b"IEND", b"")
    )
    with replacing(path) as file:
        file.write(data_of_file)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

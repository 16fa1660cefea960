"""The input proof: that board and simulator had the same input, before any layer is judged (manual U4).

What an InputOperator dump holds depends on what the application gave (evidence 160_gen_*, 160_b25_*): the raw pixels
for a uint8 image into a quantised model, the dequantised int8 values otherwise, float32(float16((x - mean) / std)) for
a float16 model. Each has its own rule.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.compare import input_rules as rules
from rkparity.compare.input_rules import Rule, Transform
from rkparity.compare.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The runtime normalises and quantises with a 16-bit factor and a rounded offset (evidence 160_c25_multi_input_int8,
# 160_gen_f32_nhwc_pt0), so a value near the border of two codes may take either. The margin is float32 rounding.
_LSB_ALLOWED = 1.01
# The runtime rounds (x - mean) / std to float32 before float16, the toolkit may not.
_FLOAT16_STEPS_ALLOWED = 1.0
_RELATIVE_ALLOWED = 0.005


class Method(str, enum.Enum):
    """By what an input was proven, or failed to be."""

    RAW_BYTES = "raw-bytes"
    """The dump's pixels against the bytes the simulator was given."""
    NORMALIZED_PIXELS = "normalized-pixels"
    """(pixels - mean) / std, with the compiled model's mean and std, against the simulator's normalised input."""
    QUANTIZED = "quantized"
    """The dequantised int8 values against the simulator's, in LSB."""
    FLOAT16 = "float16"
    """Against the simulator's normalised input rounded to float16, in float16 steps of each value."""
    EXACT = "exact"
    """Integers and truth values: equality."""
    AFFINE_FIT = "affine-fit"
    """Mean and std not known: every channel is one linear function of the simulator's input."""
    RELATIVE = "relative"
    """Scale not known: relative euclidean distance of the quantised input."""
    NONE = "none"
    """There was nothing to compare with."""


@dataclass(frozen=True)
class InputProof:
    """What was found about one model input.

    `max_error` is in `unit`; `differing` of `n` elements are beyond what the rule allows; `exact`: no element differs
    at all. `explanation` names the cause when an exact one was found. `fit` holds (a, b) per channel of an affine fit,
    simulator = a * dump + b. `relative_error` is how much of the input's own difference enters the graph although the
    input counts as equal (float inputs: measured; raw pixels: what the runtime's fixed-point normalisation does).
    """

    dump: str
    tensor: str
    method: Method
    verdict: Verdict
    text: str
    max_error: float | None = None
    unit: str = ""
    differing: int = 0
    n: int = 0
    exact: bool = False
    explanation: str = ""
    fit: tuple[tuple[float, float], ...] = ()
    relative_error: float = 0.0


@dataclass(frozen=True)
class InputEvidence:
    """Everything known about one input; arrays in the model's own order (NCHW for 4-D).

    Any but the dump may be missing. `normalized` is the simulator's input after (x - mean) / std, `quantized` its int8
    twin, dequantised, `raw` what the simulator was given. `mean` and `std` have one value per channel, or one for all.
    `scale` and `zero_point` are the input tensor's when the model is quantised. `is_integer`: the model's input holds
    integers (indices, truth values).
    """

    dump_file: str
    tensor: str
    dump: NDArray[Any]
    normalized: NDArray[Any] | None = None
    quantized: NDArray[Any] | None = None
    raw: NDArray[Any] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | None = None
    zero_point: int = 0
    is_quantized: bool = False
    is_integer: bool = False

    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Mean and std with one value per channel of the dump; None when not known or not fitting."""
        if self.mean is None or self.std is None or not all(self.std):
            return None
        channels = int(self.dump.shape[1]) if self.dump.ndim >= 2 else 1
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, channels):
            return None
        repeat = channels // len(self.mean)
        return list(self.mean) * repeat, list(self.std) * repeat


def prove_input(evidence: InputEvidence) -> InputProof:
    """Judges one input: PASS if proven equal, FAIL if it differs, WARN or NOT_COMPARED if nothing can prove it."""
    import numpy as np

    dump = evidence.dump
    for name, other in (("normalised", evidence.normalized), ("quantised", evidence.quantized), ("raw", evidence.raw)):
        if other is not None and other.size != dump.size:
            return _proof(
                evidence,
                Method.NONE,
                Verdict.FAIL,
                f"the dump holds {dump.size} elements {list(dump.shape)}, the simulator's {name} input "
                f"{other.size} {list(other.shape)}",
            )
    if evidence.normalized is None and evidence.quantized is None and evidence.raw is None:
        return _proof(evidence, Method.NONE, Verdict.NOT_COMPARED, "the reference holds no such input")
    if evidence.is_integer:
        target = evidence.normalized if evidence.normalized is not None else evidence.raw
        if target is None:
            return _proof(evidence, Method.NONE, Verdict.NOT_COMPARED, "the reference holds no such input")
        return _apply(evidence, Method.EXACT, rules.equality(target), dump, "the simulator's input", "units")
    if dump.dtype == np.uint8:
        return _prove_pixels(evidence)
    if dump.dtype.kind in "iu":
        if evidence.scale is None:
            return _proof(
                evidence,
                Method.NONE,
                Verdict.NOT_COMPARED,
                f"the dump holds raw {dump.dtype.name} values and their scale is not known: give --model",
            )
        values = (dump.astype(np.float32) - np.float32(evidence.zero_point)) * np.float32(evidence.scale)
        return _prove_quantized(evidence, values)
    return _prove_quantized(evidence, dump) if evidence.is_quantized else _prove_float16(evidence)


def _prove_pixels(evidence: InputEvidence) -> InputProof:
    dump, known = evidence.dump, evidence.normalization()
    raw_proof = None
    if evidence.raw is not None and evidence.raw.dtype == dump.dtype:
        raw_proof = _apply(
            evidence,
            Method.RAW_BYTES,
            rules.equality(evidence.raw),
            dump,
            "the bytes the simulator was given",
            "pixel values",
        )
        if raw_proof.verdict is Verdict.FAIL:
            return raw_proof
    if evidence.normalized is not None and known is not None:
        proof = _apply(
            evidence,
            Method.NORMALIZED_PIXELS,
            rules.normalized_pixels(evidence.normalized, *known),
            dump,
            "the simulator's normalised input after (x - mean) / std",
            "float32 roundings",
        )
        if proof.verdict is Verdict.FAIL and raw_proof is not None:
            return replace(
                proof,
                explanation="the .rknn was built with another normalisation than the reference",
                text=(
                    f"the pixels are the simulator's, but the compiled model's mean {_numbers(known[0])} and std "
                    f"{_numbers(known[1])} do not give the simulator's normalised input"
                ),
            )
        if proof.verdict is Verdict.FAIL:
            return proof
        best = raw_proof or replace(proof, exact=True)
        return replace(best, relative_error=_fixed_point_error(evidence, *known))
    if raw_proof is not None:
        return raw_proof
    if evidence.normalized is None:
        return _proof(
            evidence, Method.NONE, Verdict.NOT_COMPARED, "the reference holds no input to compare raw pixels with"
        )
    proof = _apply(
        evidence,
        Method.AFFINE_FIT,
        rules.affine(evidence.normalized),
        dump,
        "any a * x + b per channel of the simulator's input",
        "float32 roundings",
    )
    if proof.verdict is Verdict.FAIL:
        return proof
    fit = rules.affine_fit(dump, evidence.normalized)
    said = ", ".join(f"{factor:.6g} * x {offset:+.6g}" for factor, offset in fit)
    return replace(
        proof,
        verdict=Verdict.WARN,
        fit=fit,
        text=(
            f"the same picture as the simulator's up to a * x + b per channel ({said}); not proven equal, because mean "
            "and std are not known: give --model"
        ),
    )


def _prove_quantized(evidence: InputEvidence, values: NDArray[Any]) -> InputProof:
    import numpy as np

    what, target = "the simulator's quantised input", evidence.quantized
    step = evidence.scale if evidence.scale is not None else None if target is None else rules.grid_step(target)
    if target is None:
        if step is None or evidence.normalized is None:
            return _proof(
                evidence,
                Method.NONE,
                Verdict.NOT_COMPARED,
                "the reference holds no quantised input and its scale is not known: give --model",
            )
        what = "the simulator's normalised input, quantised with the model's scale"
        codes = np.rint(np.asarray(evidence.normalized, np.float64) / step) + evidence.zero_point
        target = ((np.clip(codes, -128, 127) - evidence.zero_point) * step).astype(np.float32)
    if step is None:
        proof = _apply(
            evidence, Method.RELATIVE, rules.relative(target, _RELATIVE_ALLOWED), values, what, "relative", noise=0.0
        )
    else:
        proof = _apply(
            evidence, Method.QUANTIZED, rules.within(target, step, _LSB_ALLOWED), values, what, "LSB", noise=step
        )
    return replace(proof, relative_error=0.0 if proof.exact else rules.relative(target, 0.0)(values).max_error)


def _prove_float16(evidence: InputEvidence) -> InputProof:
    if evidence.normalized is None:
        return _proof(evidence, Method.NONE, Verdict.NOT_COMPARED, "the reference holds no such input")
    target = rules.rounded_to_float16(evidence.normalized)
    proof = _apply(
        evidence,
        Method.FLOAT16,
        rules.float16_steps(target, _FLOAT16_STEPS_ALLOWED),
        evidence.dump,
        "the simulator's normalised input in float16",
        "float16 steps",
        noise=0.0,
    )
    return replace(proof, relative_error=0.0 if proof.exact else rules.relative(target, 0.0)(evidence.dump).max_error)


def _apply(
    evidence: InputEvidence,
    method: Method,
    rule: Rule,
    values: NDArray[Any],
    what: str,
    unit: str,
    *,
    noise: float | None = None,
) -> InputProof:
    """`noise` is given for values on the model's side of the normalisation: what quantisation may add to each."""
    difference = rule(values)
    proof = _proof(
        evidence,
        method,
        Verdict.PASS,
        f"equals {what}",
        difference.max_error,
        unit,
        difference.differing,
        difference.n,
        difference.exact,
    )
    if difference.equal:
        measured = method in (Method.QUANTIZED, Method.FLOAT16, Method.RELATIVE) and not difference.exact
        return replace(proof, text=f"equals {what} within {difference.max_error:.3g} {unit}") if measured else proof
    known = evidence.normalization() if noise is not None else None
    explanation = rules.constant_text(evidence.dump) or _first_that_fits(
        rule, values, rules.reversals(evidence.dump.shape, *(known or (None, None)))
    )
    if not explanation and noise is not None and evidence.normalized is not None:
        explanation = rules.linear_text(values, evidence.normalized, noise)
    error = (
        f"by up to {difference.max_error:.6g} {unit}"
        if difference.max_error == difference.max_error
        else "NaN among them"
    )
    share = 100.0 * difference.differing / difference.n
    return replace(
        proof,
        verdict=Verdict.FAIL,
        explanation=explanation,
        text=(f"differs from {what} in {difference.differing} of {difference.n} elements ({share:.3g} %), {error}"),
    )


def _first_that_fits(rule: Rule, values: NDArray[Any], changes: Sequence[tuple[str, Transform]]) -> str:
    return next((name for name, change in changes if rule(change(values)).equal), "")


def _fixed_point_error(evidence: InputEvidence, mean: Sequence[float], std: Sequence[float]) -> float:
    """How far the runtime's fixed-point normalisation of raw pixels moves the quantised input, relative to its norm.

    q = clip(rint(x * S) + O) with S rounded to 15 bits and O to a whole code, as measured on float inputs of the same
    models (evidence 160_c25_multi_input_int8); 0 when the scale is not known.
    """
    import numpy as np

    if evidence.scale is None or evidence.dump.ndim != 4:
        return 0.0
    scale, zero_point = evidence.scale, evidence.zero_point
    pixels = np.arange(256, dtype=np.float64)
    error = norm = 0.0
    for channel, (center, width) in enumerate(zip(mean, std)):
        counts = np.bincount(evidence.dump[:, channel].reshape(-1), minlength=256)
        fraction, exponent = np.frexp(1.0 / (width * scale))
        factor = np.ldexp(np.rint(fraction * 2**15) / 2**15, exponent)
        offset = np.rint(zero_point - center / (width * scale))
        board = np.clip(np.rint(pixels * factor + offset), -128, 127)
        exact = np.clip(np.rint((pixels - center) / (width * scale) + zero_point), -128, 127)
        error += float(np.dot(counts, (board - exact) ** 2))
        norm += float(np.dot(counts, (exact - zero_point) ** 2))
    return float((error / norm) ** 0.5) if norm else 0.0


def _proof(
    evidence: InputEvidence,
    method: Method,
    verdict: Verdict,
    text: str,
    max_error: float | None = None,
    unit: str = "",
    differing: int = 0,
    n: int = 0,
    exact: bool = False,
) -> InputProof:
    return InputProof(
        evidence.dump_file,
        evidence.tensor,
        method,
        verdict,
        text,
        max_error,
        unit,
        differing,
        n or int(evidence.dump.size),
        exact,
    )


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values[:8]) + (", ..." if len(values) > 8 else "") + "]"

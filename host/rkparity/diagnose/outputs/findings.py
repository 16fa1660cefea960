"""An OutputExplanation as a finding."""

from __future__ import annotations

import math

from rkparity.diagnose.outputs.advice import Advice, advice_for, identities
from rkparity.diagnose.outputs.explain import OutputExplanation, OutputReading
from rkparity.diagnose.outputs.match import CACHE_LINE_NBYTES, Extent
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_REFERENCE_GET = "RKNN manual, rknn_outputs_get"


def finding_of(explanation: OutputExplanation) -> Finding | None:
    """The finding about one output; None when the application has it right."""
    if explanation.is_right:
        return None
    if explanation.stale_of:
        return _stale(explanation)
    if explanation.constant is not None:
        return _constant(explanation, explanation.constant)
    if explanation.best is None:
        return _linear(explanation) if explanation.linear is not None else _unexplained(explanation)
    if explanation.missing and _is_as_it_should_be(explanation.best):
        return _short(explanation)
    if explanation.wrong and _is_as_it_should_be(explanation.best):
        return _strewn(explanation)
    best = explanation.best
    advice = advice_for(best.value_id, best.order_id, explanation.expected, best.other, best.detail)
    if best.match.extent is Extent.PREFIX and "-as-" not in best.value_id:
        advice = [*advice, _partly(explanation, best)]
    elif best.match.extent is Extent.LINES:
        advice = [*advice, _cache(best)]
    return _named(explanation, best, advice)


def _named(explanation: OutputExplanation, best: OutputReading, advice: list[Advice]) -> Finding:
    tied = sorted({_identity(explanation, item) for item in explanation.ties} - {_identity(explanation, best)})
    evidence = [_fit(explanation, best)]
    if tied:
        evidence.append(Evidence("tie", f"as good an explanation: {', '.join(tied)}"))
    first = advice[0]
    return Finding(
        id=identities(advice),
        stage=FindingStage.OUTPUT,
        severity=Severity.ERROR,
        confidence=_confidence(best, len(tied)),
        title=f"output {explanation.expected.index}: " + "; ".join(item.title for item in advice),
        cause=" ".join(item.cause for item in advice),
        evidence=tuple(evidence),
        fix=" ".join(item.fix for item in advice),
        fix_code="\n".join(item.code for item in advice if item.code),
        reference=first.reference,
        residual=best.match.max_error,
        residual_unit="value",
        subject=explanation.expected.name,
    )


def _identity(explanation: OutputExplanation, reading: OutputReading) -> str:
    advice = advice_for(reading.value_id, reading.order_id, explanation.expected, reading.other, reading.detail)
    return identities(advice) or "output.partly_right"


def _confidence(best: OutputReading, ties: int) -> float:
    # Few different values fit several readings by chance.
    information = 1.0 - 0.5 ** max(best.match.distinct - 1, 0)
    share = best.match.share if best.match.extent is Extent.WHOLE else 0.85
    return round(0.99 * share * information / (1 + ties), 3)


def _fit(explanation: OutputExplanation, best: OutputReading) -> Evidence:
    match = best.match
    how = best.text or "the output as it should be"
    part = {
        Extent.WHOLE: f"{100 * match.share:.4g} % of {match.n} elements",
        Extent.PREFIX: f"the first {match.count} of {match.n} elements",
        Extent.LINES: f"{100 * match.share:.3g} % of {match.n} elements, in whole {CACHE_LINE_NBYTES}-byte lines",
        Extent.NONE: "nothing",
    }[match.extent]
    return Evidence(
        "fit",
        f"{explanation.observed.source} against {explanation.expected.source}: {how} gives {part}",
        {"share": match.share, "elements": float(match.n), "max_error": match.max_error},
        explanation.observed.file,
    )


def _partly(explanation: OutputExplanation, best: OutputReading) -> Advice:
    count, total = best.match.count, explanation.observed.values.size
    tail = {"zero": "zero", "constant": "one constant", "values": "other values"}.get(best.tail, "other values")
    itemsize = explanation.observed.values.dtype.itemsize
    return Advice(
        "output.partly_filled",
        f"only the first {count} of {total} elements were written",
        f"From element {count} on ({count * itemsize} bytes) the buffer holds {tail}: it was never written there. A "
        "preallocated buffer whose size is too small is left as it is, and rknn_outputs_get still returns 0.",
        "Give the whole size: n_elems * sizeof(float) with want_float = 1, attr.size otherwise; look for "
        "`buf size error` in the runtime's log.",
        "outputs[i].is_prealloc = 1;\noutputs[i].size = attr.n_elems * sizeof(float);\n"
        "outputs[i].buf = malloc(outputs[i].size);",
        _REFERENCE_GET,
    )


def _cache(best: OutputReading) -> Advice:
    return Advice(
        "output.cache",
        "whole cache lines are out of date",
        f"{100 * best.match.share:.3g} % of the elements are right, and right and wrong ones come in whole "
        f"{CACHE_LINE_NBYTES}-byte lines: the CPU reads lines it had cached before the NPU wrote them.",
        "Synchronise the memory after rknn_run, before the CPU reads it (or allocate it uncached).",
        "rknn_run(ctx, NULL);\nrknn_mem_sync(ctx, output_mem, RKNN_MEMORY_SYNC_FROM_DEVICE);",
        "RKNN manual, rknn_mem_sync",
    )


def _constant(explanation: OutputExplanation, value: float) -> Finding:
    expected = explanation.expected
    zero = value == 0
    return Finding(
        id="output.untouched",
        stage=FindingStage.OUTPUT,
        severity=Severity.ERROR,
        confidence=0.9 if _varies(explanation) else 0.5,
        title=f"output {expected.index}: the buffer was never written" + (" (all zero)" if zero else ""),
        cause=f"Every element is {value:g}; the runtime's output is not constant. A preallocated buffer that is too "
        "small is not touched and rknn_outputs_get returns 0 all the same; a buffer may also be read before the run "
        "or after rknn_outputs_release.",
        evidence=(
            Evidence("statistics", f"{explanation.observed.source}: every element is {value:g}", {"value": value}),
        ),
        fix="Check size, is_prealloc and the return codes of rknn_run and rknn_outputs_get; look for `buf size "
        "error` in "
        "the runtime's log.",
        fix_code="outputs[i].want_float = 1;\noutputs[i].is_prealloc = 0;   /* let the runtime allocate */\n"
        "int ret = rknn_outputs_get(ctx, io_num.n_output, outputs, NULL);",
        reference="rockchip-linux/rknpu#48; RKNN manual, rknn_outputs_get",
        subject=expected.name,
    )


def _varies(explanation: OutputExplanation) -> bool:
    values = explanation.expected.values
    return bool(values.size > 1 and values.min() != values.max())


def _stale(explanation: OutputExplanation) -> Finding:
    expected = explanation.expected
    return Finding(
        id="output.stale",
        stage=FindingStage.OUTPUT,
        severity=Severity.ERROR,
        confidence=0.97,
        title=f"output {expected.index}: the result of an earlier run",
        cause=f"The application holds, bit for bit, what {explanation.stale_of} gave: the buffer was not written "
        "again, "
        "or it is read before the run has ended.",
        evidence=(
            Evidence(
                "fit",
                f"{explanation.observed.source} equals {explanation.stale_of}",
                {"share": 1.0},
                explanation.observed.file,
            ),
        ),
        fix="Call rknn_outputs_get after every rknn_run and release the outputs before the next one; with zero-copy "
        "synchronise the memory; with non-blocking runs call rknn_wait.",
        fix_code="rknn_run(ctx, NULL);\nrknn_outputs_get(ctx, n, outputs, NULL);\n/* use them */\n"
        "rknn_outputs_release(ctx, n, outputs);",
        reference="PaddlePaddle/FastDeploy#1989; RKNN manual, rknn_outputs_release",
        subject=expected.name,
    )


def _is_as_it_should_be(best: OutputReading | None) -> bool:
    return best is not None and not best.value_id and not best.order_id and best.other is None


def _short(explanation: OutputExplanation) -> Finding:
    expected, held = explanation.expected, explanation.observed.values.size
    total = expected.values.size
    return Finding(
        id="output.short",
        stage=FindingStage.OUTPUT,
        severity=Severity.ERROR,
        confidence=0.97,
        title=f"output {expected.index}: only {held} of {total} elements",
        cause=f"{explanation.observed.source} holds {held} elements and the output has {total}: the rest was not "
        "judged, and what goes on with it reads something else.",
        evidence=(Evidence("statistics", "elements", {"held": float(held), "expected": float(total)}),),
        fix="Copy the whole buffer: attr.n_elems values of the type you asked for.",
        fix_code="memcpy(values, outputs[i].buf, attr.n_elems * sizeof(float));   /* want_float = 1 */",
        reference=_REFERENCE_GET,
        subject=expected.name,
    )


def _strewn(explanation: OutputExplanation) -> Finding:
    assert explanation.best is not None
    expected, found = explanation.expected, explanation.best.match
    lost = f" ({found.not_finite} of them NaN or Inf)" if found.not_finite else ""
    return Finding(
        id="output.elements",
        stage=FindingStage.OUTPUT,
        severity=Severity.ERROR,
        confidence=0.95,
        title=f"output {expected.index}: {explanation.wrong} of {found.n} elements are wrong",
        cause=f"All other elements are as {expected.source} has them; {explanation.wrong} are not{lost}, the first is "
        f"number {found.first_wrong}. Something wrote into the buffer after the runtime did.",
        evidence=(
            Evidence(
                "fit",
                f"{explanation.observed.source} against {expected.source}",
                {"wrong": float(explanation.wrong), "first": float(found.first_wrong), "elements": float(found.n)},
                explanation.observed.file,
            ),
        ),
        fix="Look for what writes beyond its own memory (AddressSanitizer), and for post-processing done in the buffer "
        "itself; use the buffer before rknn_outputs_release.",
        reference=_REFERENCE_GET,
        subject=expected.name,
    )


def _linear(explanation: OutputExplanation) -> Finding:
    assert explanation.linear is not None
    factor, offset = explanation.linear
    expected = explanation.expected
    cause = f"The application's values are {factor:.8g} * output {offset:+.8g} everywhere."
    if expected.scale is not None:
        used = factor * expected.scale
        zero = expected.zero_point - offset / used if used else math.nan
        cause += (
            f" As a dequantisation that is scale {used:.8g}, zero point {zero:.4g}; the tensor's are "
            f"{expected.scale:.8g} and {expected.zero_point}."
        )
    return Finding(
        id="output.linear",
        stage=FindingStage.OUTPUT,
        severity=Severity.WARNING,
        confidence=0.8,
        title=f"output {expected.index}: scaled and shifted",
        cause=cause,
        evidence=(Evidence("fit", "a linear function of the runtime's output", {"factor": factor, "offset": offset}),),
        fix="If this is no step of your own post-processing, take scale and zero point from RKNN_QUERY_OUTPUT_ATTR.",
        fix_code="rknn_query(ctx, RKNN_QUERY_OUTPUT_ATTR, &attr, sizeof(attr));   /* attr.scale, attr.zp */",
        reference="airockchip/rknn-toolkit2#444",
        subject=expected.name,
    )


def _unexplained(explanation: OutputExplanation) -> Finding:
    expected = explanation.expected
    return Finding(
        id="output.unexplained",
        stage=FindingStage.OUTPUT,
        severity=Severity.WARNING,
        confidence=0.0,
        title=f"output {expected.index}: differs, and nothing known explains it",
        cause=f"{explanation.observed.source} is not {expected.source}, in no type, order or scale known here.",
        evidence=(Evidence("fit", "no reading explains the values", {}, explanation.observed.file),),
        fix="Give the buffer as it comes from rknn_outputs_get, before any post-processing.",
        reference=_REFERENCE_GET,
        subject=expected.name,
    )

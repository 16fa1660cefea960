"""What the figures mean, as the manual reads them: named causes, each with its evidence and the fix."""

from __future__ import annotations

from collections.abc import Sequence

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.quantized.measure import sqnr_db
from rkparity.flow.quantized.trials import Trial, helping
from rkparity.toolkit.hybrid import OutputError, TensorCoverage

MANUAL = "RKNN manual 7.1.2"
COMPLETELY_WRONG = 0.3
FEW_PICTURES, MANY_PICTURES = 20, 200
OUTSIDE_LIMIT = 0.01
OVERLAP_LIMIT = 0.5
LEAST_VALUES = 256
"""A histogram of fewer real values says nothing."""
WIDE_RATIO = 4.0
DATASET_RATIO = 0.5
DATA_RATIO = 0.05


def setting_findings(trials: Sequence[Trial], base: OutputError) -> list[Finding]:
    """One finding for each kind of setting whose change helps, the most helpful first."""
    found: list[Finding] = []
    kinds: set[str] = set()
    for trial in helping(trials, base):
        kind = trial.candidate.kind
        if kind in kinds or kind not in _SETTINGS or trial.error is None:
            continue
        kinds.add(kind)
        title, cause = _SETTINGS[kind]
        found.append(
            Finding(
                f"quantized.{kind}",
                FindingStage.LAYER if kind != "channels" else FindingStage.INPUT,
                Severity.ERROR,
                _confidence(trial.ratio(base)),
                title,
                cause,
                (_measured(trial, base),),
                f"set {trial.candidate.change} in rknn.config() ([build] of rkparity.toml) and build again",
                f"rknn.config(..., {trial.candidate.change})",
                MANUAL,
                residual=trial.ratio(base),
                residual_unit="share of the squared error that is left",
            )
        )
    return found


_SETTINGS = {
    "channels": (
        "calibration pictures have the wrong channel order",
        "quant_img_RGB2BGR does not agree with how the model was trained: ranges were taken from swapped channels",
    ),
    "method": (
        "quantized_method costs accuracy",
        "one scale for a whole weight tensor cannot hold channels of very different size",
    ),
    "algorithm": (
        "quantized_algorithm costs accuracy",
        "ranges taken as plain minimum and maximum follow rare extreme values; another algorithm cuts them off",
    ),
    "level": (
        "a graph optimisation costs accuracy",
        "an optimisation of this level changes the arithmetic of some layers for speed",
    ),
}


def dataset_findings(
    coverage: Sequence[TensorCoverage],
    inputs: Sequence[str],
    lines: int,
    trials: Sequence[Trial],
    base: OutputError,
    *,
    unscaled_inputs: Sequence[str] = (),
    channels_explain: bool = False,
) -> list[Finding]:
    """What is wrong with the calibration set: number of samples, form, likeness to the real inputs.

    `unscaled_inputs`: calibrated with arrays that look normalised already. `channels_explain`: swapping channels mends
    it, so unlike ranges are no finding of their own.
    """
    alone = next((trial for trial in trials if trial.candidate.kind == "dataset"), None)
    alone_helps = alone is not None and alone.ratio(base) <= DATASET_RATIO
    found: list[Finding] = []
    entries = {item.name: item for item in coverage}
    given = [entries[name] for name in inputs if name in entries]
    unscaled = [item for item in given if item.name in unscaled_inputs]
    wide = [item for item in given if _wide(item)]
    counted = [item for item in coverage if item.size >= LEAST_VALUES]
    unlike = [item for item in counted if item.outside > OUTSIDE_LIMIT or item.overlap < OVERLAP_LIMIT]
    proof = (*([_measured(alone, base)] if alone is not None and alone_helps else []), *map(_covered, unlike[:3]))
    if unscaled or wide:
        worst = (unscaled or wide)[0]
        found.append(
            Finding(
                "quantized.dataset.normalised" if unscaled else "quantized.dataset.wide",
                FindingStage.INPUT,
                Severity.ERROR,
                0.9,
                f"calibration data are not in the form of the real inputs (input {worst.name!r})",
                "calibration arrays look already normalised: the toolkit applies mean and std to them again"
                if unscaled
                else "calibration data span a far wider range than the real inputs, so few integer steps are left",
                (_covered(worst), *proof[:1]),
                "save calibration arrays BEFORE mean and std, in the same form and range as the inputs at run time",
                "",
                MANUAL,
                subject=worst.name,
            )
        )
    elif unlike and not channels_explain and (alone_helps or any(item.outside > OUTSIDE_LIMIT for item in given)):
        found.append(
            Finding(
                "quantized.dataset.unlike",
                FindingStage.INPUT,
                Severity.ERROR,
                0.9 if alone_helps else 0.7,
                "the calibration set is unlike the real inputs",
                "values of the real inputs lie where calibration saw none or few: they saturate or get few steps",
                proof,
                "choose 20 to 200 calibration samples from the data of the deployment",
                "",
                MANUAL,
                subject=unlike[0].name,
            )
        )
    if lines < FEW_PICTURES or lines > MANY_PICTURES:
        few = lines < FEW_PICTURES
        found.append(
            Finding(
                "quantized.dataset.few" if few else "quantized.dataset.many",
                FindingStage.INPUT,
                Severity.WARNING,
                0.8 if few and alone_helps else 0.4,
                f"the calibration set has {lines} samples",
                "too few samples do not show the ranges" if few else "too many samples widen ranges and take time",
                proof[:1],
                f"use {FEW_PICTURES} to {MANY_PICTURES} samples that look like the deployment's data",
                "",
                MANUAL,
            )
        )
    return found


def wrong_finding(base: OutputError) -> list[Finding]:
    """Completely wrong results point to the configuration, not to quantisation."""
    if base.cosine >= COMPLETELY_WRONG:
        return []
    return [
        Finding(
            "quantized.configuration",
            FindingStage.INPUT,
            Severity.ERROR,
            0.6,
            f"the quantised result is completely wrong (cosine {base.cosine:.3f})",
            "quantisation loses accuracy, it does not give unrelated results: mean, std or calibration data are wrong",
            (Evidence("statistics", "smallest cosine of an output", {"cosine": base.cosine}),),
            "check mean_values, std_values and the calibration data before trying methods and algorithms",
            "",
            MANUAL,
        )
    ]


def qat_advice(reached: OutputError, cosine: float, layers: int = 0, float_share: float = 0.0) -> Finding:
    """The last advice: quantisation-aware training. `layers`: float tensors the best hybrid needs, `float_share` of the
    work that a model all in float16 would add."""
    share = f" and {float_share:.0%} of the work that float16 adds" if float_share else ""
    return Finding(
        "quantized.qat",
        FindingStage.LAYER,
        Severity.INFO,
        0.5,
        f"settings and hybrid quantisation reach cosine {reached.cosine:.4f} with {layers} tensors in float16{share}; "
        f"{cosine} is asked for",
        "what is left is lost by quantisation itself: no small part of the model makes it",
        (),
        "train with quantisation (QAT), export the model with its quantisation parameters and build it with "
        "do_quantization=False; or stay with float16; or accept the accuracy after checking it on the data set",
        "",
        MANUAL,
    )


def qat_model(count: int) -> Finding:
    """A model that brings its own scales must not be calibrated again."""
    return Finding(
        "quantized.qat_model",
        FindingStage.LAYER,
        Severity.WARNING,
        0.95,
        "the model is already quantised by training (QAT)",
        f"it has {count} QuantizeLinear operators: do_quantization=True would calibrate over its own scales",
        (Evidence("statistics", "operators of the source model", {"QuantizeLinear": float(count)}),),
        "build it with do_quantization=False; the scales of the model are then used",
        "rknn.build(do_quantization=False)",
        MANUAL,
    )


def data_first(findings: Sequence[Finding], trials: Sequence[Trial], base: OutputError, limit: float) -> bool:
    """Whether the calibration data are the cause: with good data the limit is met, so layers are not to be touched."""
    named = any(item.severity is Severity.ERROR and item.id.startswith("quantized.dataset") for item in findings)
    alone = next((trial for trial in trials if trial.candidate.kind == "dataset"), None)
    if not named or alone is None or alone.error is None:
        return False
    return alone.error.cosine >= limit or alone.ratio(base) <= DATA_RATIO


def stated_order(stated: str, swapped: bool, pictures: bool) -> list[Finding]:
    """The project says how the model was trained and quant_img_RGB2BGR says otherwise."""
    if not pictures or (stated == "bgr") == swapped:
        return []
    return [
        Finding(
            "quantized.channels",
            FindingStage.INPUT,
            Severity.ERROR,
            1.0,
            *_SETTINGS["channels"],
            (Evidence("statistics", f"original.channel_order is {stated!r}, quant_img_RGB2BGR is {swapped}"),),
            f"set quant_img_RGB2BGR={not swapped} in rknn.config() ([build] of rkparity.toml) and build again",
            f"rknn.config(..., quant_img_RGB2BGR={not swapped})",
            MANUAL,
        )
    ]


def _measured(trial: Trial, base: OutputError) -> Evidence:
    assert trial.error is not None
    return Evidence(
        "fit",
        f"{trial.candidate.change}: output cosine {base.cosine:.5f} -> {trial.error.cosine:.5f}",
        {
            "cosine before": base.cosine,
            "cosine after": trial.error.cosine,
            "sqnr before (dB)": sqnr_db(base),
            "sqnr after (dB)": sqnr_db(trial.error),
        },
    )


def _covered(item: TensorCoverage) -> Evidence:
    low, high = item.calibration_range
    real_low, real_high = item.real_range
    return Evidence(
        "statistics",
        f"{item.name}: calibration [{low:.4g}, {high:.4g}], real [{real_low:.4g}, {real_high:.4g}], "
        f"{item.outside:.2%} of the real values outside, histograms overlap {item.overlap:.0%}",
        {"outside": item.outside, "overlap": item.overlap},
    )


def _span(bounds: tuple[float, float]) -> float:
    return max(bounds[1] - bounds[0], 1e-12)


def _wide(item: TensorCoverage) -> bool:
    return _span(item.calibration_range) > WIDE_RATIO * _span(item.real_range)


def _confidence(ratio: float) -> float:
    return round(min(max(1.0 - ratio, 0.3), 0.95), 2)

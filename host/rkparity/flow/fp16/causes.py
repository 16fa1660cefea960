"""Names what an explanation means for the settings: the cause, and the lines to write."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity
from rkparity.flow.fp16.fit import Explanation, Numbers, spread
from rkparity.toolkit.built_model import GraphInput
from rkparity.toolkit.inputs import PreparedInput

_SECTION = "RKNN manual 7.1.1"


def name_causes(
    item: PreparedInput, graph: GraphInput, index: int, found: Explanation, confirmed: Evidence
) -> tuple[Finding, ...]:
    """The findings for one input: layout, channel order, mean and std, each only if it is at fault."""
    evidence = (
        Evidence(
            "fit",
            f"with the settings below the {found.compared} agree{'s' if found.compared == 'input' else ''} "
            f"with the original's",
            {"relative_error": found.residual},
        ),
        confirmed,
    )
    findings = []
    if found.view.other_layout:
        findings.append(_layout(item, graph, evidence))
    if found.view.reversed_channels:
        findings.append(_channels(item, graph, evidence))
    values = _mean_std(item, graph, index, found, evidence)
    return tuple(findings) + (() if values is None else (values,))


def same(a: Numbers, b: Numbers, *, tolerance: float = 2e-3) -> bool:
    """Whether two lists say the same normalisation: each number to a small part of its size."""
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance) for x, y in zip(a, b))


def _layout(item: PreparedInput, graph: GraphInput, evidence: tuple[Evidence, ...]) -> Finding:
    right = "nchw" if item.layout == "NHWC" else "nhwc"
    equal = " Height, width and channels are equal here, so nothing complains about the shape."
    return Finding(
        id="input.layout",
        stage=FindingStage.INPUT,
        severity=Severity.ERROR,
        confidence=0.97,
        title=f"input {item.name} is {right.upper()}, it was taken as {item.layout}",
        cause=f"The values fit the original only when the file is read as {right.upper()}." + equal,
        evidence=evidence,
        fix=f"set layout = \"{right}\" in [input]; in your own script inference(..., data_format=['{right}'])",
        fix_code=f'[input]\nlayout = "{right}"',
        reference=_SECTION,
        residual=evidence[0].numbers["relative_error"],
        residual_unit="relative error",
        subject=graph.name,
    )


def _channels(item: PreparedInput, graph: GraphInput, evidence: tuple[Evidence, ...]) -> Finding:
    flag = "false" if graph.rgb2bgr else "true"
    return Finding(
        id="input.channels",
        stage=FindingStage.INPUT,
        severity=Severity.ERROR,
        confidence=0.95,
        title=f"input {item.name} has its channels in the wrong order (RGB against BGR)",
        cause="The values fit the original only with the first and third channel exchanged. OpenCV reads BGR; most "
        "models but Caffe's are trained on RGB.",
        evidence=evidence,
        fix="give the sample in the order the model was trained with (x[..., ::-1], or cv2.cvtColor), and turn "
        f"calibration pictures the same way: quant_img_RGB2BGR = {flag} if the model is trained on "
        f"{'RGB' if graph.rgb2bgr else 'BGR'}; in C fill the buffer in that order",
        fix_code=f"[build]\nquant_img_RGB2BGR = {flag}",
        reference=_SECTION,
        residual=evidence[0].numbers["relative_error"],
        residual_unit="relative error",
        subject=graph.name,
    )


def _mean_std(
    item: PreparedInput, graph: GraphInput, index: int, found: Explanation, evidence: tuple[Evidence, ...]
) -> Finding | None:
    channels = len(found.mean)
    mean, std = spread(graph.mean, channels, 0.0), spread(graph.std, channels, 1.0)
    if same(mean, found.mean) and same(std, found.std):
        return None
    cause_id, why = _relation(mean, std, found.mean, found.std)
    now = f"mean {_text(mean)}, std {_text(std)}"
    fix = (
        "leave mean_values and std_values out, or give the sample before normalisation (as your application will)"
        if cause_id.endswith("doubled")
        else f"set mean_values = {_listed(found.mean)} and std_values = {_listed(found.std)} for input {index} "
        f"({graph.name})"
    )
    return Finding(
        id=cause_id,
        stage=FindingStage.INPUT,
        severity=Severity.ERROR,
        confidence=0.97 if found.compared == "input" else 0.9,
        title=f"mean and std of input {item.name}: {why}",
        cause=f"The build has {now}; the original's input is the sample with mean {_text(found.mean)}, "
        f"std {_text(found.std)}: {why}.",
        evidence=evidence,
        fix=fix,
        fix_code=f"[build]\nmean_values = [{_listed(found.mean)}]\nstd_values = [{_listed(found.std)}]"
        if not cause_id.endswith("doubled")
        else "[build]\nmean_values = []\nstd_values = []",
        reference=_SECTION,
        residual=found.residual,
        residual_unit="relative error",
        subject=graph.name,
    )


def _relation(mean: Numbers, std: Numbers, true_mean: Numbers, true_std: Numbers) -> tuple[str, str]:
    """What the configured numbers are to the right ones."""
    nothing = ((0.0,) * len(mean), (1.0,) * len(std))
    known: Sequence[tuple[str, str, Numbers, Numbers]] = (
        ("config.mean_std.order", "the numbers are there, in the reverse order of the channels", mean[::-1], std[::-1]),
        ("config.mean_std.exchanged", "mean and std are exchanged", std, mean),
        (
            "config.mean_std.unit",
            "they are given for pixels of 0 to 1, the sample's go to 255",
            tuple(255 * value for value in mean),
            tuple(255 * value for value in std),
        ),
        (
            "config.mean_std.unit",
            "they are given for pixels of 0 to 255, the sample's go to 1",
            tuple(value / 255 for value in mean),
            tuple(value / 255 for value in std),
        ),
        (
            "config.std.inverted",
            "std is given as its reciprocal",
            mean,
            tuple(1 / value if value else 1.0 for value in std),
        ),
        ("config.std.missing", "std is not set", mean, true_std if same(std, nothing[1]) else nothing[1]),
        ("config.mean.missing", "mean is not set", true_mean if same(mean, nothing[0]) else nothing[0], std),
    )
    if same(true_mean, nothing[0]) and same(true_std, nothing[1]):
        return "config.mean_std.doubled", "the sample is normalised already, and the model would do it once more"
    if same(mean, nothing[0]) and same(std, nothing[1]):
        return "config.mean_std.missing", "they are not set"
    for cause_id, why, this_mean, this_std in known:
        if same(this_mean, true_mean) and same(this_std, true_std):
            return cause_id, why
    return "config.mean_std.values", "they are not those the original was fed with"


def _text(values: Numbers) -> str:
    return "/".join(f"{value:g}" for value in values)


def _listed(values: Numbers) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"

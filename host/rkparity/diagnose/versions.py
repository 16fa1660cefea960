"""Versions first: a model, a runtime and a driver that do not fit explain a divergence better than any layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rkparity.compare.comparison import Comparison
from rkparity.findings.finding import Evidence, Finding, FindingStage, Severity

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# Below it, wrong results were reported and gone with the newer driver.
_GOOD_DRIVER = (0, 9, 6)


def version_findings(comparison: Comparison) -> Iterable[Finding]:
    """At most one finding for each mismatch: file, toolkit against runtime, driver."""
    sides = comparison.versions
    dumps, reference = sides.get("dumps", {}), sides.get("reference", {})
    model = sides.get("model", {})
    hashes = {
        who: str(value)
        for who, value in (
            ("the board ran", dumps.get("model_sha256")),
            ("the reference is of", reference.get("model_sha256")),
            ("--model is", model.get("sha256")),
        )
        if value
    }
    if len(set(hashes.values())) > 1:
        said = ", ".join(f"{who} {value[:12]}" for who, value in hashes.items())
        yield Finding(
            "versions.model",
            FindingStage.VERSIONS,
            Severity.WARNING,
            0.9,
            "not the same .rknn file",
            f"{said}. Two builds of one model may have other scales and other operators.",
            (Evidence("statistics", "SHA-256 of the model files", {"files": float(len(set(hashes.values())))}),),
            "Copy one .rknn to the board and make the reference from the same build.",
            "sha256sum model.rknn",
        )
    yield from _runtime(dumps, reference, model, comparison.emulated)
    yield from _driver(dumps)


def _runtime(
    dumps: Mapping[str, Any], reference: Mapping[str, Any], model: Mapping[str, Any], emulated: bool
) -> Iterable[Finding]:
    runtime = _parsed(dumps.get("runtime"))
    toolkit = _parsed(model.get("compiler")) or _parsed(reference.get("toolkit"))
    if emulated or runtime is None or toolkit is None:
        return
    # A later patch of a release runs the models of the earlier ones; an earlier one lacks what was mended.
    if runtime[:2] == toolkit[:2] and runtime >= toolkit:
        return
    older = runtime < toolkit
    yield Finding(
        "versions.runtime",
        FindingStage.VERSIONS,
        Severity.WARNING,
        0.7 if older else 0.5,
        f"librknnrt {_text(runtime)} runs a model of toolkit {_text(toolkit)}",
        "The runtime is older than the compiler: operators may be missing or wrong."
        if older
        else "The runtime is newer than the compiler.",
        (
            Evidence(
                "log", f"runtime {dumps.get('runtime')}; compiler {model.get('compiler') or reference.get('toolkit')}"
            ),
        ),
        "Use librknnrt of the toolkit's own version (it comes with the toolkit's release).",
        "strings /usr/lib/librknnrt.so | grep 'librknnrt version'",
        "airockchip/rknn-toolkit2#308, airockchip/rknn-toolkit2#229",
    )


def _driver(dumps: Mapping[str, Any]) -> Iterable[Finding]:
    driver = _parsed(dumps.get("driver"))
    # Drivers of RV1103/1106 and of RKNPU1 count otherwise; this is the one whose versions begin with 0.
    if driver is None or driver[0] != 0 or driver >= _GOOD_DRIVER:
        return
    yield Finding(
        "versions.driver",
        FindingStage.VERSIONS,
        Severity.WARNING,
        0.6,
        f"old NPU driver {_text(driver)}",
        "Wrong results and failing runs with drivers before 0.9.6 were cured by updating it.",
        (Evidence("log", f"driver {dumps.get('driver')}"),),
        "Update the kernel or its rknpu driver.",
        "cat /sys/kernel/debug/rknpu/version",
        "airockchip/rknn-toolkit2#38, rockchip-linux/rknn-toolkit2#271",
    )


def _parsed(text: object) -> tuple[int, int, int] | None:
    match = _VERSION.search(text) if isinstance(text, str) else None
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))

"""Rules about the versions of toolkit, runtime and driver."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rkparity.findings.finding import Severity
from rkparity.lint.rule import Observation, Rule
from rkparity.lint.subject import Subject

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# A kernel driver from before this one was cured by an update (airockchip/rknn-toolkit2#38: 0.9.3 to 0.9.6).
_GOOD_DRIVER = (0, 9, 6)


def version_of(text: str | None) -> tuple[int, int, int] | None:
    """The first version number in `text`."""
    match = _VERSION.search(text or "")
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _old_runtime(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.model is None or view.info is None or view.is_emulated:
            continue
        made, runs = version_of(view.model.compiler_version), version_of(view.info.api_version)
        # The vendor asks for the same version; a newer runtime reads older models, 2.3.0 does not know all of 2.3.2.
        if made is not None and runs is not None and made > runs:
            yield Observation(
                view.number,
                (view.info.seq,),
                f"the model was made by toolkit {_text(made)}, this librknnrt is {_text(runs)}",
                "",
                {"toolkit": _text(made), "runtime": _text(runs)},
            )


def _old_driver(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        if view.info is None or view.is_emulated:
            continue
        runs, driver = version_of(view.info.api_version), version_of(view.info.driver_version)
        if runs is not None and driver is not None and runs >= (2, 0, 0) and (0, 0, 0) < driver < _GOOD_DRIVER:
            yield Observation(
                view.number,
                (view.info.seq,),
                f"the NPU driver is {_text(driver)}, librknnrt is {_text(runs)}",
                "",
                {"driver": _text(driver), "runtime": _text(runs)},
            )


def _other_model(subject: Subject) -> Iterator[Observation]:
    for view in subject.contexts:
        given = view.info.model if view.info is not None else None
        if view.info is None or given is None or given.sha256 is None or view.model is not None:
            continue
        names = [attr.name for attr in view.inputs]
        alike = [item for item in subject.models if names == [tensor.name for tensor in item.input_tensors]]
        # A model that another context runs is expected there.
        loaded = {other.model.sha256 for other in subject.contexts if other.model is not None}
        expected = next((item for item in alike if item.sha256 not in loaded), None)
        if expected is not None:
            yield Observation(
                view.number,
                (view.info.seq,),
                f"the program loaded another build of this model (sha256 {given.sha256[:12]}...) than "
                f"{expected.path.name} ({expected.sha256[:12]}...)",
                "",
                {"loaded": given.sha256, "expected": expected.sha256},
            )


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


RULES = (
    Rule(
        "version-runtime",
        Severity.WARNING,
        "the runtime is older than the model",
        "evidence 152_load_dr_rk3588_2x, 160_load_dr_rk3588_2x; airockchip/rknn-toolkit2#308",
        "Update librknnrt.so on the board to the toolkit's version.",
        "",
        _old_runtime,
    ),
    Rule(
        "version-driver",
        Severity.INFO,
        "the NPU driver is old",
        "airockchip/rknn-toolkit2#38, radxa/kernel#312",
        "Update the board's kernel: driver 0.9.6 or later.",
        "",
        _old_driver,
    ),
    Rule(
        "model-differs",
        Severity.WARNING,
        "the program runs another build of the model",
        "RKNN manual 7.2.2 (U1)",
        "Copy the .rknn file to the board again, or name the one the program runs with --model.",
        "",
        _other_model,
    ),
)

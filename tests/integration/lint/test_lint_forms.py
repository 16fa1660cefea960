"""Correct programs in the forms people write them have no finding, natively and as Arm programs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import traced_app
from rkparity.lint import lint
from rkparity.model import read_model
from traced_app import ROOT, Built

SPLIT, CNN, CNN16, C3 = (
    "b25_split_int8_rk3588",
    "c25_cnn_classifier_int8",
    "c25_cnn_classifier_fp16",
    "b25_c3w30_int8_rk3588",
)
FORMS = [
    ("memset", (SPLIT,)),
    ("memset", (CNN16,)),
    ("async", (SPLIT,)),
    ("native", (C3,)),
    ("pool", (SPLIT,)),
    ("pool", (C3,)),
    ("two", (C3, CNN)),
    ("two", (SPLIT, CNN16)),
]


def compiled(built: Built, folder: Path) -> Built:
    """The same with forms_app for its program."""
    app = folder / "forms_app"
    command = [f"{built.target.prefix}gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}"]
    command += [str(ROOT / "tests" / "c" / "apps" / "forms_app.c"), "-o", str(app), f"-L{built.libraries}"]
    subprocess.run([*command, "-lrknnrt", "-lpthread"], check=True)
    return replace(built, app=app)


@pytest.fixture(scope="module")
def native(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return compiled(built, tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module", params=["aarch64", "armhf"])
def arm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    target = {"aarch64": traced_app.AARCH64, "armhf": traced_app.ARMHF}[request.param]
    yield compiled(traced_app.build(target, tmp_path_factory.mktemp(request.param)), tmp_path_factory.mktemp("forms"))


def check_form(app: Built, socket: str, files: list[Path], folder: Path, form: str) -> None:
    (folder / "trace").mkdir(parents=True)
    (folder / "dumps").mkdir()
    environment = {**app.environment(folder / "trace", folder / "dumps"), "RKPARITY_EMULATOR_SOCKET": socket}
    done = app.run([form, *map(str, files)], environment)
    assert done.returncode == 0, done
    # The first model is the one asked about; the second runs beside it.
    result = lint(folder / "trace", model=read_model(files[0]))
    assert [f"{finding.id}: {finding.cause}" for finding in result.findings] == []
    assert sum(calls for _, _, calls in result.processes) > 10


@pytest.mark.parametrize(("form", "names"), FORMS)
def test_no_finding(
    native: Built, socket: str, models: dict[str, Path], tmp_path: Path, form: str, names: tuple[str, ...]
) -> None:
    check_form(native, socket, [models[name] for name in names], tmp_path, form)


@pytest.mark.qemu
def test_no_finding_on_arm(arm: Built, socket: str, models: dict[str, Path], tmp_path: Path) -> None:
    for number, (form, names) in enumerate(FORMS):
        check_form(arm, socket, [models[name] for name in names], tmp_path / str(number), form)

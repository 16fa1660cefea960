"""How a program died, natively and as an Arm program: which call, and the likely cause."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import traced_app
from rkparity.lint import lint
from rkparity.lint.result_json import to_json
from rkparity.runs import Engine, Manifest, ModelRecord, Precision, RunWriter
from traced_app import ROOT, Built, trace_app

MODEL = "b25_c3w30_int8_rk3588"
LOADER = "./app: symbol lookup error: ./app: undefined symbol: rknn_create_mem2"
CRASH = {"RKPARITY_EMULATOR_CRASH": "1"}
AFTER_DESTROY = (
    *("rknn_query", "rknn_inputs_set", "rknn_run", "rknn_wait", "rknn_outputs_get", "rknn_outputs_release"),
    *("rknn_destroy", "rknn_create_mem", "rknn_destroy_mem", "rknn_set_io_mem", "rknn_set_core_mask"),
    "rknn_set_input_shapes",
)


def compiled(built: Built, folder: Path) -> Built:
    """The same with die_app for its program."""
    app = folder / "die_app"
    command = [f"{built.target.prefix}gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc'}"]
    command += [str(ROOT / "tests" / "c" / "apps" / "die_app.c"), "-o", str(app), f"-L{built.libraries}", "-lrknnrt"]
    subprocess.run([*command, "-lpthread"], check=True)
    return replace(built, app=app)


@pytest.fixture(scope="module")
def dying(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return compiled(built, tmp_path_factory.mktemp("die"))


@pytest.fixture(scope="module", params=["aarch64", "armhf"])
def arm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    target = {"aarch64": traced_app.AARCH64, "armhf": traced_app.ARMHF}[request.param]
    built = traced_app.build(target, tmp_path_factory.mktemp(request.param))
    yield compiled(built, tmp_path_factory.mktemp("die"))


def found(app: Built, socket: str, model: Path, folder: Path, how: str) -> dict[str, Any]:
    result = lint(trace_app(app, socket, model, folder, how, environment=CRASH))
    return {item.id: item for item in result.findings}


def check_after_destroy(app: Built, socket: str, model: Path, folder: Path, call: str) -> None:
    findings = found(app, socket, model, folder, call)
    stopped = ", or was stopped there" if call in ("rknn_run", "rknn_wait") else ""
    assert findings["died-in-call"].cause == f"{call} never returned: the program died in it{stopped}"
    # destroy_mem goes by its memory, which went with the context.
    if call != "rknn_destroy_mem":
        assert "was destroyed (context 1)" in findings["context-unknown"].cause


@pytest.mark.parametrize("call", AFTER_DESTROY)
def test_a_call_after_destroy(dying: Built, socket: str, models: dict[str, Path], tmp_path: Path, call: str) -> None:
    check_after_destroy(dying, socket, models[MODEL], tmp_path, call)


@pytest.mark.qemu
def test_a_call_after_destroy_on_arm(arm: Built, socket: str, models: dict[str, Path], tmp_path: Path) -> None:
    for call in AFTER_DESTROY:
        check_after_destroy(arm, socket, models[MODEL], tmp_path / call, call)
    findings = found(arm, socket, models[MODEL], tmp_path, "nchw")
    assert {"died-in-call", "input-fmt-4d"} <= set(findings)


@pytest.mark.parametrize(
    ("how", "call", "cause"),
    [
        ("nchw", "rknn_inputs_set", "input-fmt-4d"),
        ("zero-copy nchw", "rknn_run", "io-mem-attributes"),
        ("released twice", "rknn_outputs_release", "outputs-released-twice"),
    ],
)
def test_the_likely_cause_is_named(
    dying: Built, socket: str, models: dict[str, Path], tmp_path: Path, *, how: str, call: str, cause: str
) -> None:
    findings = found(dying, socket, models[MODEL], tmp_path, how)
    assert findings["died-in-call"].values["call"] == call
    assert findings[cause].severity.value == "error"


def test_threads_that_were_in_a_run_are_not_accused(
    dying: Built, socket: str, models: dict[str, Path], tmp_path: Path
) -> None:
    findings = found(dying, socket, models[MODEL], tmp_path, "other thread")
    assert "died-in-call" not in findings
    assert "ended-without-exit" in findings


@pytest.mark.parametrize("how", ["own code", "_exit"])
def test_an_end_outside_of_calls_is_said(
    dying: Built, socket: str, models: dict[str, Path], tmp_path: Path, how: str
) -> None:
    findings = found(dying, socket, models[MODEL], tmp_path, how)
    assert set(findings) >= {"ended-without-exit"} and "died-in-call" not in findings
    assert "in its own code, after rknn_outputs_release" in findings["ended-without-exit"].cause


@pytest.mark.parametrize(
    ("settings", "output", "expected"),
    [
        ({"signal": "SIGSEGV"}, "frame 1", [("ended-by-signal", "error"), ("no-library-call", "warning")]),
        ({"signal": "SIGTERM"}, "", [("ended-by-signal", "warning"), ("no-library-call", "warning")]),
        ({"exit_code": 127}, LOADER, [("not-started", "error")]),
        ({"exit_code": 127}, "sh: ./app: not found", [("not-started", "error")]),
        ({"exit_code": 3}, "no camera", [("exit-code", "warning"), ("no-library-call", "warning")]),
        ({"exit_code": 0}, "", [("no-library-call", "warning")]),
        ({"exit_code": 0, "trace": False}, "", []),
    ],
)
def test_a_run_without_calls_has_findings(
    tmp_path: Path, settings: dict[str, Any], output: str, expected: list[tuple[str, str]]
) -> None:
    whole = {"exit_code": None, "signal": None, "timed_out": False, "trace": True, **settings}
    with RunWriter(tmp_path / "run") as writer:
        (writer.folder / "logs").mkdir()
        (writer.folder / "logs" / "stderr.txt").write_text(f"started\n{output}\n")
        writer.finish(
            Manifest(Engine.APP, Precision.QUANTIZED, ModelRecord("m"), (), (), {}, whole, ("logs/stderr.txt",))
        )
    result = lint(tmp_path / "run")
    assert [(item.id, item.severity.value) for item in result.findings] == expected
    assert to_json(result)["counts"]["error"] == sum(severity == "error" for _, severity in expected)
    if "undefined symbol" in output:
        assert "no symbol rknn_create_mem2" in result.findings[0].cause

"""Rules that need another runtime, another model, a reference or a board of another architecture; and the command."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import traced_app
from rkparity.cli.main import main
from rkparity.errors import DataError, UsageError
from rkparity.lint import lint
from rkparity.lint.reference import read_reference
from rkparity.lint.result_json import to_json
from rkparity.model import read_model
from rkparity.report.lint_view import print_lint
from rkparity.runs import Engine, InputForm, Manifest, ModelRecord, Precision, RunWriter
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double, build_double
from traced_app import trace_app

C3 = "b25_c3w30_int8_rk3588"
CNN = "c25_cnn_classifier_int8"
NATIVE_INPUT = "native_input x NHWC INT8 -4 0.0572583526 32 864 1,9,30,3"


def rules(result: Any) -> list[str]:
    return [finding.id for finding in result.findings]


def trace_on_double(
    built: traced_app.Built, folder: Path, *, minimal: bool, lines: list[str], model: Path | None = None
) -> Path:
    libraries = folder / "lib"
    libraries.mkdir(parents=True)
    library = build_double(folder, minimal=minimal)
    shutil.copyfile(library, libraries / "librknnrt.so")
    double = Double(library, folder)
    double.configure(IMAGE_INPUT, NATIVE_INPUT, IMAGE_OUTPUT, *lines)
    (folder / "trace").mkdir()
    environment = {**built.environment(folder / "trace", folder), "LD_LIBRARY_PATH": str(libraries)}
    built.run([str(model or double.model)], {**environment, **double.environment})
    return folder / "trace"


@pytest.mark.parametrize(
    ("versions", "rule", "said"),
    [
        ("2.3.2 0.9.8", "version-runtime", "the model was made by toolkit 2.5.0, this librknnrt is 2.3.2"),
        ("1.6.0 0.9.8", "version-runtime", "the model was made by toolkit 2.5.0, this librknnrt is 1.6.0"),
        ("2.5.0 0.9.3", "version-driver", "the NPU driver is 0.9.3, librknnrt is 2.5.0"),
        ("2.5.0 0.9.8", None, ""),
        ("2.6.1 0.9.6", None, ""),
    ],
)
def test_versions(
    versions: str, rule: str | None, said: str, built: traced_app.Built, models: dict[str, Path], tmp_path: Path
) -> None:
    path = models[C3]
    trace = trace_on_double(built, tmp_path / "run", minimal=False, lines=[f"version {versions}"], model=path)
    found = {item.id: item.cause for item in lint(trace, model=read_model(path)).findings}
    assert {name: why for name, why in found.items() if name.startswith("version-")} == ({rule: said} if rule else {})
    assert "version-runtime" not in rules(lint(trace))


def test_missing_function(built: traced_app.Built, tmp_path: Path) -> None:
    trace = trace_on_double(built, tmp_path, minimal=True, lines=[])
    found = next(item for item in lint(trace).findings if item.id == "function-missing")
    assert "rknn_inputs_set was called, but this librknnrt does not have it" in found.cause


def test_failing_call_is_told_once(built: traced_app.Built, tmp_path: Path) -> None:
    trace = trace_on_double(built, tmp_path, minimal=False, lines=["return rknn_run -1"])
    result = lint(trace)
    assert "error-ignored" in rules(result)
    assert "call-failed" not in rules(result)


def test_another_build_of_the_model(
    built: traced_app.Built, socket: str, models: dict[str, Path], tmp_path: Path
) -> None:
    trace = trace_app(built, socket, models["b25_c3w30_fp16_rk3588"], tmp_path)
    result = lint(trace, model=read_model(models[C3]))
    assert rules(result) == ["model-differs"]
    with pytest.raises(UsageError, match="runs this model"):
        lint(trace, model=read_model(models[CNN]))


def test_output_with_nan(
    built: traced_app.Built, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = traced_app.DependentSource.compute

    def compute(self: Any, inputs: Any, *, want_layers: bool) -> Any:
        values = whole(self, inputs, want_layers=want_layers)
        values.outputs[0].flat[3] = np.nan
        return values

    monkeypatch.setattr(traced_app.DependentSource, "compute", compute)
    model = models["b25_c3w30_fp16_rk3588"]
    with traced_app.serve([model]) as socket:
        result = lint(trace_app(built, socket, model, tmp_path))
    found = next(item for item in result.findings if item.id == "output-not-finite")
    assert "1 NaN and 0 infinite values of 1350" in found.cause


def test_unstable_outputs(
    built: traced_app.Built, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = traced_app.DependentSource.compute
    runs: list[int] = []

    def compute(self: Any, inputs: Any, *, want_layers: bool) -> Any:
        values = whole(self, inputs, want_layers=want_layers)
        runs.append(1)
        values.outputs[0].flat[0] += len(runs)
        return values

    monkeypatch.setattr(traced_app.DependentSource, "compute", compute)
    with traced_app.serve([models[C3]]) as socket:
        assert rules(lint(trace_app(built, socket, models[C3], tmp_path))) == []
        stale = lint(trace_app(built, socket, models[C3], tmp_path, "--mistake", "stale"))
    assert rules(stale) == ["input-stale", "output-unstable"]


@pytest.fixture
def reference(models: dict[str, Path], tmp_path: Path) -> Path:
    """A run whose input is a random picture, NHWC, as `rkparity simulate` keeps it."""
    picture = np.random.default_rng(3).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    path = tmp_path / "reference"
    with RunWriter(path) as writer:
        record = writer.add_input("input", picture, layout="NHWC", form=InputForm.RAW)
        tensor = writer.add_tensor("t", np.zeros(3, np.float32), order=0, op_type="Conv")
        writer.finish(Manifest(Engine.SIMULATOR, Precision.QUANTIZED, ModelRecord("m"), (record,), (tensor,)))
    return path


@pytest.mark.parametrize(
    ("change", "mistake", "said"),
    [
        (lambda x: x, "-", None),
        (lambda x: x[..., ::-1], "-", "with red and blue swapped"),
        (lambda x: x.transpose(0, 3, 1, 2), "-", "in NCHW order"),
        (lambda x: x[..., ::-1].transpose(0, 3, 1, 2), "-", "in NCHW order with red and blue swapped"),
        (lambda x: x[:, ::-1], "-", "upside down"),
        (lambda x: x[:, :, ::-1], "-", "mirrored"),
        (lambda x: x // 2, "-", "no buffer given"),
        (lambda x: x.astype(np.float32), "pixel-floats", None),
        (lambda x: x.astype(np.float32) / np.float32(255), "pixel-floats", "divided by 255"),
        (
            lambda x: (
                (x.astype(np.float32) - np.float32([123.675, 116.28, 103.53])) / np.float32([58.395, 57.12, 57.375])
            ),
            "pixel-floats",
            "normalised already",
        ),
    ],
)
def test_reference_input(
    change: Any,
    mistake: str,
    said: str | None,
    built: traced_app.Built,
    socket: str,
    models: dict[str, Path],
    reference: Path,
    tmp_path: Path,
) -> None:
    picture = np.load(reference / "inputs" / "0.npy")
    data = tmp_path / "data.bin"
    data.write_bytes(np.ascontiguousarray(change(picture)).tobytes())
    # The application makes its own pixel-floats; float-data only declares the type.
    arguments = [
        "--mistake",
        "float-data" if mistake == "pixel-floats" else mistake,
        "--runs",
        "1",
        "--data",
        str(data),
    ]
    trace = trace_app(built, socket, models[CNN], tmp_path, *arguments)
    model = read_model(models[CNN])
    result = lint(trace, model=model, reference=read_reference(reference, model))
    found = [item for item in result.findings if item.id == "input-differs-from-reference"]
    if said is None:
        assert found == []
    else:
        assert len(found) == 1 and said in found[0].cause


@pytest.mark.qemu
@pytest.mark.parametrize("target", [traced_app.AARCH64, traced_app.ARMHF], ids=["aarch64", "armhf"])
def test_same_findings_on_other_architectures(
    target: traced_app.Target,
    built: traced_app.Built,
    socket: str,
    models: dict[str, Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = traced_app.build(target, tmp_path_factory.mktemp("other"))
    cases = [
        ("general", "-"),
        ("zero-copy", "-"),
        ("threads", "-"),
        ("contexts", "-"),
        ("general", "fmt-nchw"),
        ("general", "type-zero-full"),
        ("general", "tiny-floats"),
        ("general", "prealloc-small"),
        ("general", "null-buffer"),
        ("zero-copy", "zc-size"),
        ("zero-copy", "shared"),
        ("zero-copy", "memory-leak"),
    ]
    for api, mistake in cases:
        results = []
        for made in (built, other):
            trace = trace_app(made, socket, models[C3], tmp_path, "--api", api, "--mistake", mistake)
            value = to_json(lint(trace, model=read_model(models[C3])))
            results.append(json.loads(ADDRESS.sub("0x_", json.dumps(without_process(value)))))
        assert results[0] == results[1], (api, mistake)
        assert bool(results[0]["findings"]) == (mistake != "-")


ADDRESS = re.compile(r"0x[0-9a-f]+|(?<=thread )\d+|(?<=process )\d+")


def without_process(value: dict[str, Any]) -> dict[str, Any]:
    calls = [process["calls"] for process in value["processes"]]
    findings = [{**finding, "process": 1} for finding in value["findings"]]
    return {**value, "path": "", "processes": calls, "findings": findings}


def test_command(
    built: traced_app.Built,
    socket: str,
    models: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = trace_app(built, socket, models[C3], tmp_path)
    assert main(["lint", str(good), "--model", str(models[C3])]) == 0
    assert capsys.readouterr().out.endswith("14 calls of 1 process: no finding\n")
    warned = trace_app(built, socket, models[C3], tmp_path, "--mistake", "stale")
    assert main(["lint", str(warned)]) == 0
    assert "14 calls of 1 process: 1 warning\n" in capsys.readouterr().out
    bad = trace_app(built, socket, models[CNN], tmp_path, "--mistake", "size-big")
    report = tmp_path / "lint.json"
    assert main(["lint", str(next(bad.iterdir())), "--json", str(report)]) == 1
    said = capsys.readouterr().out
    assert "ERROR input-size-big: the buffer is larger than the input" in said
    assert "      inputs[0].size = attr.n_elems * sizeof(uint8_t);" in said
    value = json.loads(report.read_text())
    assert value["schema"] == "rkparity.lint/1"
    assert value["counts"] == {"error": 1, "warning": 1, "info": 0}
    assert value["findings"][0]["rule"] == "input-size-big" and value["findings"][0]["count"] == 2
    assert main(["lint", str(bad), "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out) == {**value, "path": str(bad)}
    assert main(["lint", "--list-rules"]) == 0
    assert "input-fmt-4d " in capsys.readouterr().out


def test_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 2
    assert main(["lint", str(tmp_path / "nothing")]) == 2
    assert main(["lint", str(tmp_path)]) == 2
    damaged = tmp_path / "rkparity-1.jsonl"
    damaged.write_text('{"event":"call"}\n')
    assert main(["lint", str(damaged)]) == 3
    said = capsys.readouterr().err
    assert "holds no trace" in said and "the first line is 'call'" in said


def test_damaged_traces_are_refused_or_linted(
    built: traced_app.Built, socket: str, models: dict[str, Path], tmp_path: Path
) -> None:
    """Any value in any field: an error that names it, or findings; never anything else."""
    rng = random.Random(5)  # noqa: S311  reproducible damage, no secrets
    values: list[Any] = [
        None,
        0,
        1,
        -1,
        2**31,
        2**32 - 1,
        2**64,
        0.5,
        1e308,
        "",
        "x",
        "0x0",
        "0x10",
        "UNKNOWN(9)",
        [],
        {},
    ]
    values += [True, [0], [2**32 - 1] * 16, {"a": 1}]
    model = read_model(models[C3])
    linted = 0
    for api, mistake in (("general", "size-big"), ("zero-copy", "shared")):
        trace = trace_app(built, socket, models[C3], tmp_path, "--api", api, "--mistake", mistake)
        lines = [json.loads(line) for line in next(trace.iterdir()).read_text().splitlines()]
        for _ in range(300):
            changed = copy.deepcopy(lines)
            for _ in range(rng.randint(1, 4)):
                node: Any = rng.choice(changed)
                while isinstance(node, (dict, list)) and node:
                    key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
                    if rng.random() < 0.4 or not isinstance(node[key], (dict, list)) or not node[key]:
                        same = [value for value in values if type(value) is type(node[key])]
                        node[key] = rng.choice(same if same and rng.random() < 0.8 else values)
                        break
                    node = node[key]
            path = tmp_path / "rkparity-1.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in changed))
            try:
                result = lint(path, model=model)
            except (DataError, UsageError):
                continue
            json.dumps(to_json(result), allow_nan=False)
            print_lint(result, file=io.StringIO())
            linted += 1
    assert linted > 50


def test_long_traces_take_a_moment(
    built: traced_app.Built, socket: str, models: dict[str, Path], tmp_path: Path
) -> None:
    trace = trace_app(built, socket, models[C3], tmp_path, "--mistake", "stale", "--runs", "4")
    lines = [json.loads(line) for line in next(trace.iterdir()).read_text().splitlines()]
    frame = [line for line in lines if line["event"] == "call" and line["call"] in FRAME]
    head = [line for line in lines if line["event"] in ("start", "library", "context")]
    path = tmp_path / "rkparity-1.jsonl"
    with path.open("w") as file:
        for line in head:
            file.write(json.dumps(line) + "\n")
        for seq in range(20_000):
            line = frame[seq % len(frame)]
            file.write(json.dumps({**line, "seq": seq + 1000}) + "\n")
    started = time.monotonic()
    result = lint(path)
    assert time.monotonic() - started < 20
    stale = next(item for item in result.findings if item.id == "input-stale")
    assert stale.calls is not None and stale.calls.count == 4999 and len(stale.calls.numbers) == 8


FRAME = ("rknn_inputs_set", "rknn_run", "rknn_outputs_get", "rknn_outputs_release")

"""Simulation with the real rknn-toolkit2: the fast way, its own way, and the layers' values are the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toolkit_cases import Case, toolkit_python, unpack

from rkparity.cli.main import main
from rkparity.errors import ToolkitError, UsageError
from rkparity.runs import Precision, Role, RunReader
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.inputs import PreparedInput, prepare_inputs
from rkparity.toolkit.simulate import Simulation, simulate
from rkparity.toolkit.snapshot import FUSED_REASON
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit
CASES = ("cnn_classifier", "multi_input", "non4d", "odd_names")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(toolkit_python(), timeout_s=300) as started:
        yield started


def prepared(worker: Worker, built: BuiltModel, case: Case, folder: Path) -> tuple[PreparedInput, ...]:
    layout = "nchw" if built.inputs[0].shape == (1, 4, 8, 8) else None
    return prepare_inputs(case.inputs, built.inputs, worker, folder, layout=layout)


def differing(ours: RunReader, theirs: RunReader) -> list[str]:
    """Names of the tensors whose files differ, leaving out those the toolkit overwrote."""
    pairs = zip(ours.manifest.tensors, theirs.manifest.tensors)
    return [
        a.name
        for a, b in pairs
        if not b.not_comparable.startswith("its file")
        and ours.file(a.file).read_bytes() != theirs.file(b.file).read_bytes()
    ]


@pytest.mark.parametrize("quantised", [True, False], ids=["int8", "fp16"])
@pytest.mark.parametrize("name", CASES)
def test_fast_and_toolkit_snapshot_and_layers_agree_in_every_byte(
    worker: Worker, name: str, quantised: bool, tmp_path: Path
) -> None:
    case = unpack(name, tmp_path)
    built = worker.build(case.quantised() if quantised else case.spec)
    inputs = prepared(worker, built, case, tmp_path / "feed")
    assert worker.has_fast_snapshot
    fast = simulate(worker, built, inputs, tmp_path / "fast", fast=True)
    slow = simulate(worker, built, inputs, tmp_path / "slow", fast=False)
    for ours, theirs in ((fast.golden, slow.golden), (fast.simulator, slow.simulator)):
        assert [(r.name, r.op_type, r.order, r.role, r.shape, r.dtype, r.scale) for r in ours.manifest.tensors] == [
            (r.name, r.op_type, r.order, r.role, r.shape, r.dtype, r.scale) for r in theirs.manifest.tensors
        ]
        assert differing(ours, theirs) == []
    graph = [fast.golden.tensor(r) for r in fast.golden.manifest.tensors if r.role is Role.INPUT]
    by_name = {r.name: fast.golden.tensor(r) for r in fast.golden.manifest.tensors if r.role is Role.INPUT}
    assert len(graph) == len(built.inputs)
    values = worker.layers(built.model_id, [by_name[item.name] for item in built.inputs])
    assert list(values.layers) != []
    for record in fast.simulator.manifest.tensors:
        layer = values.layers[record.name]
        assert layer.dtype.name == record.dtype
        assert layer.tobytes() == fast.simulator.tensor(record).tobytes(), record.name
    stored = [np.load(path) for path in sorted((case.folder / ("int8" if quantised else "fp16") / "outputs").iterdir())]
    if worker.toolkit_version == "2.5.0":
        assert [output.tobytes() for output in values.outputs] == [output.tobytes() for output in stored]
    outputs = worker.outputs(built.model_id, [by_name[item.name] for item in built.inputs])
    assert [output.tobytes() for output in outputs] == [output.tobytes() for output in values.outputs]


def simulate_case(worker: Worker, name: str, folder: Path) -> tuple[Case, BuiltModel, Simulation]:
    case = unpack(name, folder)
    built = worker.build(case.quantised())
    return case, built, simulate(worker, built, prepared(worker, built, case, folder / "feed"), folder / "out")


def test_a_dequantised_input_gives_the_same_layers(worker: Worker, tmp_path: Path) -> None:
    """What a board holds is q; (q - zp) * scale fed into the graph must quantise to the same q, and so on."""
    _, built, result = simulate_case(worker, "cnn_classifier", tmp_path)
    records = {record.name: record for record in result.simulator.manifest.tensors}
    quantised = result.simulator.tensor(records["input_int8"])
    values = worker.layers(built.model_id, [np.asarray(quantised)])
    for name, record in records.items():
        if name != "input":
            assert values.layers[name].tobytes() == result.simulator.tensor(record).tobytes(), name


def test_names_limit_what_is_given(worker: Worker, tmp_path: Path) -> None:
    case = unpack("non4d", tmp_path)
    built = worker.build(case.spec)
    value = np.load(case.inputs[0])
    assert list(worker.layers(built.model_id, [value], names=["out"]).layers) == ["out"]


def test_quantised_runs_say_scales_blanks_and_roles(worker: Worker, tmp_path: Path) -> None:
    _, built, result = simulate_case(worker, "cnn_classifier", tmp_path)
    manifest = result.simulator.manifest
    assert (manifest.precision, result.golden.manifest.precision) == (Precision.QUANTIZED, Precision.FLOAT32)
    records = {record.name: record for record in manifest.tensors}
    blank = {name for name, record in records.items() if record.not_comparable}
    assert blank == {"/stem/Conv_output_0", "/layer0/BN_output_0", "/layer1/BN_output_0"}
    assert {records[name].not_comparable for name in blank} == {FUSED_REASON}
    assert records["output"].role is Role.OUTPUT
    assert (records["input"].role, records["input"].op_type) == (Role.INPUT, "Input")
    relu = records["/stem/Relu_output_0"]
    assert relu.zero_point == (-128,)
    steps = result.simulator.tensor(relu) / np.float32(relu.scale[0])
    assert np.abs(steps - np.round(steps)).max() < 1e-3
    kept = manifest.inputs[0]
    assert (kept.form.value, kept.layout, kept.dtype, kept.shape) == ("raw", "NHWC", "uint8", (1, 64, 64, 3))
    normalised = result.golden.tensor(result.golden.manifest.tensors[0])
    raw = np.load(result.golden.file(kept.file or "")).transpose(0, 3, 1, 2).astype(np.float32)
    mean, std = (
        np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (built.inputs[0].mean, built.inputs[0].std)
    )
    assert np.allclose(normalised, (raw - mean) / std, atol=1e-6)
    assert "build" in result.simulator.file("logs/toolkit.log").read_text()


def test_tensors_with_colliding_names_are_all_kept(worker: Worker, tmp_path: Path) -> None:
    _, _, result = simulate_case(worker, "odd_names", tmp_path)
    records = {record.name: record for record in result.simulator.manifest.tensors}
    assert {records[name].not_comparable for name in ("a/b", "a_b", "a:b")} == {""}
    tensors = [result.simulator.tensor(records[name]).tobytes() for name in ("a/b", "a_b", "a:b")]
    assert len(set(tensors)) == 3


def test_pictures_are_read_as_the_toolkit_reads_them(worker: Worker, tmp_path: Path) -> None:
    """accuracy_analysis on the file itself and on our reading of it hold the same normalised input, RGB and BGR."""
    case = unpack("cnn_classifier", tmp_path)
    for swapped in (False, True):
        built = worker.build(replace(case.spec, quant_img_RGB2BGR=swapped))
        inputs = prepared(worker, built, case, tmp_path / f"feed{swapped}")
        ours = simulate(worker, built, inputs, tmp_path / f"ours{swapped}").golden
        folder = tmp_path / f"snapshot{swapped}"
        worker.analyse(built.model_id, case.inputs, golden=folder, simulator=folder, folder=folder, fast=False)
        theirs = np.load(folder / "golden" / "npy" / "input.npy")
        assert ours.tensor(ours.manifest.tensors[0]).tobytes() == theirs.tobytes()


def test_a_picture_of_another_size_is_refused_unless_resized(worker: Worker, tmp_path: Path) -> None:
    small = unpack("multi_input", tmp_path).inputs[0]
    built = worker.build(unpack("cnn_classifier", tmp_path).spec)
    with pytest.raises(UsageError, match=r"is 32x32 \(width x height\), the model's input is 64x64"):
        prepare_inputs([small], built.inputs, worker, tmp_path / "feed")
    (stretched,) = prepare_inputs([small], built.inputs, worker, tmp_path / "feed", resize=True)
    assert stretched.raw.shape == (1, 64, 64, 3)
    assert "stretched from 32x32 to 64x64" in stretched.notes[0]


def test_the_toolkit_s_refusals_are_one_line(worker: Worker, tmp_path: Path) -> None:
    case = unpack("cnn_classifier", tmp_path)
    with pytest.raises(ToolkitError, match=r"rknn-toolkit2 config: .*rk9999"):
        worker.build(replace(case.spec, target_platform="rk9999"))
    with pytest.raises(ToolkitError, match=r"mean_values .* is wrong, expect 3"):
        worker.build(replace(case.spec, mean_values=((0.0, 0.0),), std_values=((1.0, 1.0),)))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ToolkitError, match="rknn-toolkit2 load_onnx: "):
        worker.build(replace(case.spec, model=str(broken)))
    built = worker.build(case.spec)
    with pytest.raises(ToolkitError, match="inference"):
        worker.infer(built.model_id, [np.zeros((1, 64, 64, 3))], ["nhwc"])
    assert worker.infer(built.model_id, [np.zeros((1, 64, 64, 3), np.float32)], ["nhwc"])[0].shape == (1, 10)


def test_build_and_simulate_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = str(toolkit_python())
    case = unpack("cnn_classifier", tmp_path)
    monkeypatch.chdir(tmp_path)
    mean, std = (",".join(map(str, values[0])) for values in (case.spec.mean_values, case.spec.std_values))
    options = ["--mean", mean, "--std", std, "--target", "rk3588", "--toolkit-python", python]
    dataset = ["--int8", "--dataset", "cnn_classifier/dataset.txt"]
    assert main(["build", "cnn_classifier/model.onnx", *dataset, *options, "-o", "m.rknn"]) == 0
    assert main(["build", "cnn_classifier/model.onnx", *options, "-o", "m.rknn"]) == 2
    assert json.loads(Path("m.rknn.build.json").read_text())["spec"]["model"] == str(case.folder / "model.onnx")
    simulated = ["--input", str(case.inputs[0]), "--toolkit-python", python]
    assert main(["simulate", "m.rknn", *simulated, "-o", "sim"]) == 0
    assert main(["simulate", "cnn_classifier/model.onnx", *dataset, *options, *simulated[:2], "-o", "again"]) == 0
    first, second = (RunReader.open(tmp_path / name / "simulator") for name in ("sim", "again"))
    assert differing(first, second) == []
    assert (first.manifest.model.name, first.manifest.model.platform) == ("m.rknn", "rk3588")
    assert first.manifest.model.sha256 == json.loads(Path("m.rknn.build.json").read_text())["rknn_sha256"]
    capsys.readouterr()
    assert main(["simulate", "m.rknn", *simulated, "-o", "sim"]) == 2
    assert "exists already" in capsys.readouterr().err
    # A calibration picture replaced since the build: the simulator would no longer be the model's.
    picture = case.folder / "data" / "s0_0.png"
    picture.chmod(0o644)
    picture.write_bytes((case.folder / "data" / "s6_0.png").read_bytes())
    listing = case.folder / "dataset.txt"
    listing.chmod(0o644)
    listing.write_text("data/s0_0.png\n")
    assert main(["simulate", "m.rknn", *simulated, "-o", "other"]) == 3
    said = capsys.readouterr().err
    assert "building it again gives" in said and "the calibration data have changed, such as" in said
    assert not Path("other").exists() or list(Path("other").iterdir()) == []

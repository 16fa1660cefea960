"""Boards on which one operator computes wrong, conversions that lose accuracy: layer and cause are named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from diagnose_bench import Board, BoardMaker
from numpy.typing import NDArray

from rkparity.diagnose.diagnose import Diagnosis, Material, diagnose
from rkparity.findings.finding import Finding
from rkparity.runs import RunReader
from rkparity.toolkit.build_record import write_build_record
from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.simulate import simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit
CNN8 = "cnn_classifier/c25_cnn_classifier_int8"
CNN16 = "cnn_classifier/c25_cnn_classifier_fp16"
MULTI = "multi_input/c25_multi_input_int8"
SPLIT = "b25_split/b25_split_int8_rk3588"


def look(board: Board, dumps: Path, *, model: bool = True) -> Diagnosis:
    return diagnose(dumps, board.simulator, Material(golden=board.golden, model=board.model if model else None))


def layers(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.id: finding for finding in diagnosis.findings if finding.id.startswith("layer.")}


@pytest.mark.parametrize("case", [CNN8, CNN16, MULTI, "non4d/c25_non4d_fp16", "b25_d2/b25_d2_fp16_rk3588"])
@pytest.mark.parametrize("model", [True, False], ids=["model", "names"])
def test_healthy_boards_have_nothing(make_board: BoardMaker, case: str, model: bool) -> None:
    board = make_board(case)
    diagnosis = look(board, board.dumps("healthy"), model=model)
    assert [finding for finding in diagnosis.findings if not finding.id.startswith("quantization.")] == []
    assert int(diagnosis.exit_code) == 0


def zero(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array * 0


def moved(array: NDArray[np.float32]) -> NDArray[np.float32]:
    n, c, h, w = array.shape
    return array.transpose(0, 2, 3, 1).reshape(n, c, h, w)


def two_channels(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array[:, :2] = array[:, :2] * 0.5 + array.std()
    return array


def some_nan(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.reshape(-1)[::9] = np.nan
    return array


@pytest.mark.parametrize("case", [CNN8, CNN16, MULTI])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [(zero, "layer.zero"), (moved, "layer.moved"), (two_channels, "layer.operator"), (some_nan, "layer.nonfinite")],
)
def test_an_operator_that_computes_wrong(make_board: BoardMaker, case: str, fault: object, expected: str) -> None:
    board = make_board(case)
    name = board.layer(0.3)
    diagnosis = look(board, board.dumps(str(expected), {name: fault}))  # type: ignore[dict-item]
    found = layers(diagnosis)
    assert found[expected].subject == name, diagnosis.findings
    assert int(diagnosis.exit_code) == 1
    if fault is two_channels:
        assert any("in 2 of" in item.text for item in found[expected].evidence)
    assert not any("saturat" in key for key in found)


def test_a_wrong_scale_is_named(make_board: BoardMaker) -> None:
    board = make_board(CNN16)
    name = board.layer(0.3)
    found = layers(look(board, board.dumps("scaled", {name: lambda array: array * 1.25})))
    (evidence,) = [item for item in found["layer.linear"].evidence if "factor" in item.numbers]
    assert evidence.numbers["factor"] == pytest.approx(1.25, rel=1e-3)
    assert found["layer.linear"].subject == name


def test_a_dump_that_is_wrong_alone_is_not_blamed_on_the_operator(make_board: BoardMaker) -> None:
    board = make_board(CNN8)
    dumps = board.dumps("alone")
    name = board.layer(0.3)
    path = next(path for path in dumps.glob("*.npy") if name.translate(str.maketrans("/:.;", "____")) in path.name)
    np.save(path, np.zeros_like(np.load(path)))
    diagnosis = look(board, dumps)
    assert list(layers(diagnosis)) == ["layer.dump_only"]
    assert diagnosis.findings[0].subject == name


def test_an_output_operator_that_converts_wrong(make_board: BoardMaker) -> None:
    board = make_board(SPLIT)
    dumps = board.dumps("output")
    path = next(dumps.glob("*OutputOperator_c_*"))
    np.save(path, np.load(path)[:, ::-1].copy())
    found = layers(look(board, dumps))
    assert list(found) == ["layer.output_operator"]


def test_small_differences_everywhere_accumulate(make_board: BoardMaker) -> None:
    board = make_board(CNN16)
    random = np.random.default_rng(3)
    dumps = board.dumps("noise")
    level = 2e-3
    for path in sorted(dumps.glob("*.npy")):
        if "InputOperator" in path.name:
            continue
        values = np.load(path)
        np.save(path, (values * (1 + random.normal(0, level, values.shape))).astype(np.float32))
        level *= 1.9
    diagnosis = look(board, dumps)
    assert "layer.accumulated" in layers(diagnosis), [finding.id for finding in diagnosis.findings]
    assert "layer.operator" not in layers(diagnosis)


SCRIPT = """
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
name, path = sys.argv[1], sys.argv[2]
random = np.random.default_rng(1)
def const(key, array): return numpy_helper.from_array(np.asarray(array, np.float32), key)
def conv(i, o, inputs, outputs, factor=1.0):
    weight = random.normal(0, 0.3, (outputs, inputs, 3, 3)) * np.reshape(factor, (-1, 1, 1, 1))
    return helper.make_node('Conv', [i, o + '_w'], [o], pads=[1, 1, 1, 1]), const(o + '_w', weight)
nodes, weights = [], []
def add(pair): nodes.append(pair[0]); weights.append(pair[1])
add(conv('x', 'a', 3, 8))
nodes.append(helper.make_node('Relu', ['a'], ['ra']))
channels = 8
if name == 'overflow':
    add(conv('ra', 'big', 8, 8, 3e4)); nodes.append(helper.make_node('Relu', ['big'], ['rbig']))
    add(conv('rbig', 'y', 8, 8, 1e-5))
elif name == 'underflow':
    add(conv('ra', 'small', 8, 8, 1e-8)); nodes.append(helper.make_node('Relu', ['small'], ['rsmall']))
    add(conv('rsmall', 'y', 8, 8, 1e4))
elif name == 'outlier':
    add(conv('ra', 'out', 8, 8, [300] + [1] * 7)); nodes.append(helper.make_node('Relu', ['out'], ['rout']))
    add(conv('rout', 'y', 8, 8, 1.0))
    weights[-1] = const('y_w', numpy_helper.to_array(weights[-1]) * np.reshape([1 / 300] + [1] * 7, (1, -1, 1, 1)))
elif name == 'boxes':
    add(conv('ra', 'boxes', 8, 4, 60.0)); add(conv('ra', 'logits', 8, 6, 1.0))
    nodes.append(helper.make_node('Sigmoid', ['logits'], ['scores']))
    nodes.append(helper.make_node('Concat', ['boxes', 'scores'], ['y'], axis=1)); channels = 10
else:
    add(conv('ra', 'y', 8, 8))
graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 16, 16])],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, channels, 16, 16])], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 12)], ir_version=8), path)
"""


def built(worker: Worker, python: Path, name: str, folder: Path, *, quantized: bool, calibration: float = 1.0) -> Board:
    """A model of our own whose conversion loses something, simulated, with a board that agrees with the simulator."""
    from rkparity.model import read_model

    folder.mkdir()
    source = folder / "model.onnx"
    subprocess.run([str(python), "-c", SCRIPT, name, str(source)], check=True, capture_output=True)
    random = np.random.default_rng(9)
    pictures = [np.clip(random.normal(128, 40, (1, 16, 16, 3)), 0, 255).astype(np.uint8) for _ in range(5)]
    for index, picture in enumerate(pictures[1:]):
        np.save(folder / f"c{index}.npy", (picture.transpose(0, 3, 1, 2) * calibration).astype(np.uint8))
    (folder / "dataset.txt").write_text("".join(f"{folder}/c{index}.npy\n" for index in range(4)))
    spec = BuildSpec(
        Framework.ONNX,
        str(source),
        mean_values=((128.0,) * 3,),
        std_values=((64.0,) * 3,),
        target_platform="rk3588",
        do_quantization=quantized,
        dataset=str(folder / "dataset.txt") if quantized else None,
    )
    model = worker.build(spec, export=folder / "model.rknn")
    write_build_record(model)
    np.save(folder / "input.npy", pictures[0])
    prepared = prepare_inputs([folder / "input.npy"], model.inputs, worker, folder / "feed", layout="nhwc")
    simulate(worker, model, prepared, folder / "sim")
    golden = RunReader.open(folder / "sim" / "golden")
    given = np.array(next(golden.tensor(item) for item in golden.manifest.tensors if item.name == "x"))
    inputs = [given if quantized else given.astype(np.float16).astype(np.float32)]
    return Board(
        worker, model, folder / "model.rknn", read_model(folder / "model.rknn"), folder, inputs, {"x": pictures[0]}
    )


def test_float16_overflow(worker: Worker, toolkit_python: Path, tmp_path: Path) -> None:
    board = built(worker, toolkit_python, "overflow", tmp_path / "m", quantized=False)
    diagnosis = look(board, board.dumps("board"))
    (finding,) = [item for item in diagnosis.findings if item.id == "layer.float16_overflow"]
    assert finding.subject in ("big", "rbig")
    assert finding.evidence[0].numbers["golden_largest"] > 65504
    assert int(diagnosis.exit_code) == 1


def test_float16_underflow(worker: Worker, toolkit_python: Path, tmp_path: Path) -> None:
    board = built(worker, toolkit_python, "underflow", tmp_path / "m", quantized=False)
    diagnosis = look(board, board.dumps("board"))
    (finding,) = [item for item in diagnosis.findings if item.id == "layer.float16_underflow"]
    assert finding.subject in ("small", "rsmall")
    assert finding.evidence[0].numbers["golden_largest"] < 2.0**-14


def test_one_scale_for_boxes_and_scores(worker: Worker, toolkit_python: Path, tmp_path: Path) -> None:
    board = built(worker, toolkit_python, "boxes", tmp_path / "m", quantized=True)
    diagnosis = look(board, board.dumps("board"))
    (finding,) = [item for item in diagnosis.findings if item.id == "quantization.shared_range"]
    assert "Channels 4 to 9 (6 of 10)" in finding.cause
    assert int(diagnosis.exit_code) == 1


def test_an_outlying_channel(worker: Worker, toolkit_python: Path, tmp_path: Path) -> None:
    board = built(worker, toolkit_python, "outlier", tmp_path / "m", quantized=True)
    diagnosis = look(board, board.dumps("board"))
    found = {item.id: item for item in diagnosis.findings}
    assert "channel 0 takes the range" in found["quantization.channel_outlier"].title, found


def test_a_range_calibrated_with_the_wrong_pictures(worker: Worker, toolkit_python: Path, tmp_path: Path) -> None:
    board = built(worker, toolkit_python, "plain", tmp_path / "m", quantized=True, calibration=0.0)
    diagnosis = look(board, board.dumps("board"))
    found = {item.id: item for item in diagnosis.findings}
    assert found["quantization.range"].evidence[0].numbers["clipped"] > 0.02
    # The conversion is at fault, not the board: it agrees with the simulator.
    assert int(diagnosis.exit_code) == 0

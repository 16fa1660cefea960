"""The emulated runtime computes what rknn-toolkit2's simulator computes, bit for bit."""

from __future__ import annotations

import ctypes
import hashlib
import json
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_library import Runtime
from emulator_bench import DATA, ROOT, CountingModels

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.emulator.protocol import GraphValue
from rkparity.errors import DataError
from rkparity.model import read_model
from rkparity.runs.void_values import VOID_MARK
from rkparity.toolkit.build_record import read_build_record, write_build_record
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit

F32, U8, I64 = 0, 3, 8
NHWC, NC1HWC2, UNDEFINED = 1, 2, 3
CASES = [
    "b25_c3w30/b25_c3w30_int8_rk3588",
    "b25_c3w30/b25_c3w30_fp16_rk3588",
    "b25_d2/b25_d2_int8_rk3588",
    "b25_ids/b25_ids_int8_rk3588",
    "b25_ids/b25_ids_fp16_rk3588",
    "b25_split/b25_split_int8_rk3588",
    "cnn_classifier/c25_cnn_classifier_int8",
    "cnn_classifier/c25_cnn_classifier_fp16",
    "multi_input/c25_multi_input_int8",
    "multi_input/c25_multi_input_fp16",
    "non4d/c25_non4d_int8",
    "non4d/c25_non4d_fp16",
    "odd_names/c25_odd_names_int8",
]


@pytest.fixture(scope="module")
def catalogue(toolkit_python: Path, models: Path) -> Iterator[ModelCatalogue]:
    catalogue = ModelCatalogue(toolkit_python, [models])
    yield catalogue
    catalogue.close()


@pytest.fixture(scope="module")
def worker(toolkit_python: Path) -> Iterator[Worker]:
    """A worker of its own, used the way a user uses the toolkit."""
    with Worker(toolkit_python) as worker:
        yield worker


def user_inputs(model: Any) -> list[np.ndarray]:
    """What a user gives: pixels for 4-D inputs, NHWC; numbers in the model's order for others."""
    random = np.random.default_rng(7)
    arrays = []
    for tensor in model.input_tensors:
        if len(tensor.shape) == 4:
            n, c, h, w = tensor.shape
            arrays.append(random.integers(0, 256, (n, h, w, c), dtype=np.uint8))
        elif tensor.dtype == "int64":
            arrays.append(random.integers(0, 16, tensor.shape, dtype=np.int64))
        else:
            arrays.append(random.standard_normal(tensor.shape).astype(np.float32))
    return arrays


def to_api(array: np.ndarray) -> tuple[bytes, int, int, int]:
    type_code = {"uint8": U8, "float32": F32, "int64": I64}[array.dtype.name]
    return array.tobytes(), type_code, NHWC if array.ndim == 4 else UNDEFINED, 0


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_layers_equal_the_simulators(
    case: str,
    library: ctypes.CDLL,
    catalogue: ModelCatalogue,
    worker: Worker,
    models: Path,
    served: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rknn = models / f"{case}.rknn"
    model, _ = catalogue.open(hashlib.sha256(rknn.read_bytes()).hexdigest())
    arrays = user_inputs(model)
    with served(catalogue.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
        runtime = Runtime(library)
        assert runtime.init(rknn.read_bytes()) == 0
        assert runtime.inputs_set([to_api(array) for array in arrays]) == 0
        assert runtime.run() == 0
        status, outputs = runtime.outputs_get([True] * len(model.outputs))
        assert status == 0 and runtime.destroy() == 0

    built = worker.build(read_build_record(rknn).spec)
    formats = ["nhwc" if array.ndim == 4 else "nchw" for array in arrays]
    simulated = worker.infer(
        built.model_id, [array.astype(np.float32) if array.dtype == np.uint8 else array for array in arrays], formats
    )
    # The board's CPU makes the FP16 input from float32 arithmetic, the simulator from doubles; and it quantises the
    # numbers it is given itself. Then the last bit may differ; pixels into an int8 model may not.
    exact = "_int8" in case and all(array.dtype != np.float32 for array in arrays)
    exact = exact or all(normalization.is_identity for normalization in model.normalization)
    for got, tensor, expected in zip(outputs, model.output_tensors, simulated):
        values = np.frombuffer(got, np.float32)
        flat = expected.reshape(-1).astype(np.float32)
        if exact:
            np.testing.assert_array_equal(values, flat, err_msg=tensor.name)
        else:
            step = tensor.scale[0] if tensor.is_quantized else 2.0**-10 * np.abs(flat).max()
            assert np.abs(values - flat).max() <= step * 1.001, tensor.name

    names = {path.name for path in (tmp_path / "dumps").iterdir()}
    for dump in model.expected_dumps():
        found = [name for name in names if name.startswith(f"{dump.stem}_") and name.endswith(".npy")]
        assert len(found) == 1, dump.stem
    for got, tensor in zip(outputs, model.output_tensors):
        node = next(
            node
            for node in model.nodes
            if node.op_type == "OutputOperator" and model.tensors[node.inputs[0]].name == tensor.name
        )
        file = next((tmp_path / "dumps").glob(f"{node.index:03d}_OutputOperator_*"))
        np.testing.assert_array_equal(np.load(file).reshape(-1), np.frombuffer(got, np.float32))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source models of the fidelity archive: two pictures at once, a bool input, an int32 input."""
    folder = tmp_path_factory.mktemp("made")
    with tarfile.open(ROOT / "tests" / "data" / "fidelity" / "models.tar.xz") as archive:
        for name in ("b2_int8_rv1106", "boolin_int8_rk3588", "i32in_fp16_rk3588", "c16_int8_rv1106"):
            member = archive.extractfile(f"made/{name}.onnx")
            assert member is not None
            (folder / f"{name}.onnx").write_bytes(member.read())
    return folder


@pytest.mark.parametrize(
    ("name", "int8"),
    [
        ("b2_int8_rv1106", False),
        ("b2_int8_rv1106", True),
        ("boolin_int8_rk3588", False),
        ("boolin_int8_rk3588", True),
        ("i32in_fp16_rk3588", False),
    ],
)
def test_batches_and_integer_inputs(
    name: str, int8: bool, library: ctypes.CDLL, worker: Worker, toolkit_python: Path, made: Path, served: Any
) -> None:
    random = np.random.default_rng(3)
    shapes = {"x": (2, 8, 8, 3)} if name.startswith("b2") else {"m": (1, 16), "x": (1, 16), "a": (1, 16)}
    values = {
        "x": random.integers(0, 256, shapes["x"], dtype=np.uint8)
        if name.startswith("b2")
        else random.integers(-4, 5, shapes["x"]).astype(np.float32),
        "m": random.integers(0, 2, (1, 16)).astype(bool),
        "a": random.integers(0, 5, (1, 16), dtype=np.int32),
    }
    dataset = None
    if int8:
        names = ["x"] if name.startswith("b2") else ["m", "x"]
        for item in names:
            array = values[item]
            np.save(made / f"{item}.npy", array.transpose(0, 3, 1, 2).astype(np.float32) if array.ndim == 4 else array)
        dataset = made / "dataset.txt"
        dataset.write_text(" ".join(str(made / f"{item}.npy") for item in names) + "\n")
    spec = BuildSpec(
        Framework.ONNX,
        str(made / f"{name}.onnx"),
        do_quantization=int8,
        dataset=None if dataset is None else str(dataset),
        target_platform="rk3588",
    )
    rknn = made / f"{name}_{int8}.rknn"
    built = worker.build(spec, export=rknn)
    write_build_record(built)
    model = read_model(rknn)
    arrays = [values[tensor.name] for tensor in model.input_tensors]
    expected = worker.infer(
        built.model_id,
        [array.astype(np.float32) if array.dtype == np.uint8 else array for array in arrays],
        ["nhwc" if array.ndim == 4 else "nchw" for array in arrays],
    )
    codes = {"uint8": U8, "float32": F32, "bool": 9, "int32": 6}
    catalogue = ModelCatalogue(toolkit_python, [rknn])
    try:
        with served(catalogue.open):
            runtime = Runtime(library)
            assert runtime.init(rknn.read_bytes()) == 0
            formats = [NHWC if item.ndim == 4 else UNDEFINED for item in arrays]
            given = [(item.tobytes(), codes[item.dtype.name], fmt, 0) for item, fmt in zip(arrays, formats)]
            assert runtime.inputs_set(given) == 0 and runtime.run() == 0
            status, outputs = runtime.outputs_get([True] * len(model.outputs))
            assert status == 0 and runtime.destroy() == 0
    finally:
        catalogue.close()
    for got, simulated, tensor in zip(outputs, expected, model.output_tensors):
        floats = np.frombuffer(got, np.float32)
        # The board's CPU quantises floats itself: one step of the grid.
        step = tensor.scale[0] * 1.001 if int8 and tensor.is_quantized and arrays[-1].dtype == np.float32 else 0.0
        assert np.abs(floats - simulated.reshape(-1)).max() <= step
        assert len(np.unique(floats)) > 2


def batch_of(worker: Worker, folder: Path, source: Path, **changes: Any) -> Any:
    """`source` built with rknn_batch_size 3."""
    spec = BuildSpec(Framework.ONNX, str(source), extra={"build": {"rknn_batch_size": 3}}, **changes)
    built = worker.build(spec, export=folder / "batch.rknn")
    write_build_record(built)
    return built


@pytest.mark.parametrize("int8", [True, False])
def test_rknn_batch_size(
    int8: bool,
    library: ctypes.CDLL,
    worker: Worker,
    toolkit_python: Path,
    models: Path,
    served: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file's graph is of one sample, the first dimension is the batch; the simulator computes sample by sample."""
    folder = models / "cnn_classifier"
    dataset = {"do_quantization": True, "dataset": str(folder / "dataset.txt")} if int8 else {}
    built = batch_of(
        worker,
        tmp_path,
        folder / "model.onnx",
        mean_values=((123.675, 116.28, 103.53),),
        std_values=((58.395, 57.12, 57.375),),
        **dataset,
    )
    rknn = tmp_path / "batch.rknn"
    model = read_model(rknn)
    assert (model.batch, model.input_tensors[0].shape, model.output_tensors[0].shape) == (3, (3, 3, 64, 64), (3, 10))
    assert built.inputs[0].shape == (3, 3, 64, 64)
    images = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    catalogue = ModelCatalogue(toolkit_python, [rknn])
    try:
        with served(catalogue.open):
            monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
            runtime = Runtime(library)
            assert runtime.init(rknn.read_bytes()) == 0
            (_, given), (_, native) = runtime.attr(1, 0), runtime.attr(9, 0)
            assert list(given.dims[:4]) == [3, 64, 64, 3] and given.n_elems == images.size
            assert native.n_elems == 30
            assert runtime.inputs_set([(images[:1].tobytes(), U8, NHWC, 0)]) == -5
            assert runtime.inputs_set([to_api(images)]) == 0 and runtime.run() == 0
            status, (got,) = runtime.outputs_get([True])
            monkeypatch.setenv("RKNN_LOG_LEVEL", "0")
            monkeypatch.setenv("RKPARITY_EMULATOR_FAULTS", "wrong:/stem/Relu_output_0")
            assert status == 0 and runtime.run() == 0 and runtime.outputs_get([True])[1] != [got]
            assert runtime.destroy() == 0
    finally:
        catalogue.close()
    outputs = np.frombuffer(got, np.float32).reshape(3, 10)
    (simulated,) = worker.infer(built.model_id, [images.astype(np.float32)], ["nhwc"])
    # An FP16 model's input is made by the CPU in float32 (docs/emulator.md): its last bit may differ.
    assert np.abs(outputs - simulated).max() <= (0.0 if int8 else 2.0**-9)
    assert len({row.tobytes() for row in outputs}) == 3
    names = {path.name for path in (tmp_path / "dumps").iterdir()}
    for dump in model.expected_dumps():
        assert sum(name.startswith(f"{dump.stem}_") for name in names) == 1, dump.stem
    layer = np.load(next((tmp_path / "dumps").glob("001_ConvRelu_*")))
    assert layer.shape == (3, 16, 32, 32)
    # Each sample is computed alone: as the same model gives it without a batch.
    single = worker.build(replace(built.spec, extra={}))
    (alone,) = worker.infer(single.model_id, [images[1:2].astype(np.float32)], ["nhwc"])
    np.testing.assert_array_equal(simulated[1:2], alone)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("b25_d2/model.onnx", "only support input n_dims == 4 when batch_size > 1"),
        ("c16", "only support input channel in [1,3,4] when batch_size > 1"),
    ],
)
def test_inputs_a_batch_cannot_have(
    name: str,
    line: str,
    library: ctypes.CDLL,
    worker: Worker,
    toolkit_python: Path,
    models: Path,
    made: Path,
    served: Any,
    tmp_path: Path,
    capfd: Any,
) -> None:
    batch_of(worker, tmp_path, made / "c16_int8_rv1106.onnx" if name == "c16" else models / name)
    catalogue = ModelCatalogue(toolkit_python, [tmp_path / "batch.rknn"])
    try:
        with served(catalogue.open):
            assert Runtime(library).init((tmp_path / "batch.rknn").read_bytes()) == -1
    finally:
        catalogue.close()
    said = capfd.readouterr().err
    assert line in said and ("the real library crashes here" in said) == (name == "c16")


@pytest.mark.parametrize(
    ("chip", "pixels", "c2"),
    [("rk3588", 16, 16), ("rk3576", 16, 16), ("rk3562", 16, 16), ("rk3566", 8, 8), ("rk3568", 8, 8)],
)
def test_strides_and_blocks_are_the_chips(
    chip: str, pixels: int, c2: int, library: ctypes.CDLL, worker: Worker, served: Any, tmp_path: Path
) -> None:
    """Rows of 36 pixels become 48 or 40, int8 outputs come in blocks of 16 or 8 channels; float16 has half of both."""
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 3 * 9 * 36, dtype=np.float32).reshape(1, 3, 9, 36))
    np.save(tmp_path / "s.npy", np.linspace(-1, 1, 40, dtype=np.float32).reshape(1, 5, 8))
    (tmp_path / "dataset.txt").write_text("x.npy s.npy\n")
    for int8 in (True, False):
        spec = BuildSpec(
            Framework.ONNX,
            str(DATA / "two_inputs.onnx"),
            inputs=("x", "s"),
            input_size_list=((1, 3, 9, 36), (1, 5, 8)),
            target_platform=chip,
            do_quantization=int8,
            dataset=str(tmp_path / "dataset.txt") if int8 else None,
        )
        worker.build(spec, export=tmp_path / "chip.rknn")
        nbytes = 1 if int8 else 2
        with served(CountingModels(tmp_path).open):
            runtime = Runtime(library)
            assert runtime.init((tmp_path / "chip.rknn").read_bytes()) == 0
            (_, given), (_, native) = runtime.attr(1, 0), runtime.attr(9, 0)
            stride = -(-36 // (pixels // nbytes)) * (pixels // nbytes)
            assert (given.w_stride, given.size_with_stride) == (stride, 9 * stride * 3 * nbytes)
            assert (native.fmt, native.dims[4]) == (NC1HWC2, c2 // nbytes)
            assert runtime.destroy() == 0


def test_init_is_quick_once_built(library: ctypes.CDLL, catalogue: ModelCatalogue, models: Path, served: Any) -> None:
    data = (models / "cnn_classifier" / "c25_cnn_classifier_int8.rknn").read_bytes()
    with served(catalogue.open):
        first = Runtime(library)
        assert first.init(data) == 0 and first.destroy() == 0
        begin = time.monotonic()
        second = Runtime(library)
        assert second.init(data) == 0 and second.destroy() == 0
        assert time.monotonic() - begin < 1.0


def test_record_of_another_build_is_refused(toolkit_python: Path, models: Path, tmp_path: Path) -> None:
    """The same model with other calibration data has other scales: the emulator must not pass it off as this one."""
    source = models / "b25_c3w30"
    rknn = tmp_path / "m.rknn"
    rknn.write_bytes((source / "b25_c3w30_int8_rk3588.rknn").read_bytes())
    np.save(tmp_path / "other.npy", np.load(next((source / "data").glob("*.npy"))) * 3)
    (tmp_path / "dataset.txt").write_text("other.npy\n")
    record = json.loads((source / "b25_c3w30_int8_rk3588.rknn.build.json").read_text())
    record["spec"]["dataset"] = str(tmp_path / "dataset.txt")
    (tmp_path / "m.rknn.build.json").write_text(json.dumps(record))
    catalogue = ModelCatalogue(toolkit_python, [rknn])
    try:
        with pytest.raises(DataError, match=r"m\.rknn: building it again from its record gives another x"):
            catalogue.prepare()
    finally:
        catalogue.close()


def test_a_model_without_a_record_has_no_values_and_needs_no_toolkit(models: Path) -> None:
    def no_toolkit() -> Path:
        raise AssertionError("a toolkit was asked for")

    rknn = models / "t1_net_25.rknn"
    catalogue = ModelCatalogue(no_toolkit, [rknn])
    catalogue.prepare()
    model, source = catalogue.open(hashlib.sha256(rknn.read_bytes()).hexdigest())
    catalogue.close()
    assert catalogue.void_files() == [rknn] and source.description.startswith(VOID_MARK)
    (tensor,) = model.input_tensors
    data = np.zeros(tensor.shape, tensor.dtype).tobytes()
    values = source.compute([GraphValue(tensor.dtype, memoryview(data), False)], want_layers=True)
    assert dict(values.layers) == {} and not any(output.any() for output in values.outputs)
    assert [output.dtype.name for output in values.outputs] == [item.dtype for item in model.output_tensors]
    with pytest.raises(DataError, match="bytes of"):
        source.compute([GraphValue(tensor.dtype, memoryview(data[1:]), False)], want_layers=False)

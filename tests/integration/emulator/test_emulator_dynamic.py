"""Models built with dynamic_input: sets of input shapes, queries about them, both APIs, values of the right graph."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_library import Runtime, TensorAttr
from emulator_bench import DATA, CountingModels, counting

from rkparity.emulator.catalogue import ModelCatalogue
from rkparity.model import Model, read_model
from rkparity.toolkit.build_record import write_build_record
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

F32, F16, U8 = 0, 1, 3
NCHW, NHWC, UNDEFINED = 0, 1, 3
# In NHWC, in the file's order: the largest first.
SHAPES = [[1, 27, 60, 3], [1, 18, 30, 3], [1, 9, 30, 3]]
TWO_INPUTS = [([1, 3, 9, 30], [1, 5, 8]), ([1, 3, 18, 15], [1, 7, 8]), ([1, 3, 12, 20], [1, 3, 8])]


@pytest.fixture(scope="module")
def dynamic() -> bytes:
    """FP16, input x (1, 3, H, W), output y (1, 5, H, W), by the toolkit."""
    return (DATA / "dynamic_input.rknn").read_bytes()


@pytest.fixture
def sources() -> CountingModels:
    return CountingModels(DATA)


@pytest.fixture
def opened(library: ctypes.CDLL, dynamic: bytes, sources: CountingModels, served: Any) -> Iterator[Runtime]:
    with served(sources.open):
        runtime = Runtime(library)
        assert runtime.init(dynamic) == 0
        yield runtime
        assert runtime.destroy() == 0


def dims(answer: tuple[int, TensorAttr]) -> list[int]:
    status, attr = answer
    assert status == 0
    return list(attr.dims[: attr.n_dims])


def test_ranges_are_the_files_shapes(opened: Runtime) -> None:
    status, found = opened.input_range(0)
    assert (status, found.index, found.shape_number, found.fmt, found.name, found.n_dims) == (0, 0, 3, NHWC, b"x", 4)
    assert [list(found.dyn_range[i][:4]) for i in range(3)] == SHAPES
    assert opened.input_range(1)[0] == -5


def test_before_a_shape_is_set(opened: Runtime, capfd: Any) -> None:
    assert dims(opened.attr(1, 0)) == SHAPES[0] and dims(opened.attr(2, 0)) == [1, 5, 27, 60]
    assert [opened.attr(command, 0)[0] for command in (14, 15, 16, 17)] == [-7] * 4
    said = capfd.readouterr().err
    assert "query RKNN_QUERY_CURRENT_OUTPUT_ATTR error, please call rknn_set_input_shape first" in said
    assert "static shape type" not in said
    image = np.zeros(SHAPES[0], np.uint8)
    assert opened.inputs_set([(image.tobytes(), U8, NHWC, 0)]) == 0 and opened.run() == 0
    assert len(opened.outputs_get([True])[1][0]) == 4 * 5 * 27 * 60


def test_current_attributes_follow_the_shape(opened: Runtime) -> None:
    for shape in [*SHAPES, SHAPES[1]]:
        n, h, w, c = shape
        assert opened.set_shapes([shape]) == 0
        assert dims(opened.attr(14, 0)) == shape and dims(opened.attr(15, 0)) == [1, 5, h, w]
        _, given = opened.attr(14, 0)
        stride = (w + 7) // 8 * 8
        assert (given.n_elems, given.size, given.w_stride) == (n * h * w * c, 2 * n * h * w * c, stride)
        assert given.size_with_stride == 2 * h * stride * c
        assert dims(opened.attr(16, 0)) == shape
        _, native = opened.attr(17, 0)
        # Surfaces of whole groups of four pixels; 270 is none (docs/emulator.md).
        plane = [h, w] if h * w % 4 == 0 else [1, (h * w + 3) // 4 * 4]
        assert list(native.dims[:5]) == [1, 2, *plane, 8]
        # The plain queries follow: rknn-toolkit-lite2 shapes its outputs by them.
        assert dims(opened.attr(1, 0)) == shape and dims(opened.attr(2, 0)) == [1, 5, h, w]
        assert dims(opened.attr(9, 0)) == dims(opened.attr(17, 0))


def test_shapes_the_model_does_not_have(opened: Runtime, capfd: Any) -> None:
    assert opened.set_shapes([SHAPES[2]]) == 0
    capfd.readouterr()
    assert opened.set_shapes([[1, 10, 30, 3]]) == -1
    said = capfd.readouterr().err
    assert "rknn_set_input_shapes error, input name = x supported input shapes are as follows:" in said
    assert " shape = [1,27,60,3], layout = NHWC" in said and " shape = [1,9,30,3], layout = NHWC" in said
    assert "while get rknn_tensor_attr[0].name = x, dims = [1, 10, 30, 3], fmt = NHWC" in said
    assert opened.set_shapes([[1, 3, 9, 30]], fmts=[NCHW]) == -1
    assert opened.set_shapes([[1, 3, 9, 30]]) == -1
    assert opened.set_shapes([]) == -5
    assert opened.library.rknn_set_input_shapes(opened.context, 1, None) == -5
    assert dims(opened.attr(14, 0)) == SHAPES[2]


def test_the_old_call_sets_one_input(opened: Runtime) -> None:
    _, attr = opened.attr(1, 0)
    attr.dims[1] = 9
    attr.dims[2] = 30
    assert opened.library.rknn_set_input_shape(opened.context, ctypes.byref(attr)) == 0
    assert dims(opened.attr(14, 0)) == SHAPES[2]
    attr.dims[2] = 31
    assert opened.library.rknn_set_input_shape(opened.context, ctypes.byref(attr)) == -1


def test_static_models_refuse(library: ctypes.CDLL, counting_models: Any, models: Path, served: Any) -> None:
    with served(counting_models.open):
        runtime = Runtime(library)
        assert runtime.init((models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn").read_bytes()) == 0
        assert runtime.set_shapes([[1, 9, 30, 3]]) == -6 and runtime.input_range(0)[0] == -6
        assert runtime.destroy() == 0


def test_what_cannot_be_done_with_dynamic_shapes(
    opened: Runtime, dynamic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Runtime(opened.library)
    assert opened.library.rknn_dup_context(ctypes.byref(opened.context), ctypes.byref(other.context)) == -1
    assert [Runtime(opened.library).init(dynamic, flags=flag) for flag in (0x10, 0x20)] == [-5, -5]
    monkeypatch.setenv("RKPARITY_EMULATOR_VERSION", "mini-2.3.2")
    assert Runtime(opened.library).init(dynamic) == -6


def test_general_api_at_every_shape(
    opened: Runtime, sources: CountingModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    for index, shape in [(2, SHAPES[2]), (0, SHAPES[0]), (1, SHAPES[1])]:
        _, h, w, _ = shape
        image = random.integers(0, 256, shape, dtype=np.uint8)
        assert opened.set_shapes([shape]) == 0
        assert opened.inputs_set([(image.tobytes()[:-1], U8, NHWC, 0)]) == -5
        assert opened.inputs_set([(image.tobytes(), U8, NHWC, 0)]) == 0 and opened.run() == 0
        first = sources.sources["dynamic_input.rknn"]
        source = first if index == 0 else first.graphs[index]
        np.testing.assert_array_equal(source.inputs[0], image.transpose(0, 3, 1, 2).astype(np.float32))
        status, (output,) = opened.outputs_get([True])
        assert status == 0
        expected = counting((1, 5, h, w), "float16").astype(np.float32)
        np.testing.assert_array_equal(np.frombuffer(output, np.float32), expected)


def test_dumps_have_the_current_shape(
    library: ctypes.CDLL,
    dynamic: bytes,
    sources: CountingModels,
    served: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served(sources.open):
        monkeypatch.setenv("RKNN_LOG_LEVEL", "5")
        runtime = Runtime(library)
        assert runtime.init(dynamic) == 0 and runtime.set_shapes([SHAPES[1]]) == 0
        image = np.random.default_rng(2).integers(0, 256, SHAPES[1], dtype=np.uint8)
        assert runtime.inputs_set([(image.tobytes(), U8, NHWC, 0)]) == 0 and runtime.run() == 0
        assert runtime.destroy() == 0
    names = sorted(path.name for path in (tmp_path / "dumps").iterdir())
    assert names == [
        "000_InputOperator_x_shape_1_3_18_30_float.npy",
        "001_Conv_y_shape_1_5_18_30_float.npy",
        "002_OutputOperator_y_shape_1_5_18_30_float.npy",
    ]
    given = np.load(tmp_path / "dumps" / names[0])
    np.testing.assert_array_equal(given, image.transpose(0, 3, 1, 2).astype(np.float32))


def test_zero_copy_in_memory_of_the_largest_shape(opened: Runtime, sources: CountingModels) -> None:
    """As the vendor's guide has it: memories of the largest size, made once, bound again for every shape."""
    _, largest = opened.attr(1, 0)
    _, output = opened.attr(2, 0)
    mem = opened.library.rknn_create_mem(opened.context, largest.size_with_stride)
    out = opened.library.rknn_create_mem(opened.context, 4 * output.n_elems)
    for index, shape in [(2, SHAPES[2]), (1, SHAPES[1]), (2, SHAPES[2])]:
        _, h, w, c = shape
        assert opened.set_shapes([shape]) == 0
        _, attr = opened.attr(14, 0)
        attr.type = U8
        image = np.random.default_rng(h).integers(0, 256, shape, dtype=np.uint8)
        rows = np.zeros((h, attr.w_stride, c), np.uint8)
        rows[:, :w] = image[0]
        ctypes.memmove(mem.contents.virt_addr, rows.tobytes(), rows.nbytes)
        _, given = opened.attr(15, 0)
        given.type = F32
        assert opened.library.rknn_set_io_mem(opened.context, mem, ctypes.byref(attr)) == 0
        assert opened.library.rknn_set_io_mem(opened.context, out, ctypes.byref(given)) == 0
        assert opened.run() == 0
        source = sources.sources["dynamic_input.rknn"].graphs[index]
        np.testing.assert_array_equal(source.inputs[0], image.transpose(0, 3, 1, 2).astype(np.float32))
        got = np.frombuffer(ctypes.string_at(out.contents.virt_addr, 4 * 5 * h * w), np.float32)
        np.testing.assert_array_equal(got, counting((1, 5, h, w), "float16").astype(np.float32))
    for memory in (mem, out):
        assert opened.library.rknn_destroy_mem(opened.context, memory) == 0


def test_another_shape_forgets_inputs_the_same_keeps_them(opened: Runtime, sources: CountingModels) -> None:
    image = np.full(SHAPES[2], 7, np.uint8)
    assert opened.set_shapes([SHAPES[2]]) == 0
    assert opened.inputs_set([(image.tobytes(), U8, NHWC, 0)]) == 0
    assert opened.set_shapes([SHAPES[2]]) == 0 and opened.run() == 0
    assert set(np.unique(sources.sources["dynamic_input.rknn"].graphs[2].inputs[0])) == {7.0}
    assert opened.set_shapes([SHAPES[1]]) == 0 and opened.set_shapes([SHAPES[2]]) == 0 and opened.run() == 0
    assert set(np.unique(sources.sources["dynamic_input.rknn"].graphs[2].inputs[0])) == {0.0}


def test_a_stuck_output_at_every_shape(opened: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays is of the current shape: zeros, until a run at that shape was not stuck."""
    for ordered, expected in (("stuck-output:0", 0.0), ("", 99.0), ("stuck-output:0", 99.0)):
        monkeypatch.setenv("RKPARITY_EMULATOR_FAULTS", ordered)
        assert opened.set_shapes([SHAPES[0]]) == 0 and opened.run() == 0
        values = np.frombuffer(opened.outputs_get([True])[1][0], np.float32)
        assert (len(values), values[-1]) == (8100, expected)
    assert opened.set_shapes([SHAPES[1]]) == 0 and opened.run() == 0
    values = np.frombuffer(opened.outputs_get([True])[1][0], np.float32)
    assert len(values) == 2700 and not values.any()


@dataclass(frozen=True)
class Built:
    """two_inputs.onnx by the toolkit, int8, for TWO_INPUTS; the simulator's outputs by set, as a user asks for them."""

    rknn: Path
    model: Model
    given: list[list[np.ndarray]]
    simulated: list[list[np.ndarray]]


@pytest.fixture(scope="module")
def two_inputs(toolkit_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("two_inputs")
    random = np.random.default_rng(3)
    # Calibration data have the largest shape (the toolkit's MaxShape).
    np.save(folder / "x.npy", random.integers(0, 256, TWO_INPUTS[1][0]).astype(np.float32))
    np.save(folder / "s.npy", random.uniform(-1, 1, TWO_INPUTS[1][1]).astype(np.float32))
    (folder / "dataset.txt").write_text("x.npy s.npy\n")
    spec = BuildSpec(
        Framework.ONNX,
        str(DATA / "two_inputs.onnx"),
        mean_values=((127.5,) * 3, (0.0,) * 7),
        std_values=((127.5,) * 3, (1.0,) * 7),
        do_quantization=True,
        dataset=str(folder / "dataset.txt"),
        extra={"config": {"dynamic_input": [[list(shape) for shape in shapes] for shapes in TWO_INPUTS]}},
    )
    given, simulated = [], []
    with Worker(toolkit_python) as worker:
        built = worker.build(spec, export=folder / "two_inputs.rknn")
        write_build_record(built)
        for (n, c, h, w), shape in TWO_INPUTS:
            arrays = [
                random.integers(0, 256, (n, h, w, c), dtype=np.uint8),
                # Within the calibrated range: beyond it the board's numbers wrap (evidence 160_b25_d2_f32).
                random.uniform(-0.8, 0.8, shape).astype(np.float32),
            ]
            given.append(arrays)
            floats = [array.astype(np.float32) for array in arrays]
            simulated.append(worker.infer(built.model_id, floats, ["nhwc", "nchw"]))
    assert [item.shapes for item in built.inputs] == [
        ((1, 3, 18, 15), (1, 3, 9, 30), (1, 3, 12, 20)),
        ((1, 7, 8), (1, 5, 8), (1, 3, 8)),
    ]
    return Built(folder / "two_inputs.rknn", read_model(folder / "two_inputs.rknn"), given, simulated)


@pytest.mark.toolkit
def test_a_wrong_layer_at_a_smaller_shape(
    two_inputs: Built, library: ctypes.CDLL, toolkit_python: Path, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads the layer follows, the other output stays."""
    picture, sequence = two_inputs.given[2]
    catalogue = ModelCatalogue(toolkit_python, [two_inputs.rknn])
    try:
        with served(catalogue.open):
            runtime = Runtime(library)
            assert runtime.init(two_inputs.rknn.read_bytes()) == 0
            assert runtime.set_shapes([list(picture.shape), list(sequence.shape)]) == 0
            given = [(picture.tobytes(), U8, NHWC, 0), (sequence.tobytes(), F32, UNDEFINED, 0)]
            assert runtime.inputs_set(given) == 0 and runtime.run() == 0
            right = runtime.outputs_get([True, True])[1]
            monkeypatch.setenv("RKPARITY_EMULATOR_FAULTS", "wrong:s_tp-rs")
            assert runtime.run() == 0
            wrong = runtime.outputs_get([True, True])[1]
            assert runtime.destroy() == 0
    finally:
        catalogue.close()
    assert wrong[0] == right[0] and wrong[1] != right[1] and len(wrong[1]) == len(right[1])


@pytest.mark.toolkit
def test_values_are_the_simulators_at_every_set(
    two_inputs: Built, library: ctypes.CDLL, toolkit_python: Path, served: Any, capfd: Any
) -> None:
    catalogue = ModelCatalogue(toolkit_python, [two_inputs.rknn])
    try:
        catalogue.prepare()
        with served(catalogue.open):
            runtime = Runtime(library)
            assert runtime.init(two_inputs.rknn.read_bytes()) == 0
            for (picture, sequence), (y, z) in zip(two_inputs.given, two_inputs.simulated):
                assert runtime.set_shapes([list(picture.shape), list(sequence.shape)]) == 0
                given = [(picture.tobytes(), U8, NHWC, 0), (sequence.tobytes(), F32, UNDEFINED, 0)]
                assert runtime.inputs_set(given) == 0 and runtime.run() == 0
                status, outputs = runtime.outputs_get([True, True])
                assert status == 0
                # Pixels: bit for bit. The numbers of s are quantised by the board's CPU: one step.
                np.testing.assert_array_equal(np.frombuffer(outputs[0], np.float32), y.reshape(-1))
                step = two_inputs.model.output_tensors[1].scale[0]
                assert np.abs(np.frombuffer(outputs[1], np.float32) - z.reshape(-1)).max() <= step * 1.001
                assert len(np.unique(y)) > 20 and len(np.unique(z)) > 5
            capfd.readouterr()
            # Sets are not mixed: each shape is known, but not together.
            assert runtime.set_shapes([[1, 9, 30, 3], [1, 7, 8]]) == -1
            assert "while get rknn_tensor_attr[0].name = x" in capfd.readouterr().err
            assert runtime.set_shapes([[1, 9, 30, 3], [1, 4, 8]]) == -1
            assert "while get rknn_tensor_attr[1].name = s, dims = [1, 4, 8], fmt = UNDEFINED" in capfd.readouterr().err
            assert runtime.destroy() == 0
    finally:
        catalogue.close()

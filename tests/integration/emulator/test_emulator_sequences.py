"""Calls one after another on one context, as the recorded sequences have them, and their neighbours."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_library import Output, Runtime
from emulator_bench import counting

F32, F16, I8, U8 = 0, 1, 2, 3
NHWC = 1
SPLIT = "b25_split_int8_rk3588.rknn"
SHAPES = ((1, 4, 8, 8), (1, 4, 8, 8), (1, 8, 8, 8))


@pytest.fixture
def split(library: ctypes.CDLL, models: Path, counting_models: Any, served: Any) -> Any:
    """One image input (1, 3, 8, 8), three outputs, int8."""
    with served(counting_models.open):
        runtime = Runtime(library)
        assert runtime.init((models / "b25_split" / SPLIT).read_bytes()) == 0
        yield runtime
        assert runtime.destroy() == 0


@pytest.mark.parametrize("indices", [(0, 0, 0), (0, 1, 1), (2, 2, 2), (2, 1, 0), (0, 1, 2)])
def test_outputs_are_positional_whatever_their_indices(split: Runtime, indices: tuple[int, ...]) -> None:
    assert split.inputs_set([(bytes(192), U8, NHWC, 0)]) == 0 and split.run() == 0
    array = (Output * 3)(*(Output(0, 0, index, None, 0) for index in indices))
    assert split.library.rknn_outputs_get(split.context, 3, array, None) == 0
    for item, shape in zip(array, SHAPES):
        assert ctypes.string_at(item.buf, item.size) == counting(shape, "int8").tobytes()
    distinct = len(set(indices)) == 3
    assert [item.index for item in array] == (list(indices) if distinct else [0, 1, 2])
    assert split.library.rknn_outputs_release(split.context, 3, array) == 0


@pytest.mark.parametrize(("type_code", "dtype"), [(F32, np.float32), (F16, np.float16), (I8, np.int8)])
def test_another_type_after_pixels_is_taken_as_bytes(
    split: Runtime, counting_models: Any, type_code: int, dtype: Any
) -> None:
    assert split.inputs_set([(bytes(range(192)), U8, NHWC, 0)]) == 0 and split.run() == 0
    data = (np.arange(192) - 96).astype(dtype).tobytes()
    assert split.inputs_set([(data, type_code, NHWC, 0)]) == 0 and split.run() == 0
    taken = np.frombuffer(data, np.uint8)[:192].reshape(1, 8, 8, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(counting_models.sources[SPLIT].inputs[0], taken)


def test_a_second_release_and_a_destroyed_context_are_said_to_crash(split: Runtime, capfd: Any) -> None:
    assert split.inputs_set([(bytes(192), U8, NHWC, 0)]) == 0 and split.run() == 0
    array = (Output * 3)()
    assert split.library.rknn_outputs_get(split.context, 3, array, None) == 0
    for _ in range(2):
        assert split.library.rknn_outputs_release(split.context, 3, array) == 0
    said = capfd.readouterr().err
    assert said.count("rknn_outputs_release: the real library crashes here") == 3
    assert split.library.rknn_run(ctypes.c_uint64(987), None) == -7
    assert "rknn_run: the real library crashes here: a context that was destroyed" in capfd.readouterr().err


def test_waiting_without_a_fence_fails(split: Runtime) -> None:
    assert split.library.rknn_wait(split.context, None) == -1


@pytest.mark.parametrize(("machine", "code"), [("rk3588", 0), ("RK3588", 0), ("rk3566", -6)])
def test_the_machines_chip(
    library: ctypes.CDLL,
    models: Path,
    counting_models: Any,
    served: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
    *,
    machine: str,
    code: int,
) -> None:
    monkeypatch.setenv("RKPARITY_EMULATOR_PLATFORM", machine)
    with served(counting_models.open):
        runtime = Runtime(library)
        assert runtime.init((models / "b25_split" / SPLIT).read_bytes()) == code
        if code == 0:
            assert runtime.destroy() == 0
        else:
            line = "This rknn model is for RK3588, but current platform is RK3566"
            assert line in capfd.readouterr().err

"""RKPARITY_EMULATOR_CACHE=1: what the CPU wrote and the device wrote is not seen by the other before rknn_mem_sync."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from emulated_library import Runtime, TensorAttr, TensorMem
from emulator_bench import counting

U8 = 3
TO_DEVICE, FROM_DEVICE, BOTH = 1, 2, 3
CACHEABLE, NON_CACHEABLE = 1, 2
INPUT_NBYTES, OUTPUT_NBYTES = 864, 1350
COUNTED = counting((1, 5, 9, 30), "int8").tobytes()


@pytest.fixture
def opened(
    library: ctypes.CDLL, models: Any, counting_models: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> Any:
    library.rknn_create_mem2.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64]
    library.rknn_create_mem2.restype = ctypes.POINTER(TensorMem)
    library.rknn_create_mem_from_fd.argtypes = [
        ctypes.c_uint64,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int32,
    ]
    library.rknn_create_mem_from_fd.restype = ctypes.POINTER(TensorMem)
    monkeypatch.setenv("RKPARITY_EMULATOR_CACHE", "1")
    with served(counting_models.open):
        runtime = Runtime(library)
        assert runtime.init((models / "b25_c3w30" / "b25_c3w30_int8_rk3588.rknn").read_bytes()) == 0
        yield runtime
        assert runtime.destroy() == 0


def pixels_attr(opened: Runtime) -> TensorAttr:
    _, attr = opened.attr(1, 0)
    attr.type = U8
    return attr


def bind(opened: Runtime, attr: TensorAttr, mem: Any) -> None:
    assert opened.library.rknn_set_io_mem(opened.context, mem, ctypes.byref(attr)) == 0


def sync(opened: Runtime, mem: Any, mode: int) -> int:
    return int(opened.library.rknn_mem_sync(opened.context, mem, mode))


def seen(counting_models: Any) -> set[float]:
    """The pixel values the last run computed with."""
    return set(np.unique(counting_models.sources["b25_c3w30_int8_rk3588.rknn"].inputs[0]).tolist())


def test_input_is_seen_after_sync_to_device(opened: Runtime, counting_models: Any) -> None:
    mem = opened.library.rknn_create_mem(opened.context, INPUT_NBYTES)
    bind(opened, pixels_attr(opened), mem)
    ctypes.memset(mem.contents.virt_addr, 5, INPUT_NBYTES)
    assert opened.run() == 0 and seen(counting_models) == {0.0}
    assert sync(opened, mem, FROM_DEVICE) == 0
    assert ctypes.string_at(mem.contents.virt_addr, 4) == bytes(4)  # the CPU's writing is lost, as on a board
    ctypes.memset(mem.contents.virt_addr, 6, INPUT_NBYTES)
    assert sync(opened, mem, TO_DEVICE) == 0
    assert opened.run() == 0 and seen(counting_models) == {6.0}
    ctypes.memset(mem.contents.virt_addr, 7, INPUT_NBYTES)
    assert opened.run() == 0 and seen(counting_models) == {6.0}
    assert sync(opened, mem, BOTH) == 0
    assert opened.run() == 0 and seen(counting_models) == {7.0}


def test_output_is_seen_after_sync_from_device(opened: Runtime) -> None:
    _, attr = opened.attr(2, 0)
    attr.type = 2
    mem = opened.library.rknn_create_mem(opened.context, OUTPUT_NBYTES)
    bind(opened, attr, mem)
    assert opened.run() == 0
    assert ctypes.string_at(mem.contents.virt_addr, OUTPUT_NBYTES) == bytes(OUTPUT_NBYTES)
    assert sync(opened, mem, FROM_DEVICE) == 0
    assert ctypes.string_at(mem.contents.virt_addr, OUTPUT_NBYTES) == COUNTED
    assert sync(opened, mem, 0) == 0 and sync(opened, mem, 4) == 0
    assert opened.library.rknn_destroy_mem(opened.context, mem) == 0


@pytest.mark.parametrize(("flags", "expected"), [(0, 0.0), (CACHEABLE, 0.0), (NON_CACHEABLE, 9.0)])
def test_only_cacheable_memory_is_stale(opened: Runtime, counting_models: Any, flags: int, expected: float) -> None:
    mem = opened.library.rknn_create_mem2(opened.context, INPUT_NBYTES, flags)
    bind(opened, pixels_attr(opened), mem)
    ctypes.memset(mem.contents.virt_addr, 9, INPUT_NBYTES)
    assert opened.run() == 0 and seen(counting_models) == {expected}


def test_memory_of_the_application_begins_in_step(opened: Runtime, counting_models: Any) -> None:
    own = ctypes.create_string_buffer(bytes([3]) * (64 + INPUT_NBYTES))
    mem = opened.library.rknn_create_mem_from_fd(opened.context, -1, ctypes.addressof(own), INPUT_NBYTES, 64)
    bind(opened, pixels_attr(opened), mem)
    assert opened.run() == 0 and seen(counting_models) == {3.0}
    ctypes.memset(own, 4, 64 + INPUT_NBYTES)
    assert opened.run() == 0 and seen(counting_models) == {3.0}
    assert sync(opened, mem, TO_DEVICE) == 0
    assert opened.run() == 0 and seen(counting_models) == {4.0}


def test_without_the_switch_both_see_the_same(
    opened: Runtime, counting_models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKPARITY_EMULATOR_CACHE", "0")
    mem = opened.library.rknn_create_mem(opened.context, INPUT_NBYTES)
    bind(opened, pixels_attr(opened), mem)
    ctypes.memset(mem.contents.virt_addr, 8, INPUT_NBYTES)
    assert opened.run() == 0 and seen(counting_models) == {8.0}

"""A sample as the runtime takes it: layouts, types, shapes that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment_data import DATA
from rkparity.board.runs.job import InputFile
from rkparity.board.runs.samples import for_runtime
from rkparity.errors import UsageError
from rkparity.model import Model, read_model


def model_of(shape: tuple[int, ...], dtype: str = "float16") -> Model:
    """A model with one input of this shape (NCHW for 4-D)."""
    model = read_model(DATA / "models" / "cnn_classifier_fp16.rknn")
    tensors = list(model.tensors)
    place = model.inputs[0]
    tensors[place] = replace(tensors[place], shape=shape, dtype=dtype)
    return replace(model, tensors=tuple(tensors))


def saved(folder: Path, array: Any) -> Path:
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


def prepared(folder: Path, array: Any, model: Model, **said: Any) -> tuple[InputFile, tuple[str, ...]]:
    (item,), notes = for_runtime([InputFile(saved(folder, array), **said)], model, folder)
    return item, notes


@pytest.mark.parametrize("said", [None, "NCHW"])
def test_an_nchw_sample_is_turned(tmp_path: Path, said: str | None) -> None:
    values = np.arange(2 * 4 * 5, dtype=np.float32).reshape(1, 2, 4, 5)
    item, notes = prepared(tmp_path, values, model_of((1, 2, 4, 5)), data_layout=said)
    assert (item.fmt, item.data_layout, item.layout()) == ("NHWC", "NHWC", "NHWC")
    np.testing.assert_array_equal(item.load(), values.transpose(0, 2, 3, 1))
    assert item.load().flags.c_contiguous
    assert notes == ("input input: turned from NCHW to NHWC",)


def test_what_fits_stays_the_same_file(tmp_path: Path) -> None:
    for shape, needed in (((1, 4, 5, 2), (1, 2, 4, 5)), ((4, 5, 2), (1, 2, 4, 5)), ((1, 7), (1, 7)), ((), ())):
        item, notes = prepared(tmp_path, np.zeros(shape, np.uint8), model_of(needed))
        assert (item.path, notes) == (tmp_path / "x.npy", ())


def test_a_cube_is_both_until_it_is_said(tmp_path: Path) -> None:
    cube = np.arange(27, dtype=np.uint8).reshape(1, 3, 3, 3)
    model = model_of((1, 3, 3, 3))
    with pytest.raises(UsageError, match="shape 1x3x3x3 can be NHWC and NCHW"):
        prepared(tmp_path, cube, model)
    for told in ({"data_layout": "NHWC"}, {"fmt": "NHWC"}):
        np.testing.assert_array_equal(prepared(tmp_path, cube, model, **told)[0].load(), cube)
    turned = prepared(tmp_path, cube, model, data_layout="NCHW")[0]
    np.testing.assert_array_equal(turned.load(), cube.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("shape", "said", "message"),
    [
        ((1, 5, 4, 2), {}, r"input 'input' needs 1x4x5x2 \(NHWC\) or 1x2x4x5 \(NCHW\)"),
        ((1, 4, 5, 2), {"data_layout": "NCHW"}, "input 'input' in NCHW needs 1x2x4x5"),
        ((1, 2, 4, 5), {"data_layout": "NHWC"}, "input 'input' in NHWC needs 1x4x5x2"),
        ((1, 2, 4, 5), {"fmt": "NCHW"}, "--fmt NCHW: the runtime takes a 4-D input such as 'input' as NHWC only"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, shape: tuple[int, ...], said: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, np.zeros(shape, np.uint8), model_of((1, 2, 4, 5)), **said)


def test_the_number_of_files_is_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 input files for a model with 1 inputs: input 1x64x64x3"):
        for_runtime(
            [InputFile(tmp_path / "a.npy")] * 2, read_model(DATA / "models" / "cnn_classifier_int8.rknn"), tmp_path
        )


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_integers_for_a_float_input_are_given_as_values(tmp_path: Path, dtype: str) -> None:
    values = np.array([[-3, 0, 5]], dtype)
    item, notes = prepared(tmp_path, values, model_of((1, 3)))
    assert (item.load().dtype, item.load().tolist()) == (np.float32, values.tolist())
    assert notes == (f"input input: its {dtype} values given as float32",)
    told, notes = prepared(tmp_path, values, model_of((1, 3)), type="INT8")
    assert (told.path, notes) == (tmp_path / "x.npy", ())
    same, _ = prepared(tmp_path, values, model_of((1, 3), "int64"))
    assert same.path == tmp_path / "x.npy"


def test_other_orders_of_bytes_and_axes_are_made_plain(tmp_path: Path) -> None:
    values = np.arange(12, dtype=">f4").reshape(3, 4)
    item, _ = prepared(tmp_path, np.asfortranarray(values), model_of((3, 4)))
    assert item.load().dtype == np.dtype("<f4")
    np.testing.assert_array_equal(item.load(), values)


def test_raw_bytes_are_turned_when_their_layout_is_said(tmp_path: Path) -> None:
    values = np.arange(40, dtype=np.uint8).reshape(1, 2, 4, 5)
    values.tofile(tmp_path / "x.bin")
    given = InputFile(tmp_path / "x.bin", "UINT8", data_layout="NCHW")
    (item,), _ = for_runtime([given], model_of((1, 2, 4, 5)), tmp_path)
    np.testing.assert_array_equal(item.load(), values.transpose(0, 2, 3, 1))
    with pytest.raises(UsageError, match="holds 40 elements, input 'input' of shape 1x2x4x6 has 48"):
        for_runtime([given], model_of((1, 2, 4, 6)), tmp_path)

"""Input files against the graph's inputs, and the build record; the toolkit is not needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rkparity.cli.main import main
from rkparity.errors import ConfigError, ToolkitError, UsageError
from rkparity.toolkit.build_record import read_build_record, read_spec, record_path, write_build_record
from rkparity.toolkit.built_model import BuiltModel, GraphInput
from rkparity.toolkit.inputs import choose_layout, prepare_inputs
from rkparity.toolkit.spec import BuildSpec, Framework

IMAGE = GraphInput("image", (1, 3, 4, 5), "float32", "nchw", (0.0,) * 3, (1.0,) * 3, False)
CUBE = replace(IMAGE, name="cube", shape=(1, 3, 3, 3))
VECTOR = replace(IMAGE, name="vector", shape=(1, 7))
IDS = replace(IMAGE, name="ids", shape=(1, 16), dtype="int64")


class PictureWorker:
    """Stands in for the worker: answers as its picture job does."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.asked: dict[str, Any] = {}

    def read_picture(self, path: Path, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        if self.error:
            raise ToolkitError(self.error.format(path=path.resolve()))
        np.save(asked["out"], np.zeros((1, asked["height"], asked["width"], asked["channels"]), np.uint8))
        return {"width": 50, "height": 40, "resized": True}


def save(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    ("shape", "item", "layout", "expected"),
    [
        ((1, 4, 5, 3), IMAGE, None, "NHWC"),
        ((1, 3, 4, 5), IMAGE, None, "NCHW"),
        ((1, 3, 4, 5), IMAGE, "nchw", "NCHW"),
        ((1, 3, 3, 3), CUBE, "nhwc", "NHWC"),
        ((1, 7), VECTOR, "nhwc", "UNDEFINED"),
    ],
)
def test_the_layout_follows_the_shape(
    shape: tuple[int, ...], item: GraphInput, layout: str | None, expected: str
) -> None:
    assert choose_layout(shape, item, layout, "f") == expected


@pytest.mark.parametrize(
    ("shape", "item", "layout", "message"),
    [
        ((1, 3, 3, 3), CUBE, None, "f: shape 1x3x3x3 can be NHWC and NCHW"),
        ((1, 5, 4, 3), IMAGE, None, r"f: has shape 1x5x4x3, input 'image' needs 1x4x5x3 \(NHWC\) or 1x3x4x5 \(NCHW\)"),
        ((1, 4, 5, 3), IMAGE, "nchw", "input 'image' in NCHW needs 1x3x4x5"),
        ((4, 5, 3), IMAGE, None, "has shape 4x5x3"),
        ((7,), VECTOR, None, "has shape 7, input 'vector' needs 1x7"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    shape: tuple[int, ...], item: GraphInput, layout: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choose_layout(shape, item, layout, "f")


def test_npy_inputs_reach_the_toolkit_as_nchw_and_stay_as_given(tmp_path: Path) -> None:
    raw = np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)
    ids = np.arange(16).reshape(1, 16)
    files = [save(tmp_path / "a.npy", raw), save(tmp_path / "b.npy", ids)]
    image, other = prepare_inputs(files, [IMAGE, IDS], PictureWorker(), tmp_path / "feed")  # type: ignore[arg-type]
    assert (image.name, image.layout, other.layout) == ("image", "NHWC", "UNDEFINED")
    assert np.array_equal(image.raw, raw)
    assert np.array_equal(np.load(image.feed), raw.transpose(0, 3, 1, 2))
    assert np.array_equal(np.load(other.feed), ids)


def test_types_the_toolkit_drops_silently_are_refused(tmp_path: Path) -> None:
    def prepare(array: Any, item: GraphInput) -> None:
        file = save(tmp_path / "a.npy", array)
        prepare_inputs([file], [item], PictureWorker(), tmp_path / "feed")  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="holds float64, which rknn-toolkit2 does not take"):
        prepare(np.zeros((1, 7)), VECTOR)
    with pytest.raises(UsageError, match="holds float32, input 'ids' needs int64"):
        prepare(np.zeros((1, 16), np.float32), IDS)


def test_files_that_are_no_inputs_are_refused(tmp_path: Path) -> None:
    worker: Any = PictureWorker()
    for name, content, message in (
        ("a.txt", b"x", "cannot be used as an input"),
        ("a.npy", b"not npy", "is not an npy file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=message):
            prepare_inputs([tmp_path / name], [VECTOR], worker, tmp_path / "feed")
    with pytest.raises(UsageError, match="does not exist"):
        prepare_inputs([tmp_path / "none.npy"], [VECTOR], worker, tmp_path / "feed")
    with pytest.raises(UsageError, match=r"1 input files for a model with 2 inputs: image 1x3x4x5, vector 1x7"):
        prepare_inputs([tmp_path / "a.npy"], [IMAGE, VECTOR], worker, tmp_path / "feed")
    (tmp_path / "p.png").write_bytes(b"")
    with pytest.raises(UsageError, match="a picture cannot be input 'vector' of shape 1x7"):
        prepare_inputs([tmp_path / "p.png"], [VECTOR], worker, tmp_path / "feed")


def test_values_that_are_not_finite_are_told(tmp_path: Path) -> None:
    value = np.zeros((1, 7), np.float32)
    value[0, 2] = np.inf
    worker: Any = PictureWorker()
    (prepared,) = prepare_inputs([save(tmp_path / "a.npy", value)], [VECTOR], worker, tmp_path / "feed")
    assert "NaN or infinite" in prepared.notes[0]


def test_pictures_are_read_in_the_model_s_channel_order(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"")
    worker: Any = PictureWorker()
    item = replace(IMAGE, rgb2bgr=True)
    (prepared,) = prepare_inputs([tmp_path / "p.png"], [item], worker, tmp_path / "feed", resize=True)
    assert (worker.asked["bgr"], worker.asked["resize"], worker.asked["channels"]) == (True, True, 3)
    assert prepared.raw.shape == (1, 4, 5, 3)
    assert [note.split(": ")[1].split()[0] for note in prepared.notes] == ["stretched", "channels"]
    refusing: Any = PictureWorker("rknn-toolkit2 imread: {path}: is 50x40 (width x height)")
    with pytest.raises(UsageError, match="is 50x40"):
        prepare_inputs([tmp_path / "p.png"], [IMAGE], refusing, tmp_path / "feed")


def built(rknn: Path, content: bytes) -> BuiltModel:
    import hashlib

    rknn.write_bytes(content)
    spec = BuildSpec(Framework.ONNX, "/m/model.onnx")
    return BuiltModel(1, spec, (IMAGE,), ("y",), {}, "2.5.0", rknn, hashlib.sha256(content).hexdigest(), "")


def test_the_build_record_belongs_to_one_file(tmp_path: Path) -> None:
    rknn = tmp_path / "m.rknn"
    assert write_build_record(built(rknn, b"one")) == tmp_path / "m.rknn.build.json"
    record = read_build_record(rknn)
    assert (record.toolkit_version, record.spec.model) == ("2.5.0", "/m/model.onnx")
    assert read_spec(record_path(rknn)) == record.spec
    assert (record.sources, record.scales) == ({}, {})
    value = json.loads(record_path(rknn).read_text())
    for key, wrong in (("sources", ["x"]), ("scales", {"x": [1.0]}), ("scales", {"x": [True, 1]})):
        record_path(rknn).write_text(json.dumps({**value, key: wrong}))
        with pytest.raises(ConfigError, match=f"{key} must be an object"):
            read_build_record(rknn)
    del value["sources"], value["scales"]
    record_path(rknn).write_text(json.dumps(value))
    assert (read_build_record(rknn).sources, read_build_record(rknn).scales) == (None, None)
    rknn.write_bytes(b"two")
    with pytest.raises(UsageError, match="belongs to another file"):
        read_build_record(rknn)
    record_path(rknn).write_text(json.dumps({"schema": "rkparity.build/9"}))
    with pytest.raises(ConfigError, match=r"schema is 'rkparity.build/9'"):
        read_build_record(rknn)
    record_path(rknn).write_text("[")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_build_record(rknn)
    record_path(rknn).unlink()
    with pytest.raises(UsageError, match="has no build record"):
        read_build_record(rknn)


def test_a_spec_s_paths_are_relative_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "build.json").write_text(json.dumps({"framework": "onnx", "model": "m.onnx"}))
    assert read_spec(tmp_path / "build.json").model == str(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "none.onnx", "-o", "m.rknn", "--mean", "1,x"], "--mean '1,x': must be numbers"),
        (["build", "none.onnx", "-o", "m.rknn", "--dataset", "d.txt"], "--dataset is only used by --int8"),
        (["build", "none.onnx", "-o", "m.rknn"], "none.onnx: model does not exist"),
        (["build", "-o", "m.rknn"], "give a source model or --spec"),
        (["build", "-o", "m.rknn", "--spec", "s.json", "--int8"], "contradict each other"),
        (["simulate", "-o", "out", "--input", "a.npy"], "give MODEL or --spec"),
        (["simulate", "m.rknn", "-o", "out", "--input", "a.npy", "--int8"], "build options are for a source model"),
    ],
)
def test_contradicting_arguments_are_usage_errors(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RKPARITY_TOOLKIT_PYTHON", "/usr/bin/env")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err

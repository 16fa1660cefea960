"""The build spec, its JSON, and the calibration list."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkparity.errors import ConfigError, UsageError
from rkparity.toolkit.dataset import prepare_dataset
from rkparity.toolkit.spec import BuildSpec, Framework

FULL = BuildSpec(
    Framework.ONNX, "/m/model.onnx", inputs=("x",), input_size_list=((1, 3, 8, 8),), outputs=("y",),
    mean_values=((1.0, 2.0, 3.0),), std_values=((1.0, 1.0, 1.0),), quant_img_RGB2BGR=True, target_platform="rk3566",
    do_quantization=True, dataset="/m/list.txt", optimization_level=2, quantized_method="layer",
    quantized_algorithm="mmse", extra={"config": {"compress_weight": True}},
)  # fmt: skip


def test_json_gives_the_same_spec_back() -> None:
    assert BuildSpec.from_json(FULL.to_json(), source="s") == FULL
    least = BuildSpec.from_json({"framework": "tflite", "model": "m.tflite"}, source="s")
    assert least == BuildSpec(Framework.TFLITE, "m.tflite")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"framework": "keras"}, r"s: framework must be one of onnx, .*, not 'keras'"),
        ({"model": ""}, r"s: model must be a string that is not empty"),
        ({"mean_values": [1, 2]}, r"s: mean_values must be a list of lists of numbers, not 1"),
        ({"input_size_list": [[1, 2.5]]}, r"s: input_size_list must be a list of lists of numbers"),
        ({"do_quantization": 1}, r"s: do_quantization must be true or false, not 1"),
        ({"optimization_level": True}, r"s: optimization_level must be a number or null, not True"),
        ({"extra": {"inference": {}}}, r"s: extra must be an object of the objects config, load, build"),
        ({"std": [[1]]}, r"s: 'std' is not a build option"),
    ],
)
def test_wrong_json_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BuildSpec.from_json({**FULL.to_json(), **change}, source="s")
    with pytest.raises(ConfigError, match="s: model is missing"):
        BuildSpec.from_json({"framework": "onnx"}, source="s")
    with pytest.raises(ConfigError, match="must be a JSON object"):
        BuildSpec.from_json([], source="s")


def test_what_the_toolkit_would_take_silently_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"")

    def spec(**fields: object) -> BuildSpec:
        return BuildSpec(Framework.ONNX, str(model), **fields)  # type: ignore[arg-type]

    spec().check()
    with pytest.raises(UsageError, match=r"std_values\[0\] is \[1.0, 0.0\]"):
        spec(std_values=((1.0, 0.0),)).check()
    with pytest.raises(UsageError, match=r"mean_values\[1\] is \[nan\]"):
        spec(mean_values=((1.0,), (float("nan"),))).check()
    with pytest.raises(UsageError, match="differ in length"):
        spec(mean_values=((0.0,) * 3,), std_values=((1.0,),)).check()
    with pytest.raises(UsageError, match="needs calibration data"):
        spec(do_quantization=True).check()
    with pytest.raises(UsageError, match="dataset does not exist"):
        spec(do_quantization=True, dataset=str(tmp_path / "none.txt")).check()
    with pytest.raises(UsageError, match="model does not exist"):
        BuildSpec(Framework.ONNX, str(tmp_path / "none.onnx")).check()
    with pytest.raises(UsageError, match=r"darknet needs a \.weights file"):
        BuildSpec(Framework.DARKNET, str(model)).check()


def test_framework_by_suffix() -> None:
    assert Framework.of_file(Path("a/M.ONNX")) is Framework.ONNX
    with pytest.raises(UsageError, match=r"suffix '\.bin'"):
        Framework.of_file(Path("m.bin"))


def test_paths_are_resolved_against_a_base(tmp_path: Path) -> None:
    spec = BuildSpec(Framework.ONNX, "m.onnx", dataset="../list.txt").resolved(tmp_path)
    assert (spec.model, spec.dataset) == (str(tmp_path / "m.onnx"), str(tmp_path.parent / "list.txt"))
    assert spec.weights is None


def test_a_dataset_becomes_links_without_blanks(tmp_path: Path) -> None:
    home = tmp_path / "with blank"
    home.mkdir()
    for name in ("a.png", "b.NPY", "c.png", "d.npy"):
        (home / name).write_text(name)
    (home / "list.txt").write_text("a.png b.NPY\n\nc.png d.npy\n")
    copy = prepare_dataset(home / "list.txt", tmp_path / "calibration")
    assert copy == tmp_path / "calibration.txt"
    lines = [line.split() for line in copy.read_text().splitlines()]
    assert lines == [
        ["calibration/00001_0.png", "calibration/00001_1.npy"],
        ["calibration/00003_0.png", "calibration/00003_1.npy"],
    ]
    assert (tmp_path / lines[1][1]).read_text() == "d.npy"


def test_a_dataset_s_faults_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("")
    listing = tmp_path / "list.txt"
    listing.write_text("a.png\nb.png\n")
    with pytest.raises(UsageError, match=r"list.txt:2: b.png does not exist"):
        prepare_dataset(listing, tmp_path / "one")
    listing.write_text("a.png\na.png a.png\n")
    with pytest.raises(UsageError, match=r"list.txt:2: has 2 files, the first sample has 1"):
        prepare_dataset(listing, tmp_path / "two")
    listing.write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        prepare_dataset(listing, tmp_path / "three")
    listing.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as a list"):
        prepare_dataset(listing, tmp_path / "four")

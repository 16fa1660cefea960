"""One sample, one meaning: NCHW and NHWC files, pictures, and another run's inputs in simulate, run, run-app, check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rkparity.cli.main import main
from rkparity.runs import RunReader

pytestmark = pytest.mark.toolkit
PIXELS = Path(__file__).resolve().parents[2] / "data" / "check" / "pixels.onnx"


@pytest.fixture
def rknn(emulated: Callable[[Path], None], tmp_path: Path) -> str:
    """A model of 1x3x12x16 with mean and std, built here and served."""
    assert main(["build", str(PIXELS), "--mean", "120,110,100", "--std", "58,57,57", "-o", "m.rknn"]) == 0
    emulated(tmp_path / "m.rknn")
    return "m.rknn"


def run(*more: str) -> int:
    return main(["run", "--board", "local:", "--work-dir", str(Path.cwd() / "board"), "--model", "m.rknn", *more])


def picture(path: Path, toolkit_python: Path, height: int, width: int) -> str:
    """A PNG written by the toolkit's OpenCV."""
    script = "import sys, cv2, numpy as n; h, w = map(int, sys.argv[2:]); x = n.arange(h * w * 3, dtype=n.uint32)"
    script += "; cv2.imwrite(sys.argv[1], (x * 7 % 251).astype(n.uint8).reshape(h, w, 3))"
    subprocess.run([str(toolkit_python), "-c", script, str(path), str(height), str(width)], check=True)
    return path.name


def test_every_form_of_a_sample_gives_the_same_run(
    rknn: str, toolkit_python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = picture(tmp_path / "cat.png", toolkit_python, 12, 16)
    assert main(["simulate", rknn, "--input", name, "-o", "sim"]) == 0
    pixels = RunReader.open(tmp_path / "sim" / "simulator").file("inputs/0.npy")
    nhwc = np.load(pixels)
    np.save("nhwc.npy", nhwc)
    np.save("nchw.npy", nhwc.transpose(0, 3, 1, 2))
    assert main(["simulate", rknn, "--input", "nchw.npy", "-o", "sim-nchw"]) == 0
    for label, given in (
        ("picture", ("--input", name)),
        ("nchw", ("--input", "nchw.npy")),
        ("told", ("--input", "nchw.npy", "--layout", "nchw")),
        ("sim", ("--input-from", "sim")),
        ("sim-nchw", ("--input-from", "sim-nchw")),
        ("again", ("--input-from", "run-picture")),
    ):
        assert run(*given, "-o", f"run-{label}") == 0, label
        reader = RunReader.open(tmp_path / f"run-{label}")
        (record,) = reader.manifest.inputs
        assert record.layout == "NHWC"
        np.testing.assert_array_equal(np.load(reader.file(record.file or "")), nhwc)
        capsys.readouterr()
        assert main(["compare-dumps", f"run-{label}", "sim", "--model", rknn]) == 0
        assert capsys.readouterr().out.startswith("PASS")


def test_a_picture_of_another_size_is_refused_before_anything_is_built(
    rknn: str, toolkit_python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was built")

    name = picture(tmp_path / "big.png", toolkit_python, 24, 40)
    assert main(["simulate", rknn, "--input", name, "--resize", "-o", "sim"]) == 0
    assert run("--input", name, "--resize", "-o", "run") == 0
    assert "stretched from 40x24 to 16x12" in capsys.readouterr().out
    assert main(["compare-dumps", "run", "sim", "--model", rknn]) == 0
    capsys.readouterr()
    assert main(["init", str(PIXELS), "--input", name, "--resize", "--no-input"]) == 0
    text = (tmp_path / "rkparity.toml").read_text()
    assert "resize = true" in text
    (tmp_path / "rkparity.toml").write_text(text.replace("resize = true\n", ""))
    monkeypatch.setattr("rkparity.toolkit.worker_client.Worker.build", never)
    monkeypatch.setattr("rkparity.board.runs.run.inspect_board", never)
    capsys.readouterr()
    for command in (
        ["simulate", rknn, "--input", name, "-o", "other"],
        ["simulate", str(PIXELS), "--input", name, "-o", "other"],
        ["init", str(PIXELS), "--input", name, "--no-input", "--force"],
        ["check"],
        ["run", "--board", "local:", "--model", rknn, "--input", name, "-o", "other"],
    ):
        assert main(command) == 2, command
        said = capsys.readouterr().err.splitlines()
        assert "big.png: is 40x24 (width x height), the model's input is 16x12" in said[0]
        assert "--resize" in said[1]


def test_a_program_gets_the_sample(rknn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.arange(576, dtype=np.uint8).reshape(1, 3, 12, 16)
    np.save("nchw.npy", values)
    copy = "import shutil, sys; [shutil.copy(name, name.rpartition('/')[2]) for name in sys.argv[1:]]"
    program = ["--", sys.executable, "-c", copy, "{input}", "{input:bin}"]
    options = ["run-app", "--board", "local:", "--work-dir", str(tmp_path / "board"), "--no-trace", "-o", "run"]
    # The program makes no dumps, which is 3; it has the sample all the same.
    assert main([*options, "--model", rknn, "--input", "nchw.npy", *program]) == 3
    np.testing.assert_array_equal(np.load("input0.npy"), values.transpose(0, 2, 3, 1))
    assert Path("input0.bin").read_bytes() == values.transpose(0, 2, 3, 1).tobytes()
    capsys.readouterr()
    assert main([*options, "--force", "--model", rknn, "--input", "nchw.npy", "--", "true"]) == 2
    assert "the sample has no place among the program's arguments" in capsys.readouterr().err
    assert main([*options, "--force", "--input", "nchw.npy", *program]) == 2
    assert "need the model's shapes" in capsys.readouterr().err


def test_wrong_ways_to_name_a_sample(rknn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given, message in (
        ((), "no input was given"),
        (("--input", "x.npy", "--input-from", "sim"), "--input and --input-from exclude each other"),
        (("--input-from", "nothing"), "--input-from nothing: is no run"),
    ):
        assert run(*given, "-o", "run") == 2
        assert message in capsys.readouterr().err

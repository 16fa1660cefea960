"""The commands on models of several input shapes and with a batch: build, simulate, run, compare; rkrun with shapes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulator_bench import DATA, ROOT, CountingModels, counting

from rkparity.cli.main import main
from support import require

Command = Callable[..., int]
MEAN = ["--mean", "127.5,127.5,127.5", "--std", "127.5,127.5,127.5"]


def save(folder: Path, name: str, shape: tuple[int, ...], dtype: str) -> str:
    np.save(folder / name, np.random.default_rng(shape[1]).integers(0, 256, shape).astype(dtype))
    return name


def compared(folder: Path, name: str, model: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["compare-dumps", f"run-{name}", f"sim-{name}", "--model", model]) == 0
    return capsys.readouterr().out


@pytest.mark.toolkit
def test_a_model_of_several_shapes_from_build_to_verdict(
    emulated: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(DATA / "two_inputs.onnx", tmp_path / "m.onnx")
    save(tmp_path, "x.npy", (1, 3, 18, 15), "float32")
    np.save(tmp_path / "s.npy", np.linspace(-1, 1, 56, dtype=np.float32).reshape(1, 7, 8))
    (tmp_path / "dataset.txt").write_text("x.npy s.npy\n")
    sets = ["1,3,9,30;1,5,8", "1,3,18,15;1,7,8", "1,3,12,20;1,3,8"]
    build = ["build", "m.onnx", "--int8", "--dataset", "dataset.txt", *MEAN]
    build += ["--mean", "0,0,0,0,0,0,0", "--std", "1,1,1,1,1,1,1", "-o", "m.rknn"]
    assert main([*build, *(word for item in sets for word in ("--dynamic-input", item))]) == 0
    emulated(tmp_path / "m.rknn")
    for height, width, length, api in ((9, 30, 5, "general"), (12, 20, 3, "zero-copy")):
        image = save(tmp_path, f"image{height}.npy", (1, height, width, 3), "uint8")
        sequence = f"sequence{length}.npy"
        np.save(tmp_path / sequence, np.linspace(-0.9, 0.9, length * 8, dtype=np.float32).reshape(1, length, 8))
        given = ["--input", image, "--input", sequence]
        assert main(["simulate", "m.rknn", *given, "-o", f"sim-{height}"]) == 0
        board = ["--board", "local:", "--work-dir", str(tmp_path / "board")]
        assert main(["run", *board, "--model", "m.rknn", *given, "--api", api, "-o", f"run-{height}"]) == 0
        said = compared(tmp_path, str(height), "m.rknn", capsys)
        assert "PASS: all 10 dumps agree with the simulator" in said
        assert (tmp_path / f"run-{height}/dumps/002_ConvRelu_y_shape_1_4_{height}_{width}_float.npy").is_file()
    capsys.readouterr()
    # Shapes of two different sets.
    given = ["--input", "image9.npy", "--input", "sequence3.npy"]
    assert main(["simulate", "m.rknn", *given, "-o", "sim-none"]) == 2
    sets_text = "1x3x18x15, 1x7x8; 1x3x9x30, 1x5x8; 1x3x12x20, 1x3x8"
    said = capsys.readouterr().err
    assert "the inputs have the shapes 1x9x30x3, 1x3x8; the model was built with dynamic_input for " + sets_text in said
    assert main(["run", *board, "--model", "m.rknn", *given, "-o", "run-none"]) == 2
    said = capsys.readouterr().err
    assert f"m.rknn: was built with dynamic_input for the input shapes {sets_text}; given are 1x9x30x3, 1x3x8" in said
    assert main(["resimulate", "run-9", "--model", "m.rknn", "-o", "again"]) == 0
    assert "computed from the board's own tensors alone" in capsys.readouterr().out
    # Dumps of one set are not taken for those of another.
    assert main(["compare-dumps", "run-9", "sim-12", "--model", "m.rknn"]) == 1
    assert "FAIL: the input differs" in capsys.readouterr().out


@pytest.mark.toolkit
def test_a_batch_from_build_to_verdict(
    emulated: Callable[[Path], None], models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = models / "b25_c3w30"
    build = ["build", str(source / "model.onnx"), "--int8", "--dataset", str(source / "dataset.txt"), *MEAN]
    assert main([*build, "--batch", "2", "-o", "m.rknn"]) == 0
    emulated(tmp_path / "m.rknn")
    image = save(tmp_path, "images.npy", (2, 9, 30, 3), "uint8")
    assert main(["simulate", "m.rknn", "--input", image, "-o", "sim-2"]) == 0
    board = ["--board", "local:", "--work-dir", str(tmp_path / "board")]
    assert main(["run", *board, "--model", "m.rknn", "--input", image, "-o", "run-2"]) == 0
    assert "PASS: all 3 dumps agree with the simulator" in compared(tmp_path, "2", "m.rknn", capsys)
    assert main(["resimulate", "run-2", "--model", "m.rknn", "-o", "again"]) == 0
    assert "4 tensors, 3 computed from the board's own tensors alone" in capsys.readouterr().out
    assert np.load(tmp_path / "run-2/dumps/001_Conv_y_shape_2_5_9_30_float.npy").shape == (2, 5, 9, 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dynamic-input", "1,3,x,9"], "--dynamic-input '1,3,x,9': must be whole numbers"),
        (["--dynamic-input", "1,3;1,4", "--dynamic-input", "1,3"], "--dynamic-input: the sets have 2, 1 shapes"),
        (["--batch", "0"], "--batch 0: must be 1 or more"),
    ],
)
def test_build_options_that_make_no_sense(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(DATA / "two_inputs.onnx"), *options, "-o", str(tmp_path / "m.rknn")]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def rkrun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(shutil.which("cc"), "no C compiler (cc)")
    program = tmp_path_factory.mktemp("rkrun") / "rkrun"
    sources = [*(ROOT / "csrc" / "runner").glob("*.c"), *(ROOT / "csrc" / "runtime").glob("*.c")]
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags += ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-D_FILE_OFFSET_BITS=64", "-I", str(ROOT / "csrc")]
    subprocess.run(["cc", *flags, *map(str, sources), "-ldl", "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("api", ["general", "zero-copy"])
def test_rkrun_at_a_shape(rkrun: Path, library_path: Path, served: Any, tmp_path: Path, api: str) -> None:
    models = CountingModels(DATA)
    save(tmp_path, "image.npy", (1, 18, 30, 3), "uint8")
    command = [str(rkrun), "run", "--library", str(library_path), "--model", str(DATA / "dynamic_input.rknn")]
    command += ["--input", str(tmp_path / "image.npy"), "--api", api]
    with served(models.open):

        def run(*more: str) -> tuple[int, dict[str, Any]]:
            done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
            assert "Sanitizer" not in done.stderr, done.stderr
            return done.returncode, json.loads(done.stdout.splitlines()[-1])

        code, result = run("--input-shape", "1,18,30,3", "--output-dir", str(tmp_path / "out"))
        assert code == 0 and [item["dims"] for item in result["inputs"]] == [[1, 18, 30, 3]]
        expected = counting((1, 5, 18, 30), "float16").reshape(1, 5, 18, 30)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "output0.npy").astype(np.float16), expected)
        code, error = run("--input-shape", "1,19,30,3", "--output-dir", str(tmp_path / "other"))
        assert code == 3 and "rknn_set_input_shapes" in json.dumps(error)
        code, error = run("--output-dir", str(tmp_path / "none"))
        assert code == 2 and "has 1620 bytes" in json.dumps(error)
        code, error = run("--input-shape", "1,18,,3", "--output-dir", str(tmp_path / "odd"))
        assert code == 2 and "--input-shape is a list of sizes" in json.dumps(error)

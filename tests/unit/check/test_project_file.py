"""rkparity.toml: what is read, and what every wrong key and value is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rkparity.cli.main import main
from rkparity.errors import ConfigError, UsageError
from rkparity.flow.project_file import Answers, project_text
from rkparity.project import find_project, read_project
from rkparity.toolkit.spec import BuildSpec, Framework

GOOD = """
[model]
file = "m.onnx"
[build]
mean_values = [[1, 2, 3]]
std_values = [[4.5, 5, 6]]
target_platform = "rk3566"
[input]
files = ["x.npy"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("m.onnx", "x.npy", "dataset.txt"):
        (tmp_path / name).write_bytes(b"x.npy\n")
    return tmp_path


def read(folder: Path, text: str) -> object:
    path = folder / "rkparity.toml"
    path.write_text(text, encoding="utf-8")
    return read_project(path)


def test_a_project_is_read_with_absolute_paths_and_defaults(folder: Path) -> None:
    (folder / "rkparity.toml").write_text(GOOD)
    project = read_project(find_project(folder))
    assert project.model.file == folder / "m.onnx"
    assert (project.model.framework, project.name, project.output) == ("onnx", folder.name, folder / ".rkparity")
    spec = project.build_spec(do_quantization=False)
    assert spec.mean_values == ((1.0, 2.0, 3.0),) and spec.std_values == ((4.5, 5.0, 6.0),)
    assert (spec.target_platform, spec.do_quantization, spec.dataset) == ("rk3566", False, None)
    with pytest.raises(UsageError, match="dataset is missing"):
        project.build_spec(do_quantization=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[build]", "[bulid]"), "unknown key 'bulid'"),
        (("target_platform", "target"), "build.target is not a setting"),
        (("[[1, 2, 3]]", "[1, 2, 3]"), "build.mean_values[0] must be a list, not 1"),
        (("[[1, 2, 3]]", '[["a"]]'), "build.mean_values[0][0] must be a number, not 'a'"),
        (('"m.onnx"', '"n.onnx"'), "n.onnx is not a file"),
        (('file = "m.onnx"', ""), "model.file is missing"),
        (('file = "m.onnx"', 'file = "m.onnx"\nframework = "onx"'), "it must be one of onnx, tflite"),
        (('["x.npy"]', "[]"), "input.files is empty"),
        (('["x.npy"]', '["x.npy"]\nlayout = "hwc"'), "input.layout is 'hwc'; it must be one of nhwc, nchw"),
        (("[input]", "do_quantization = true\n[input]"), "build.dataset is missing"),
        (("[input]", 'do_quantization = "yes"\n[input]'), "build.do_quantization must be true or false"),
        (("[input]", "optimization_level = 7\n[input]"), "it must be one of 0, 1, 2, 3"),
        (("[input]", "[check]\nfp16_cosine = 2\n[input]"), "check.fp16_cosine is 2.0"),
        (("[input]", "[check]\nbudget_s = nan\n[input]"), "check.budget_s is nan"),
        (("[model]", "[model"), "is not TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named(folder: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(folder, GOOD.replace(*change))
    assert said in caught.value.message
    assert str(folder / "rkparity.toml") in caught.value.message


def test_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert "rkparity init" in caught.value.hint


def test_what_init_writes_reads_back_the_same(folder: Path) -> None:
    spec = BuildSpec(
        Framework.ONNX,
        str(folder / "m.onnx"),
        inputs=('a"b\\c',),
        input_size_list=((1, 3, 8, 8),),
        mean_values=((123.675, 0.5, 1e-7),),
        std_values=((58.395, 2.0, 3.0),),
        do_quantization=True,
        dataset=str(folder / "dataset.txt"),
        quantized_algorithm="mmse",
        optimization_level=2,
        extra={"config": {"compress_weight": True}},
    )
    answers = Answers(spec, (folder / "x.npy",), "nchw", (folder / "x.npy",), (), None, "root@board")
    (folder / "rkparity.toml").write_text(project_text(answers, folder), encoding="utf-8")
    project = read_project(folder / "rkparity.toml")
    assert project.build_spec(do_quantization=True) == replace(spec, mean_values=((123.675, 0.5, 1e-7),))
    assert (project.input.layout, project.board.address) == ("nchw", "root@board")
    assert project.original.inputs == (folder / "x.npy",)


def test_init_by_options_writes_a_project_and_never_overwrites_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    command = ["init", "m.onnx", "--input", "x.npy", "--mean", "0,0,0", "--std", "255,255,255", "--no-input"]
    assert main(command) == 0
    assert read_project(folder / "rkparity.toml").build.std_values == ((255.0, 255.0, 255.0),)
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["init", "m.onnx", "--no-input", "--force"]) == 2


def test_init_asks_on_a_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("rkparity.cli.init._shaped", lambda project, python: None)
    # A mistyped answer is asked again, not the end of the interview.
    answers = iter(
        ["n.onnx", "'m.onnx'", "", "x.npy", "1 2 three", "1 2 3", "4,5,6", "rk3576", "dataset.txt", "", "virtual"]
    )
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert main(["init"]) == 0
    said = capsys.readouterr().err
    assert "n.onnx: is not a file" in said and "a file is needed" in said and "must be numbers" in said
    project = read_project(folder / "rkparity.toml")
    assert project.build.mean_values == ((1.0, 2.0, 3.0),)
    assert (project.build.target_platform, project.build.do_quantization) == ("rk3576", True)
    assert project.board.address == "virtual"


def test_answers_that_end_early_are_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", ended)
    assert main(["init"]) == 2
    assert "the answers ended" in capsys.readouterr().err


def test_init_takes_the_program_further_samples_and_the_budget(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("rkparity.cli.init._shaped", lambda project, python: None)
    (folder / "app").touch()
    command = ["init", "m.onnx", "--input", "x.npy", "--more", "x.npy", "--budget", "90", "--board", "virtual"]
    assert main([*command, "--application", "./app {model} '{input}'", "--upload", "app"]) == 0
    project = read_project(folder / "rkparity.toml")
    assert project.input.more == ((folder / "x.npy",),)
    assert project.board.application == ("./app", "{model}", "{input}")
    assert project.board.uploads == (folder / "app",)
    assert project.check.budget_s == 90
    assert main([*command, "--upload", "nothing", "--force"]) == 2

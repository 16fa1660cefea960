"""Seeded mistakes of stage fp16: each is named, with the right fix, and the fix makes the stage pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check_projects import MEAN, MODELS, STD, fed, picture, run_stage, toolkit_python, write_project

from rkparity.flow.result import Stage, StageResult, StageVerdict
from rkparity.original.engine import run_original
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit

Project = dict[str, Any]


@pytest.fixture(scope="module")
def python() -> Path:
    return toolkit_python()


@pytest.fixture(scope="module")
def answer(python: Path) -> list[np.ndarray]:
    """What ONNX Runtime answers to the right input of `pixels`."""
    with Worker(python) as worker:
        run = run_original(worker, BuildSpec(Framework.ONNX, str(MODELS / "pixels.onnx")), [fed(picture())])
        return [np.array(array) for array in run.outputs.values()]


def ids(result: StageResult) -> list[str]:
    return [finding.id for finding in result.findings]


def cube() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((1, 8, 8, 8)).astype(np.float32)


SIZED = 'inputs = ["image"]\ninput_size_list = [[1, 3, 12, 16]]'
RIGHT: Project = {"mean": MEAN, "std": STD, "original": fed(picture())}

# name: (mistaken project, its finding, what the fix must say, the same project mended)
SEEDED: dict[str, tuple[Project, str, str, Project]] = {
    "mean and std missing": (
        {**RIGHT, "mean": None, "std": None},
        "config.mean_std.missing",
        "mean_values = [123.675, 116.28, 103.53]",
        RIGHT,
    ),
    "normalised twice": (
        {**RIGHT, "sample": fed(picture()), "layout": "nchw"},
        "config.mean_std.doubled",
        "leave mean_values and std_values out",
        {"mean": None, "std": None, "original": RIGHT["original"], "sample": fed(picture()), "layout": "nchw"},
    ),
    "mean and std in the wrong order": (
        {**RIGHT, "mean": MEAN[::-1], "std": STD[::-1]},
        "config.mean_std.order",
        "mean_values = [123.675, 116.28, 103.53]",
        RIGHT,
    ),
    "mean and std for pixels of 0 to 1": (
        {**RIGHT, "mean": [value / 255 for value in MEAN], "std": [value / 255 for value in STD]},
        "config.mean_std.unit",
        "std_values = [58.395, 57.12, 57.375]",
        RIGHT,
    ),
    "std not set": ({**RIGHT, "std": (1, 1, 1)}, "config.std.missing", "std_values = [58.395, 57.12, 57.375]", RIGHT),
    "BGR sample for an RGB model": (
        {**RIGHT, "sample": picture()[..., ::-1]},
        "input.channels",
        "x[..., ::-1]",
        RIGHT,
    ),
    "NCHW taken for NHWC, all sizes equal": (
        {"model": "cube", "sample": cube(), "original": cube(), "layout": "nhwc"},
        "input.layout",
        'layout = "nchw"',
        {"model": "cube", "sample": cube(), "original": cube(), "layout": "nchw"},
    ),
    "no batch dimension": ({**RIGHT, "sample": picture()[0]}, "input.batch_missing", "numpy.expand_dims(x, 0)", RIGHT),
    "input_size_list missing": (
        {**RIGHT, "model": "dynamic"},
        "config.input_size_list",
        "input_size_list = [[1, 3, 12, 16]]",
        {**RIGHT, "model": "dynamic", "model_lines": SIZED},
    ),
    "input_size_list with height and width exchanged": (
        {**RIGHT, "model": "dynamic", "model_lines": 'inputs = ["image"]\ninput_size_list = [[1, 3, 16, 12]]'},
        "config.input_size_list",
        "input_size_list = [[1, 3, 12, 16]]",
        {**RIGHT, "model": "dynamic", "model_lines": SIZED},
    ),
    "an input that is not in the graph": (
        {**RIGHT, "model_lines": 'inputs = ["images"]'},
        "config.inputs",
        'inputs = ["image"]',
        {**RIGHT, "model_lines": SIZED},
    ),
    "an output that is not in the graph": (
        {**RIGHT, "model_lines": 'outputs = ["box", "scores"]'},
        "config.outputs",
        'outputs = ["boxes", "scores"]',
        {**RIGHT, "model_lines": 'outputs = ["boxes", "scores"]'},
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_mistake_is_named_with_its_fix(name: str, tmp_path: Path, python: Path) -> None:
    mistaken, cause, fix, mended = SEEDED[name]
    result = run_stage(write_project(tmp_path / "wrong", **mistaken), Stage.FP16, python)
    assert result.verdict is StageVerdict.FAIL
    assert ids(result)[0] == cause
    first = result.findings[0]
    assert fix in first.fix, first.fix
    assert result.next_action == first.fix
    assert first.title in result.facts
    again = run_stage(write_project(tmp_path / "mended", **mended), Stage.FP16, python)
    assert (again.verdict, ids(again)) == (StageVerdict.PASS, [])


MISTAKES_BY_ANSWER: dict[str, tuple[Callable[[], Project], str]] = {
    "missing": (lambda: {"mean": None, "std": None}, "config.mean_std.missing"),
    "order": (lambda: {"mean": MEAN[::-1], "std": STD[::-1]}, "config.mean_std.order"),
    "doubled": (
        lambda: {"mean": MEAN, "std": STD, "sample": fed(picture()), "layout": "nchw"},
        "config.mean_std.doubled",
    ),
    "bgr": (lambda: {"mean": MEAN, "std": STD, "sample": picture()[..., ::-1]}, "input.channels"),
}


@pytest.mark.parametrize("name", MISTAKES_BY_ANSWER)
def test_the_cause_is_found_from_the_originals_answer_alone(
    name: str, tmp_path: Path, python: Path, answer: list[np.ndarray]
) -> None:
    make, cause = MISTAKES_BY_ANSWER[name]
    result = run_stage(write_project(tmp_path, outputs=answer, **make()), Stage.FP16, python)
    assert result.verdict is StageVerdict.FAIL
    assert ids(result) == [cause]
    assert result.findings[0].evidence[1].numbers["cosine"] > 0.9999


def test_outputs_in_another_order_are_named(tmp_path: Path, python: Path, answer: list[np.ndarray]) -> None:
    project = write_project(tmp_path, mean=MEAN, std=STD, outputs=answer[::-1])
    result = run_stage(project, Stage.FP16, python)
    assert ids(result) == ["config.outputs"]
    assert result.findings[0].fix == 'set outputs = ["scores", "boxes"] in [model]'


def test_the_toolkits_wrong_maxpool_is_found_at_its_layer(tmp_path: Path, python: Path) -> None:
    sample = picture((1, 4, 4, 3))
    project = write_project(tmp_path, model="pool", sample=sample, mean=MEAN, std=STD, original=fed(sample))
    result = run_stage(project, Stage.FP16, python)
    assert result.verdict is StageVerdict.FAIL
    finding = result.findings[0]
    assert (finding.id, finding.subject) == ("toolkit.golden_wrong", "pooled")
    assert "two MaxPools of kernel 3" in finding.fix
    assert finding.evidence[0].numbers["max_abs_error"] > 0.1


def test_a_reference_of_another_picture_is_told_from_a_wrong_conversion(tmp_path: Path, python: Path) -> None:
    other = fed(picture(seed=9))
    result = run_stage(write_project(tmp_path, mean=MEAN, std=STD, original=other), Stage.FP16, python)
    assert (result.verdict, ids(result)) == (StageVerdict.FAIL, ["input.unexplained"])


def test_unproven_settings_are_said_to_be_so(tmp_path: Path, python: Path) -> None:
    result = run_stage(write_project(tmp_path, mean=MEAN, std=STD), Stage.FP16, python)
    assert result.verdict is StageVerdict.PASS
    assert ids(result) == ["config.mean_std.unproven"]


def test_mean_and_std_of_the_training_are_held_against_the_build(tmp_path: Path, python: Path) -> None:
    trained = f"mean = {list(MEAN)}\nstd = {list(STD)}"
    wrong = run_stage(write_project(tmp_path, mean=(0, 0, 0), std=(255, 255, 255), text=trained), Stage.FP16, python)
    assert ids(wrong) == ["config.mean_std.values"]
    assert "[123.675, 116.28, 103.53]" in wrong.findings[0].fix


QAT_FACT = "trained with quantisation (QAT): built with do_quantization=False, it has no FP16 run"


def test_a_qat_model_is_held_against_its_original_in_int8(tmp_path: Path, python: Path) -> None:
    right = write_project(tmp_path / "right", model="trained", mean=MEAN, std=STD, original=fed(picture()))
    result = run_stage(right, Stage.FP16, python)
    assert (result.verdict, result.findings) == (StageVerdict.PASS, ())
    assert QAT_FACT in result.facts[0]
    (outputs, layers) = result.figures
    assert outputs.rows[0][0] == "boxes" and outputs.rows[0][1] > 0.999
    assert {"boxes", "c0", "c1", "r0"} == {str(row[0]) for row in layers.rows}


def test_mistakes_are_named_on_a_qat_model_too(tmp_path: Path, python: Path) -> None:
    wrong = write_project(tmp_path / "wrong", model="trained", original=fed(picture()))
    result = run_stage(wrong, Stage.FP16, python)
    assert (result.verdict, ids(result)) == (StageVerdict.FAIL, ["config.mean_std.missing"])
    assert "mean_values = [123.675, 116.28, 103.53]" in result.next_action
    assert result.findings[0].evidence[1].numbers["cosine"] > 0.999
    other = write_project(tmp_path / "bgr", model="trained", mean=MEAN, std=STD, original=fed(picture()[..., ::-1]))
    assert ids(run_stage(other, Stage.FP16, python)) == ["input.channels"]


def test_a_tensor_flushed_to_zero_is_named_with_its_layer(tmp_path: Path, python: Path) -> None:
    project = write_project(tmp_path, model="tiny", mean=MEAN, std=STD, original=fed(picture()))
    result = run_stage(project, Stage.FP16, python)
    assert result.verdict is StageVerdict.FAIL
    first = result.findings[0]
    assert first.id == "fp16.underflow"
    assert first.subject in ("small", "r1")
    assert result.next_action == first.fix

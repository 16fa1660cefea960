"""Stage quantized with the real toolkit: one seeded mistake per cause, the outlier evidence, mixing and building."""

from __future__ import annotations

import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rkparity.flow.context import Context
from rkparity.flow.quantized import stage
from rkparity.flow.quantized.measure import output_error
from rkparity.flow.quantized.samples import normalise
from rkparity.flow.quantized.selection import OperatorGraph
from rkparity.flow.result import StageResult, StageVerdict
from rkparity.flow.store import Store
from rkparity.project import read_project
from rkparity.runs import RunReader, open_npy
from rkparity.toolkit.hybrid import (
    MixedModel,
    hybrid_step1,
    hybrid_step2,
)
from rkparity.toolkit.hybrid_configuration import read_configuration, write_configuration
from rkparity.toolkit.inputs import prepare_inputs
from rkparity.toolkit.simulate import simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker
from support import require

pytestmark = pytest.mark.toolkit
HERE = Path(__file__).resolve().parent
OUTLIER = HERE.parents[1] / "data" / "toolkit" / "outlier_channel.zip"
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@pytest.fixture(scope="module")
def python() -> Path:
    from rkparity.errors import RkparityError
    from rkparity.toolkit.bootstrap import find_toolkit_python

    try:
        return find_toolkit_python(None)
    except RkparityError as error:
        require(False, f"{error.message}; {error.hint}")
        raise


@pytest.fixture(scope="module")
def cases(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized-cases")
    subprocess.run([str(python), str(HERE / "make_quantized_cases.py"), str(folder)], check=True, capture_output=True)
    return folder


def examine(python: Path, project: Path) -> StageResult:
    settings = read_project(project)
    with Context(settings, Store(settings.output), toolkit_python=python, timeout_s=300) as context:
        return stage.run(context)


SEEDED = {
    "channels": ("quantized.channels", "quant_img_RGB2BGR=True"),
    "unlike": ("quantized.dataset.unlike", "from the data of the deployment"),
    "few": ("quantized.dataset.few", "use 20 to 200 samples"),
    "normalised": ("quantized.dataset.normalised", "BEFORE mean and std"),
    "method": ("quantized.method", "quantized_method='channel'"),
    "weights": ("quantized.layer.weights", "hybrid quantisation"),
    "last": ("quantized.last_operator", "compute it in post-processing"),
    "qat": ("quantized.qat_model", "do_quantization=False"),
    "stated": ("quantized.channels", "quant_img_RGB2BGR=True"),
    "algorithm": ("quantized.algorithm", "quantized_algorithm='mmse'"),
    "many": ("quantized.dataset.many", "use 20 to 200 samples"),
    "wrong": ("quantized.configuration", "check mean_values, std_values and the calibration data"),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_mistake_is_named_with_its_fix(python: Path, cases: Path, name: str) -> None:
    result = examine(python, cases / name / "rkparity.toml")
    identity, fix = SEEDED[name]
    found = {finding.id: finding for finding in result.findings}
    assert identity in found, [finding.title for finding in result.findings]
    assert fix in found[identity].fix
    assert result.verdict is (StageVerdict.WARN if name in ("qat", "stated", "many") else StageVerdict.FAIL)
    if name in ("channels", "unlike", "normalised", "method", "stated", "many"):
        assert result.findings[0].id == identity
    if name in ("channels", "unlike", "normalised", "method", "stated", "many", "algorithm"):
        assert fix in result.next_action
    # What is not wrong is not blamed.
    blamed = {item for item in found if item.startswith(("quantized.dataset", "quantized.channels"))}
    expected = {
        "channels": {"quantized.channels"},
        "stated": {"quantized.channels"},
        "unlike": {"quantized.dataset.unlike"},
        "few": {"quantized.dataset.unlike", "quantized.dataset.few"},
        "many": {"quantized.dataset.many"},
        "wrong": {"quantized.dataset.unlike"},
        "normalised": {"quantized.dataset.normalised"},
    }
    assert blamed == expected.get(name, set())


def test_every_setting_of_the_manual_is_measured(python: Path, cases: Path) -> None:
    result = examine(python, cases / "algorithm" / "rkparity.toml")
    (tried,) = [table for table in result.figures if table.title == "settings tried"]
    measured = {str(row[0]): row[1] for row in tried.rows}
    wanted = {
        "calibrate with the test input alone",
        "quant_img_RGB2BGR=True",
        "quantized_method='layer'",
        "quantized_algorithm='mmse'",
        "quantized_algorithm='kl_divergence'",
        "optimization_level=0",
    }
    assert wanted <= set(measured)
    assert all(isinstance(measured[name], float) and 0.9 < float(str(measured[name])) <= 1 for name in wanted)
    notes = {str(row[0]): str(row[-1]) for row in tried.rows}
    assert (
        notes["optimization_level=1"]
        == notes["optimization_level=2"]
        == "not tried: optimization_level=0 does not help"
    )
    assert float(str(measured["quantized_algorithm='mmse'"])) > float(str(measured["as in the project"]))


def test_the_last_operator_is_the_one_that_joins_boxes_and_scores(python: Path, cases: Path) -> None:
    result = examine(python, cases / "last" / "rkparity.toml")
    (finding,) = [item for item in result.findings if item.id == "quantized.last_operator"]
    assert finding.subject.startswith("both")


def test_a_good_model_passes_and_one_in_float_is_not_judged(python: Path, cases: Path) -> None:
    fine = examine(python, cases / "fine" / "rkparity.toml")
    assert (fine.verdict, fine.findings) == (StageVerdict.PASS, ())
    assert "verify the accuracy on the data set" in fine.next_action
    off = examine(python, cases / "off" / "rkparity.toml")
    assert off.verdict is StageVerdict.NOT_RUN
    assert "do_quantization is false" in off.facts[0]


def test_without_time_nothing_is_tried_and_that_is_said(python: Path, cases: Path, tmp_path: Path) -> None:
    project = cases / "method" / "short.toml"
    project.write_text(
        (cases / "method" / "rkparity.toml").read_text().replace("budget_s = 60", "budget_s = 0")
        + '\n[original]\nchannel_order = "rgb"\n'
    )
    project.write_text(f'output = "{tmp_path / "out"}"\n' + project.read_text())
    result = examine(python, project)
    assert result.verdict is StageVerdict.FAIL
    (tried,) = [table for table in result.figures if table.title == "settings tried"]
    assert len(tried.rows) > 5
    assert "budget_s" in result.next_action
    assert "quantized.qat" not in {item.id for item in result.findings}
    assert all("not tried: not enough time, takes about" in str(row[-1]) for row in tried.rows[1:])
    left_out = [
        row[1] for table in result.figures if table.title == "time" for row in table.rows if row[0] == "left out"
    ]
    assert any("hybrid quantisation was not tried" in str(text) for text in left_out)


@pytest.fixture
def outlier(tmp_path: Path) -> Path:
    with zipfile.ZipFile(OUTLIER) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "outlier_channel"
    (folder / "rkparity.toml").write_text(
        f"""[model]
file = "model.onnx"
[input]
files = ["data/s6_0.png"]
[build]
mean_values = [{list(MEAN)}]
std_values = [{list(STD)}]
do_quantization = true
dataset = "dataset.txt"
[check]
quantized_cosine = 0.998
budget_s = 120
"""
    )
    return folder


def outlier_spec(folder: Path) -> BuildSpec:
    return BuildSpec(
        Framework.ONNX,
        str(folder / "model.onnx"),
        mean_values=(MEAN,),
        std_values=(STD,),
        do_quantization=True,
        dataset=str(folder / "dataset.txt"),
    )


def test_the_outlier_channel_is_repaired_with_fewer_tensors_than_the_toolkit_proposes(
    python: Path, outlier: Path
) -> None:
    result = examine(python, outlier / "rkparity.toml")
    assert result.verdict is StageVerdict.FAIL
    first = result.findings[0]
    assert (first.id, first.subject) == ("quantized.layer.range", "c1_outlier")
    (table,) = [item for item in result.figures if item.title == "hybrid builds with the project's settings"]
    rows = {str(row[0]): row for row in table.rows}
    ours, theirs = rows["ours, chosen"], rows["the toolkit's proposal"]
    assert isinstance(ours[2], float) and ours[2] >= 0.998
    assert ours[1] == 2
    assert theirs[1] == 3
    out = outlier / ".rkparity"
    listed, _ = read_configuration(out / result.artefacts["model.quantization.cfg"])
    assert listed == ("c1_outlier", "c2")
    assert (out / result.artefacts["model.hybrid.rknn"]).read_bytes()[:4] == b"RKNN"
    # The curve is one: more work, less error.
    (curve,) = [item for item in result.figures if item.title.startswith("accuracy against cost with the project")]
    costs, noise = [row[1] for row in curve.rows], [row[3] for row in curve.rows]
    assert costs == sorted(costs) and noise == sorted(noise) and len(costs) >= 2


def test_disk_is_less_than_three_times_one_run(python: Path, outlier: Path, tmp_path: Path) -> None:
    result = examine(python, outlier / "rkparity.toml")
    with Worker(python, timeout_s=300) as worker:
        built = worker.build(outlier_spec(outlier))
        inputs = prepare_inputs([outlier / "data" / "s6_0.png"], built.inputs, worker, tmp_path / "feed")
        simulate(worker, built, inputs, tmp_path / "runs")
    run = RunReader.open(tmp_path / "runs" / "simulator")
    one = sum(run.file(record.file).stat().st_size for record in run.manifest.tensors)
    assert 0 < result.disk_nbytes <= 3 * one


@pytest.fixture
def opened(python: Path, outlier: Path, tmp_path: Path) -> Iterator[tuple[Worker, MixedModel, BuildSpec, np.ndarray]]:
    spec = outlier_spec(outlier)
    with Worker(python, timeout_s=300) as worker:
        built = worker.build(spec)
        (given,) = prepare_inputs([outlier / "data" / "s6_0.png"], built.inputs, worker, tmp_path / "feed")
        with MixedModel(worker, built, [given.feed]) as mixed:
            yield worker, mixed, spec, normalise(built.inputs[0], open_npy(given.feed))


@pytest.mark.parametrize("layers", [("c2",), ("add3",), ("c1_outlier",), ("c1_outlier", "c2"), ("out_int8",)])
def test_mixing_predicts_what_step_2_builds(
    opened: tuple[Worker, MixedModel, BuildSpec, np.ndarray], layers: tuple[str, ...], tmp_path: Path
) -> None:
    worker, mixed, spec, value = opened
    maker = OperatorGraph(mixed.operators).maker
    (predicted,) = mixed.evaluate([[maker[name] for name in layers]])
    files = hybrid_step1(worker, spec, tmp_path / "step1")
    cfg = tmp_path / "ours.cfg"
    write_configuration(files.cfg, cfg, dict.fromkeys(layers, "test"))
    built = hybrid_step2(worker, spec, files, cfg)
    found = worker.outputs(built.model_id, [value])[0].ravel().astype(np.float64)
    golden = mixed.golden([[tmp_path / "feed" / "0.npy"]])[0][0].ravel().astype(np.float64)
    cosine = found @ golden / np.linalg.norm(found) / np.linalg.norm(golden)
    assert predicted.cosine == pytest.approx(cosine, abs=5e-4)


def test_contributions_separate_weights_from_storage(
    opened: tuple[Worker, MixedModel, BuildSpec, np.ndarray],
) -> None:
    _, mixed, _, _ = opened
    by_name = {mixed.operators[item.index].name: item for item in mixed.contributions(range(len(mixed.operators)))}
    assert by_name["c1_outlier"].storage > 0.5
    assert by_name["c1_outlier"].weights < 1e-4
    assert by_name["c2"].weights > 1e-3 > by_name["c2"].storage
    # The table of the toolkit's own report for this case.
    table = {item.name: item for item in mixed.operators}
    assert table["r2"].single.cosine == pytest.approx(0.33478, abs=1e-5)
    assert table["gap"].entire.cosine == pytest.approx(0.65584, abs=1e-5)
    assert table["c1_outlier"].single.euclidean == pytest.approx(117.23175, abs=1e-3)


def test_a_search_ends_at_its_budget(python: Path, cases: Path, tmp_path: Path) -> None:
    """mmse on a large layer takes longer than the whole budget: it is ended, not waited for."""
    project = cases / "slow" / "rkparity.toml"
    started = time.monotonic()
    result = examine(python, project)
    assert result.verdict is StageVerdict.FAIL
    (spent,) = [table for table in result.figures if table.title == "time"]
    rows = {str(row[0]): row[1] for row in spent.rows}
    assert float(str(rows["seconds spent"])) <= float(str(rows["budget"])) + 2
    assert time.monotonic() - started <= float(str(rows["budget"])) + 10
    (tried,) = [table for table in result.figures if table.title == "settings tried"]
    (mmse,) = [row for row in tried.rows if "mmse" in str(row[0])]
    assert mmse[1] is None and "not enough time" in str(mmse[-1])


def test_a_fused_tensor_is_stored_in_int8_where_its_maker_is_float_and_its_reader_is_not(
    python: Path, cases: Path, tmp_path: Path
) -> None:
    """A convolution in float16 before an int8 HardSwish gains nothing at the output, in the mixture as in the build."""
    project = read_project(cases / "fused" / "rkparity.toml")
    with Worker(python, timeout_s=300) as worker:
        spec = project.build_spec(do_quantization=True)
        built = worker.build(spec)
        (given,) = prepare_inputs(project.input.files, built.inputs, worker, tmp_path / "feed", layout="nhwc")
        with MixedModel(worker, built, [given.feed]) as mixed:
            maker = mixed.operators[OperatorGraph(mixed.operators).maker["first"]]
            assert maker.fused
            (predicted,) = mixed.evaluate([[maker.index]])
            ((golden,),) = mixed.golden([[given.feed]])
        files = hybrid_step1(worker, spec, tmp_path / "step1")
        write_configuration(files.cfg, tmp_path / "ours.cfg", {"first": "test"})
        hybrid = hybrid_step2(worker, spec, files, tmp_path / "ours.cfg")
        values = worker.layers(hybrid.model_id, [normalise(built.inputs[0], open_npy(given.feed))])
    assert "first__int8" in values.layers
    found = output_error(values.outputs[0], golden)
    assert found.cosine < 0.9999
    assert predicted.cosine == pytest.approx(found.cosine, abs=2e-4)

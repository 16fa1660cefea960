"""The toolkit's four-column analysis from dumps in a folder, for every toolkit version at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from check_projects import MODELS, other_toolkits, run_stage, toolkit_python

from rkparity.flow.connected.lite import _outputs
from rkparity.flow.connected.stage import suspicious
from rkparity.flow.result import Stage, StageVerdict
from rkparity.runs.dump_names import sanitize
from rkparity.toolkit.board_analysis import analyse_board
from rkparity.toolkit.built_model import BuiltModel
from rkparity.toolkit.inputs import PreparedInput, prepare_inputs
from rkparity.toolkit.simulate import Simulation, simulate
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

pytestmark = pytest.mark.toolkit
CASE = Path(__file__).resolve().parents[2] / "data" / "toolkit" / "cnn_classifier.zip"


@pytest.fixture(scope="module", params=["in use", "others"])
def worker(request: pytest.FixtureRequest) -> object:
    found = [toolkit_python()] if request.param == "in use" else other_toolkits()
    if not found:
        pytest.skip("no other toolkit version: set RKPARITY_TEST_TOOLKITS")
    with Worker(found[0]) as running:
        yield running


@pytest.fixture(scope="module")
def case(
    worker: Worker, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BuiltModel, tuple[PreparedInput, ...], Simulation]:
    folder = tmp_path_factory.mktemp("case")
    with zipfile.ZipFile(CASE) as archive:
        archive.extractall(folder)
    home = folder / "cnn_classifier"
    spec = BuildSpec(
        Framework.ONNX,
        str(home / "model.onnx"),
        mean_values=((123.675, 116.28, 103.53),),
        std_values=((58.395, 57.12, 57.375),),
        do_quantization=True,
        dataset=str(home / "dataset.txt"),
    )
    built = worker.build(spec)
    inputs = prepare_inputs([home / "data" / "s6_0.png"], built.inputs, worker, folder / "inputs")
    return built, inputs, simulate(worker, built, inputs, folder / "sim")


def dumps_of(simulation: Simulation, folder: Path, *, wrong: str = "") -> list[str]:
    """Dump files a board would have written, all as the simulator has them but `wrong`."""
    folder.mkdir()
    names = []
    for order, record in enumerate(simulation.simulator.manifest.tensors):
        if record.not_comparable or record.op_type not in ("Relu", "MaxPool", "Conv", "Reshape"):
            continue
        values = np.array(simulation.simulator.tensor(record), np.float32)
        if record.name == wrong:
            values = np.roll(values, 1, axis=1)
        shape = "_".join(map(str, values.shape))
        np.save(folder / f"{order:03d}_{record.op_type}_{sanitize(record.name)}_shape_{shape}_float.npy", values)
        names.append(record.name)
    return names


def test_a_faithful_board_has_no_suspicious_layer(worker: Worker, case: tuple, tmp_path: Path) -> None:
    built, inputs, simulation = case
    names = dumps_of(simulation, tmp_path / "dumps")
    np.save(tmp_path / "output0.npy", np.zeros((1, 10), np.float32))
    table = tmp_path / "error_analysis.txt"
    feeds = [item.feed for item in inputs]
    rows = analyse_board(worker, built, feeds, tmp_path / "dumps", [tmp_path / "output0.npy"], table)
    measured = [row.name for row in rows if row.runtime_entire is not None]
    assert set(measured) == set(names) and len(names) >= 8
    assert suspicious(rows) == []
    head = table.read_text(encoding="utf-8")
    assert "single_sim" in head and "runtime_error" in head


def test_a_layer_that_errs_is_yellow_at_single_sim(worker: Worker, case: tuple, tmp_path: Path) -> None:
    built, inputs, simulation = case
    dumps_of(simulation, tmp_path / "dumps", wrong="/layer0/Relu_output_0")
    np.save(tmp_path / "output0.npy", np.zeros((1, 10), np.float32))
    rows = analyse_board(
        worker, built, [inputs[0].feed], tmp_path / "dumps", [tmp_path / "output0.npy"], tmp_path / "t.txt"
    )
    bad = {row.name: row for row in suspicious(rows)}
    # The next layer is re-simulated on the wrong tensor, so it is off as well.
    assert next(iter(bad)) == "/layer0/Relu_output_0"
    cell = bad["/layer0/Relu_output_0"].runtime_single
    assert cell is not None and cell.cosine is not None and cell.cosine < 0.9


def test_the_evidence_of_an_overflow_is_named_at_its_tensor(tmp_path: Path) -> None:
    python = toolkit_python()
    with zipfile.ZipFile(MODELS / "fp16_overflow.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "rkparity.toml").write_text(
        '[model]\nfile = "model.onnx"\n[input]\nfiles = ["data/s6_0.npy"]\nlayout = "nchw"\n'
    )
    result = run_stage(tmp_path / "rkparity.toml", Stage.FP16, python)
    assert result.verdict is StageVerdict.FAIL
    finding = result.findings[0]
    assert (finding.id, finding.subject) == ("fp16.overflow", "c1_big")
    assert finding.evidence[0].numbers["over"] == 2299
    assert 474000 < finding.evidence[0].numbers["maximum"] < 475000
    assert "BatchNorm" in finding.fix and "Conv" in finding.cause


def test_lines_of_the_vendors_client_are_skipped_and_damaged_ones_refused() -> None:
    assert _outputs(b"I rknn: hello\nrkparity-output !!!\n") == ()
    assert _outputs(b"W nothing\n") == ()

"""A program that runs two models: each has a run of its own, and its calls are judged with its own model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import traced_app
from rkparity.cli.main import main
from rkparity.compare.dumps import open_dumps
from rkparity.errors import UsageError
from rkparity.model import read_model
from rkparity.runs import Engine, RunReader

# Their dumps have the same names: in one folder the last writer wins.
FIRST, SECOND = "b25_c3w30_fp16_rk3588", "b25_c3w30_int8_rk3588"


@pytest.fixture
def run(
    built: traced_app.Built, models: dict[str, Path], socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
    return tmp_path / "run"


def run_app(run: Path, built: traced_app.Built, socket: str, options: list[str], *program: str) -> int:
    environment = {"LD_LIBRARY_PATH": str(built.libraries), "RKPARITY_EMULATOR_SOCKET": socket}
    given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    return main(["run-app", "--board", "local:", "-o", str(run), *given, *options, "--", str(built.app), *program])


@pytest.mark.parametrize("api", ["contexts", "threads"])
def test_each_model_has_its_own_run(
    run: Path, built: traced_app.Built, models: dict[str, Path], socket: str, api: str, tmp_path: Path
) -> None:
    first, second = models[FIRST], models[SECOND]
    known = ["--model", str(first), "--model", str(second)]
    program = [str(first), "--second", str(second), "--api", api, "--runs", "3"]
    assert run_app(run, built, socket, known, *program) == 0
    whole = RunReader.open(run).manifest
    assert whole.tensors == () and whole.settings["models"] == {FIRST: f"models/{FIRST}", SECOND: f"models/{SECOND}"}
    for path in (first, second):
        alone = tmp_path / f"alone-{path.stem}"
        assert run_app(alone, built, socket, ["--model", str(path)], str(path)) == 0
        own, reference = RunReader.open(run / "models" / path.stem), RunReader.open(alone)
        assert own.manifest.model.sha256 == read_model(path).sha256 and own.manifest.engine is Engine.APP
        assert [item.name for item in own.manifest.tensors] == [item.name for item in reference.manifest.tensors]
        assert not any("not of this model" in text for text in own.manifest.warnings)
        assert all(own.tensor(item).shape == reference.tensor(item).shape for item in own.manifest.tensors)
        assert own.manifest.precision is reference.manifest.precision
        assert any(np.any(own.tensor(item)) for item in own.manifest.tensors)


def test_comparing_and_linting_name_the_model(
    run: Path,
    built: traced_app.Built,
    models: dict[str, Path],
    socket: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    first, second = models[FIRST], models[SECOND]
    program = [str(first), "--second", str(second), "--api", "contexts"]
    assert run_app(run, built, socket, [], *program) == 0
    # Without --model the trace tells which model is which, as far as it can: by digest.
    digests = {RunReader.open(path).manifest.model.sha256 for path in (run / "models").iterdir()}
    assert digests == {read_model(first).sha256, read_model(second).sha256}
    capsys.readouterr()
    with pytest.raises(UsageError, match="the program ran 2 models; each has a run of its own") as told:
        open_dumps(run)
    assert f"{run}/models/" in told.value.hint
    both = ["--model", str(first), "--model", str(second)]
    assert main(["lint", str(run), *both]) == 0
    assert "runs none of the --model files" not in capsys.readouterr().out
    assert main(["lint", str(run), "--model", str(first), "--model", str(models["b25_ids_fp16_rk3588"])]) == 2
    assert "no context of" in capsys.readouterr().err

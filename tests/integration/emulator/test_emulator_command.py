"""`rkparity emulator` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def rkparity(
    *arguments: object, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT / "host"), str(ROOT / "device"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "rkparity.cli.main", "emulator", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def model(models: Path) -> Path:
    return models / "cnn_classifier" / "c25_cnn_classifier_int8.rknn"


def test_help_and_bad_arguments(tmp_path: Path) -> None:
    assert rkparity("--help", cwd=tmp_path).returncode == 0
    assert rkparity(cwd=tmp_path).returncode == 2
    assert rkparity("exec", "--", "true", cwd=tmp_path).returncode in (2, 3)
    stopped = rkparity("stop", cwd=tmp_path)
    assert stopped.returncode == 2
    assert "rkparity-board.json: cannot be read" in stopped.stderr


@pytest.mark.toolkit
def test_start_use_stop(library_path: Path, toolkit_python: Path, model: Path, tmp_path: Path) -> None:
    environment = {"RKPARITY_TOOLKIT_PYTHON": str(toolkit_python)}
    started = rkparity("start", "--model", model, "--board-file", "b.json", cwd=tmp_path, environment=environment)
    assert started.returncode == 0, started.stderr
    assert "virtual board (rk3588, emulated runtime) on 127.0.0.1 port" in started.stdout
    record = json.loads((tmp_path / "b.json").read_text())
    try:
        again = rkparity("start", "--model", model, "--board-file", "b.json", cwd=tmp_path, environment=environment)
        assert again.returncode == 2 and "its virtual board is still running" in again.stderr
        assert Path(record["root"], "lib", "librknnrt.so").is_file()
    finally:
        stopped = rkparity("stop", "--board-file", "b.json", cwd=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
    assert not (tmp_path / "b.json").exists() and not Path(record["root"]).exists()
    assert not Path(f"/proc/{record['pid']}").exists()


@pytest.mark.toolkit
def test_start_tells_why_it_cannot(library_path: Path, toolkit_python: Path, models: Path, tmp_path: Path) -> None:
    environment = {"RKPARITY_TOOLKIT_PYTHON": str(toolkit_python)}
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "m.rknn").write_bytes((models / "t1_net_25.rknn").read_bytes())
    other = {"schema": "rkparity.build/1", "rknn_sha256": "0", "toolkit_version": "2.5.0", "spec": {}}
    (foreign / "m.rknn.build.json").write_text(json.dumps(other))
    failed = rkparity("start", "--model", foreign / "m.rknn", cwd=tmp_path, environment=environment)
    assert failed.returncode == 2
    assert "belongs to another file" in failed.stderr and "hint: " in failed.stderr
    missing = rkparity("start", "--model", "nowhere.rknn", cwd=tmp_path, environment=environment)
    assert missing.returncode == 2 and "nowhere.rknn: does not exist" in missing.stderr
    assert list(tmp_path.iterdir()) == [foreign]


def test_a_model_without_a_build_record_is_served_and_said_to_be_void(
    library_path: Path, models: Path, tmp_path: Path
) -> None:
    environment = {"RKPARITY_TOOLKIT_PYTHON": sys.executable}
    started = rkparity("start", "--model", models / "t1_net_25.rknn", cwd=tmp_path, environment=environment)
    assert started.returncode == 0, started.stderr
    stopped = rkparity("stop", cwd=tmp_path)
    assert stopped.returncode == 0
    assert "t1_net_25.rknn: VOID VALUES: it has no build record" in started.stdout


@pytest.mark.toolkit
def test_exec(library_path: Path, toolkit_python: Path, model: Path, tmp_path: Path) -> None:
    environment = {"RKPARITY_TOOLKIT_PYTHON": str(toolkit_python)}
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import emulated_library as e\n"
        "runtime = e.Runtime(e.load(Path('librknnrt.so')))\n"
        "assert runtime.init(Path(sys.argv[2]).read_bytes()) == 0 and runtime.run() == 0\n"
        "print(len(runtime.outputs_get([True])[1][0])); sys.exit(9)"
    )
    done = rkparity(
        "exec",
        "--model",
        model,
        "--",
        sys.executable,
        "-c",
        code,
        Path(__file__).parent,
        model,
        cwd=tmp_path,
        environment=environment,
    )
    assert (done.returncode, done.stdout) == (9, "40\n"), done.stderr
    missing = rkparity("exec", "--model", model, "--", "./nothing", cwd=tmp_path, environment=environment)
    assert missing.returncode == 2 and "./nothing: cannot be started" in missing.stderr

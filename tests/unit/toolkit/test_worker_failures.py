"""Every way the toolkit has of failing becomes one ToolkitError; the toolkit is a fake that fails on demand."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rkparity.errors import ToolkitError
from rkparity.toolkit.process import worker_environment
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

FAKE_TOOLKIT = Path(__file__).parent / "fake_toolkit"


def python_with_fake_toolkit(folder: Path) -> Path:
    """An interpreter that has the fake toolkit, as an environment of the toolkit's has the real one."""
    python = folder / "toolkit-python"
    path = f'"{FAKE_TOOLKIT}${{PYTHONPATH:+:$PYTHONPATH}}"'
    python.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Worker]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Worker(python_with_fake_toolkit(tmp_path), timeout_s=30) as started:
        yield started


def spec_for(tmp_path: Path, wish: str) -> BuildSpec:
    model = tmp_path / f"{wish}.onnx"
    model.write_text(wish)
    return BuildSpec(Framework.ONNX, str(model))


def test_a_model_builds_exports_and_infers(worker: Worker, tmp_path: Path) -> None:
    built = worker.build(spec_for(tmp_path, "fine"), export=tmp_path / "out" / "m.rknn")
    assert (built.inputs[0].name, built.inputs[0].shape, built.outputs) == ("x", (1, 3, 4, 5), ("y",))
    assert (tmp_path / "out" / "m.rknn").read_bytes() == b"RKNNfine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.rknn"]
    value = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
    (output,) = worker.infer(built.model_id, [value], ["nchw"])
    assert np.array_equal(output, value * 2)


def test_a_raised_traceback_becomes_its_last_line(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        worker.build(spec_for(tmp_path, "raise"))
    assert caught.value.message == "rknn-toolkit2 load_onnx: Unsupported op: Foo!"
    assert str(worker.log) in caught.value.hint
    assert "error_catch_wrapper" in worker.log.read_text()


def test_sys_exit_does_not_end_the_worker(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="load_onnx: 7"):
        worker.build(spec_for(tmp_path, "exit"))
    assert worker.build(spec_for(tmp_path, "fine")).model_id == 1


def test_a_return_code_comes_with_the_last_error_line_without_colours(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        worker.build(spec_for(tmp_path, "code"))
    assert caught.value.message == "rknn-toolkit2 build: dataset is needed! (build returned -1)"


def test_no_result_is_an_error(worker: Worker, tmp_path: Path) -> None:
    built = worker.build(spec_for(tmp_path, "none"))
    with pytest.raises(ToolkitError) as caught:
        worker.infer(built.model_id, [np.zeros((1, 3, 4, 5), np.float32)])
    assert caught.value.message == ("rknn-toolkit2 inference: float64 is not supported (inference returned nothing)")


def test_an_abort_is_reported_once_and_remembered(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        worker.build(spec_for(tmp_path, "abort"))
    assert caught.value.message == (
        "rknn-toolkit2 was killed by SIGABRT during 'build'; its last line: build: about to abort"
    )
    with pytest.raises(ToolkitError, match="worker is gone: it was killed by SIGABRT during 'build'"):
        worker.build(spec_for(tmp_path, "fine"))


def test_a_hang_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started = time.monotonic()
    with Worker(python_with_fake_toolkit(tmp_path), timeout_s=1.0) as worker:
        with pytest.raises(ToolkitError) as caught:
            worker.build(spec_for(tmp_path, "hang"))
        assert "did not finish 'build' within 1 s and was ended; its last line: I building ..." in caught.value.message
        with pytest.raises(ToolkitError, match="took more than 1 s"):
            worker.release(1)
    assert time.monotonic() - started < 20


def test_an_interrupted_job_ends_at_once(worker: Worker, tmp_path: Path) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            worker.build(spec_for(tmp_path, "hang"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    started = time.monotonic()
    with pytest.raises(ToolkitError, match="interrupted during 'build'"):
        worker.release(1)
    worker.close()
    assert time.monotonic() - started < 2


def test_a_process_left_behind_does_not_hold_the_worker_open(worker: Worker, tmp_path: Path) -> None:
    worker.build(spec_for(tmp_path, "daemon"))
    deadline = time.monotonic() + 10
    pid_file = worker.scratch / "daemon.pid"
    while not (pid_file.is_file() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    pid = int(pid_file.read_text())
    started = time.monotonic()
    worker.close()
    try:
        assert time.monotonic() - started < 3
        os.kill(pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_the_toolkit_prints_is_never_taken_for_an_answer(worker: Worker, tmp_path: Path) -> None:
    assert worker.build(spec_for(tmp_path, "noise")).outputs == ("y",)
    assert '{"ok": false' in worker.log.read_text()


def test_an_unknown_model_number_is_refused(worker: Worker) -> None:
    with pytest.raises(ToolkitError, match="no model 42 in this worker"):
        worker.infer(42, [])


def test_taps_that_do_not_fit_are_refused_not_tried(worker: Worker, tmp_path: Path) -> None:
    built = worker.build(spec_for(tmp_path, "fine"))
    assert not worker.has_fast_snapshot
    with pytest.raises(ToolkitError, match="no known way to give layers' values"):
        worker.layers(built.model_id, [np.zeros((1, 3, 4, 5), np.float32)])


def test_a_log_that_was_cleaned_away_breaks_nothing(worker: Worker, tmp_path: Path) -> None:
    worker.log.unlink()
    with pytest.raises(ToolkitError, match="build: dataset is needed!"):
        worker.build(spec_for(tmp_path, "code"))
    assert worker.build(spec_for(tmp_path, "fine")).outputs == ("y",)


def test_threads_share_one_worker(worker: Worker, tmp_path: Path) -> None:
    built = worker.build(spec_for(tmp_path, "fine"))
    wrong: list[int] = []

    def ask(number: int) -> None:
        value = np.full((1, 3, 4, 5), number, np.float32)
        for _ in range(10):
            if not np.array_equal(worker.infer(built.model_id, [value])[0], value * 2):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_interpreter_without_the_toolkit_is_an_error_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ToolkitError) as caught:
        Worker(Path(sys.executable))
    assert "No module named 'rknn'" in caught.value.message
    assert "setup-toolkit" in caught.value.hint
    with pytest.raises(ToolkitError, match="cannot be started"):
        Worker(tmp_path / "no-python")


def test_scratch_and_log_are_removed_after_success_and_the_log_kept_after_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with Worker(python_with_fake_toolkit(tmp_path)) as worker:
        worker.build(spec_for(tmp_path, "fine"))
    assert list(temporary.iterdir()) == []
    with Worker(python_with_fake_toolkit(tmp_path)) as worker, pytest.raises(ToolkitError):
        worker.build(spec_for(tmp_path, "raise"))
    assert list(temporary.iterdir()) == [worker.log]


def test_the_users_own_pythonpath_does_not_reach_the_toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name in ("rknn", "numpy", "onnx"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    # FAKE_TOOLKIT is put before PYTHONPATH, numpy is found after it: only numpy and onnx could be shadowed here.
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    monkeypatch.setenv("PYTHONHOME", str(elsewhere))
    monkeypatch.setenv("PYTHONSTARTUP", str(elsewhere / "start.py"))
    with Worker(python_with_fake_toolkit(tmp_path), timeout_s=30) as worker:
        assert worker.build(spec_for(tmp_path, "fine")).model_id == 1
    names = {name for name in worker_environment() if name.startswith("PYTHON")}
    assert names == {"PYTHONHASHSEED", "PYTHONNOUSERSITE", "PYTHONIOENCODING", "PYTHONPATH"}
    assert str(elsewhere) not in worker_environment()["PYTHONPATH"]

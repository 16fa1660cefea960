"""`rkparity run-app`: a real program on this machine, through sshd and dropbear, on busybox alone; ended in time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import traced_app
from rkparity.cli.main import main
from rkparity.emulator.virtual_board import SshKind, VirtualBoard
from rkparity.lint import lint
from rkparity.model import read_model
from rkparity.runs import Engine, Precision, RunReader
from ssh_server import Server, dropbear, openssh
from support import require

MODEL = "b25_c3w30_int8_rk3588"
DUMPS = [
    "000_InputOperator_x_shape_1_3_9_30_uint8.npy",
    "001_Conv_y_shape_1_5_9_30_float.npy",
    "002_OutputOperator_y_shape_1_5_9_30_float.npy",
]


class Runner:
    """`rkparity run-app` of the application on one board."""

    def __init__(self, built: traced_app.Built, model: Path, socket: str, tmp_path: Path) -> None:
        self.built, self.model = built, model
        self.out, self.work = tmp_path / "run", tmp_path / "board's folder" / "rkparity"
        self.board = ["--board", "local:"]
        self._environment = {
            "LD_LIBRARY_PATH": str(built.libraries),
            "RKPARITY_EMULATOR_SOCKET": socket,
            "GREETING": "it's $HOME",
        }

    def arguments(self, *options: str, program: list[str] | None = None) -> list[str]:
        pairs = [part for name, value in self._environment.items() for part in ("--env", f"{name}={value}")]
        work = ["--work-dir", str(self.work), "-o", str(self.out)]
        return [
            "run-app",
            *self.board,
            *work,
            *pairs,
            *options,
            "--",
            *(program or [str(self.built.app), str(self.model)]),
        ]

    def __call__(self, *options: str, program: list[str] | None = None) -> int:
        return main(self.arguments(*options, program=program))

    def start(self, *options: str, program: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rkparity", *self.arguments(*options, program=program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def clear_environment(self) -> None:
        self._environment.clear()

    def left_on_board(self) -> list[str]:
        return sorted(path.name for path in (self.work / "runs").iterdir())


@pytest.fixture
def runner(
    built: traced_app.Built, models: dict[str, Path], socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Runner:
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(built.layer))
    for name in ("LD_PRELOAD", "RKNN_LOG_LEVEL", "RKNN_DUMP_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Runner(built, models[MODEL], socket, tmp_path)


def check_run(runner: Runner) -> None:
    run = RunReader.open(runner.out)
    assert run.manifest.engine is Engine.APP
    assert run.manifest.precision is Precision.QUANTIZED
    assert run.manifest.emulated
    assert sorted(path.name for path in (runner.out / "dumps").iterdir()) == DUMPS
    assert [record.order for record in run.manifest.tensors] == [0, 1, 2]
    assert run.manifest.settings["exit_code"] == 0
    assert (runner.out / "logs" / "stdout.txt").read_text() == "done\n"
    result = lint(runner.out, model=read_model(runner.model))
    assert result.findings == ()
    assert [calls for _, _, calls in result.processes] == [14]
    assert result.logs == ("stderr.txt", "stdout.txt") or result.logs == ("stdout.txt", "stderr.txt")
    assert runner.left_on_board() == []


def test_here(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner("--model", str(runner.model)) == 0
    said = capsys.readouterr().out
    assert "the program: exit code 0" in said and "3 dumps, 1 trace" in said and "warning" not in said
    check_run(runner)
    assert RunReader.open(runner.out).manifest.model.sha256 == read_model(runner.model).sha256


@contextlib.contextmanager
def server_of(kind: str, folder: Path) -> Iterator[Server]:
    folder.mkdir()
    with openssh(folder) if kind == "openssh" else dropbear(folder) as running:
        yield running


@pytest.mark.sshd
@pytest.mark.parametrize("kind", ["openssh", "dropbear"])
def test_uploaded_over_ssh(kind: str, runner: Runner, tmp_path: Path) -> None:
    with server_of(kind, tmp_path / "server") as server:
        runner.board = server.options
        uploads = ["--upload", str(runner.built.app), "--upload", str(runner.model), "--model", str(runner.model)]
        assert runner(*uploads, program=["./lint_app", runner.model.name]) == 0
    check_run(runner)
    assert RunReader.open(runner.out).manifest.settings["uploads"] == ["lint_app", runner.model.name]


@pytest.fixture
def busybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but busybox's programs, and no Python, setsid, sha256sum or openssl."""
    found = shutil.which("busybox")
    require(found, "no busybox")
    folder = tmp_path / "bin"
    folder.mkdir()
    listed = subprocess.run([str(found), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(listed) - {"sha256sum", "setsid", "openssl"}:
        (folder / name).symlink_to(str(found))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("has_setsid", [True, False])
def test_busybox_alone(has_setsid: bool, runner: Runner, busybox: Path) -> None:
    if has_setsid:
        (busybox / "setsid").symlink_to((busybox / "sh").resolve())
    assert runner("--model", str(runner.model)) == 0
    check_run(runner)
    started = time.monotonic()
    assert runner("--force", "--timeout", "1", program=["sleep", "50"]) == 3
    assert time.monotonic() - started < 15
    assert RunReader.open(runner.out).manifest.settings["timed_out"] is True


def test_on_a_virtual_board(
    runner: Runner, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded SSH server; the session's own environment names the library."""
    monkeypatch.setenv("RKPARITY_EMULATOR_LIBRARY", str(runner.built.libraries / "librknnrt.so"))
    runner.clear_environment()
    served = traced_app.DependentModels(list(models.values()))
    with VirtualBoard(served, ssh=SshKind.EMBEDDED) as board:
        runner.board = ["--board", f"{board.user}@{board.host}:{board.port}", "--identity", str(board.identity_file)]
        runner.board += ["--known-hosts", str(board.known_hosts_file)]
        assert runner("--model", str(runner.model)) == 0
        check_run(runner)
        assert RunReader.open(runner.out).manifest.settings["chip"] == "emulated rk3588"
        script = "sleep 56.25 & echo $!; wait"
        assert runner("--force", "--timeout", "1", program=["sh", "-c", script]) == 3
        assert_gone(int((runner.out / "logs" / "stdout.txt").read_text()))


def test_arguments_environment_and_folder_arrive_unchanged(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    script = 'pwd; printf "%s\\n" "$@" "$GREETING" "$RKNN_LOG_LEVEL" "$RKNN_DUMP_DIR" "$RKNN_DUMP_QUANT"; exit 5'
    words = ["a b", "$(touch x)", "'", '"', "*", "-n", "ä"]
    assert runner("--cwd", str(folder), "--dump-quant", "2", program=["sh", "-c", script, "sh", *words]) == 3
    lines = (runner.out / "logs" / "stdout.txt").read_text().splitlines()
    assert lines[0] == str(folder)
    assert lines[1:8] == words
    assert lines[8:10] == ["it's $HOME", "5"]
    assert lines[10].startswith(str(runner.work)) and lines[10].endswith("/dumps")
    assert lines[11] == "2"
    assert list(folder.iterdir()) == []
    settings = RunReader.open(runner.out).manifest.settings
    assert settings["exit_code"] == 5 and settings["command"][0] == "sh"


@pytest.mark.parametrize(
    ("program", "sentence", "signal_name"),
    [
        (["sh", "-c", "echo oh dear >&2; exit 3"], "ended with exit code 3; its last line: oh dear", None),
        (["sh", "-c", "kill -SEGV $$"], "the program was killed by SIGSEGV", "SIGSEGV"),
        (["./no-such-program"], "./no-such-program was not found", None),
        (["/etc/passwd"], "/etc/passwd cannot be executed", None),
        (["true"], "the program made no dumps", None),
    ],
)
def test_program_that_fails(
    program: list[str], sentence: str, signal_name: str | None, runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner(program=program) == 3
    assert sentence in capsys.readouterr().out
    run = RunReader.open(runner.out)
    assert run.manifest.settings["signal"] == signal_name
    assert any(sentence in warning for warning in run.manifest.warnings)


def test_time_limit_ends_the_whole_group(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    script = "trap '' TERM; sleep 57.25 & echo $!; while :; do sleep 1; done"
    assert runner("--timeout", "1", program=["sh", "-c", script]) == 3
    assert "did not end within 1 s and was stopped" in capsys.readouterr().out
    settings = RunReader.open(runner.out).manifest.settings
    assert (settings["timed_out"], settings["signal"]) == (True, "SIGKILL")
    assert_gone(int((runner.out / "logs" / "stdout.txt").read_text()))


def test_children_left_behind_are_ended(runner: Runner) -> None:
    assert runner(program=["sh", "-c", "sleep 58.25 & echo $!"]) == 3
    assert_gone(int((runner.out / "logs" / "stdout.txt").read_text()))


@pytest.mark.sshd
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_host_ends_the_program(how: signal.Signals, runner: Runner, tmp_path: Path) -> None:
    with server_of("openssh", tmp_path / "server") as server:
        runner.board = server.options
        noted = tmp_path / "pid"
        process = runner.start(
            program=["sh", "-c", f"echo $$ > {noted}.new && mv {noted}.new {noted}; exec sleep 59.5"]
        )
        pid = wait_for_pid(noted, process)
        process.send_signal(how)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == (130 if how is signal.SIGINT else -9), said
        assert_gone(pid)
    assert not runner.out.exists()
    if how is signal.SIGINT:
        assert "interrupted" in said and runner.left_on_board() == []


def wait_for_pid(path: Path, process: subprocess.Popen[str]) -> int:
    for _ in range(200):
        if path.exists():
            return int(path.read_text())
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(process.communicate(timeout=5)[0])


def assert_gone(pid: int) -> None:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        # An orphan whose reaper is slow is dead all the same.
        with contextlib.suppress(OSError):
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} is still there")


def test_cut_off_dump_is_put_aside(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    script = f'"{runner.built.app}" "{runner.model}" && : > "$RKNN_DUMP_DIR/{DUMPS[1]}"'
    assert runner(program=["sh", "-c", script]) == 3
    assert f"1 dumps are cut off, first {DUMPS[1]}" in capsys.readouterr().out
    assert [path.name for path in (runner.out / "damaged").iterdir()] == [DUMPS[1]]
    assert len(RunReader.open(runner.out).manifest.tensors) == 2


def test_runtime_log_is_recognised(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    program = [str(runner.built.app), str(runner.model), "--mistake", "fmt-undefined"]
    assert runner("--no-trace", program=program) == 0
    said = capsys.readouterr().out
    assert "Meet unsupported src layout for normalize" in said
    assert "the library did not take an input's layout, and returned success" in said
    # Without a trace the log alone tells.
    result = lint(runner.out)
    assert [finding.id for finding in result.findings] == ["log-input-layout"]
    assert main(["lint", str(runner.out)]) == 1


def test_buffers_and_no_hash(runner: Runner) -> None:
    assert runner("--trace-buffers", "1") == 0
    kept = sorted(path.name.split("-", 2)[2] for path in (runner.out / "trace").glob("*.npy"))
    assert kept == ["5-in0.npy", "7-out0.npy"]
    assert runner("--force", "--no-hash") == 0
    assert any("hashing was off" in item.reason for item in lint(runner.out).unchecked)


def test_folder_that_cannot_be_preloaded_from(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.work = tmp_path / "a:b"
    assert runner() == 0
    assert "no trace of the program's calls" in capsys.readouterr().out
    assert runner("--force", "--trace") == 2


def test_usage(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run-app", "--board", "local:", "-o", str(tmp_path / "x")]) == 2
    assert runner("--timeout", "0") == 2
    assert runner("--env", "A-B=1") == 2
    assert runner("--upload", str(tmp_path / "no")) == 2
    assert runner("--virtual", str(runner.model)) == 2
    (runner.out).mkdir()
    (runner.out / "something").touch()
    assert runner() == 2
    monkeypatch.setenv("RKPARITY_LAYER_LIBRARY", str(tmp_path / "no"))
    assert runner("--force") == 2
    assert "no such file" in capsys.readouterr().err

"""Runs on a board with an agent that behaves and with agents that do not."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bare_board import path_without_python
from fake_kit import make_kit

from rkparity.cli.main import main
from rkparity.runs import Engine, InputForm, RunReader
from ssh_server import Server, openssh
from support import require

MODEL = Path(__file__).parents[2] / "data" / "models" / "cnn_classifier_int8.rknn"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with openssh(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The board's work folder, with a name that needs quoting."""
    return tmp_path / "board's folder" / "rkparity"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.zeros((1, 64, 64, 3), np.uint8))
    return tmp_path / "x.npy"


class Runner:
    """`rkparity run` with a kit in a given mode."""

    def __init__(self, tmp_path: Path, work: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.work, self.picture = tmp_path / "run", work, picture
        self._tmp_path, self._monkeypatch = tmp_path, monkeypatch
        self.board = ["--board", "local:"]

    def kit(self, mode: str, **options: object) -> None:
        shutil.rmtree(self._tmp_path / "kits", ignore_errors=True)
        self._monkeypatch.setenv("RKPARITY_KITS", str(make_kit(self._tmp_path / "kits", mode, **options)))  # type: ignore[arg-type]

    def arguments(self, *more: str) -> list[str]:
        return [
            "run",
            *self.board,
            "--model",
            str(MODEL),
            "--input",
            str(self.picture),
            "-o",
            str(self.out),
            "--work-dir",
            str(self.work),
            *more,
        ]

    def __call__(self, *more: str) -> int:
        return main(self.arguments(*more))

    def left_on_board(self) -> list[str]:
        return sorted(path.name for path in (self.work / "runs").iterdir())

    def nothing_written(self) -> bool:
        return not list(self.out.parent.glob("*run*.part")) and not self.out.exists()


@pytest.fixture
def runner(tmp_path: Path, work: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    return Runner(tmp_path, work, picture, monkeypatch)


@pytest.mark.sshd
def test_a_run_over_ssh(server: Server, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    runner.kit("good", log="W RKNN: query is deprecated\n")
    runner.board = server.options
    options = (
        "--api",
        "zero-copy",
        "--want-float",
        "1,0",
        "--fmt",
        "NHWC",
        "--repeat",
        "2",
        "--core-mask",
        "0_1",
        "--dump-quant",
        "2",
    )
    assert runner(*options) == 0
    said = capsys.readouterr()
    assert "2 dumps and 1 outputs" in said.out
    assert "runtime 2.9.9 (fake), 1.20 ms" in said.out
    job = json.loads(said.err.partition("job ")[2].splitlines()[0])
    assert job["api"] == "zero-copy"
    assert job["want_float"] == [True, False]
    assert (job["repeat"], job["core_mask"], job["dump_quant"], job["log_level"]) == (2, "0_1", 2, 5)
    assert job["inputs"][0]["fmt"] == "NHWC"
    assert job["inputs"][0]["type"] is None
    reader = RunReader.open(runner.out)
    manifest = reader.manifest
    assert manifest.engine is Engine.BOARD
    assert not manifest.emulated
    assert manifest.versions["runtime"] == "2.9.9 (fake)"
    assert manifest.versions["driver"] == "0.9.8"
    assert manifest.model.name == MODEL.name
    assert manifest.inputs[0].form is InputForm.RAW
    assert (manifest.inputs[0].name, manifest.inputs[0].layout) == ("input", "NHWC")
    assert manifest.inputs[0].file == "inputs/0.npy"
    assert [record.op_type for record in manifest.tensors] == ["InputOperator", "OutputOperator"]
    assert reader.tensor(manifest.tensors[1]).tolist() == [[1, 2, 3, 4]]
    assert (runner.out / "logs" / "runtime.log").read_text() == (
        "W RKNN: query is deprecated\nI RKNN: the runtime's last words\n"
    )
    assert (runner.out / "outputs" / "output0.npy").exists()
    assert "runtime log: query is deprecated" in manifest.warnings
    assert runner.left_on_board() == []
    kits = list((runner.work / "kits").iterdir())
    models = list((runner.work / "models").iterdir())
    assert [path.name[:4] for path in kits] == ["0.0-"]
    stamp = (kits[0].stat().st_ino, models[0].stat().st_ino)
    assert runner("--force") == 0
    assert (kits[0].stat().st_ino, models[0].stat().st_ino) == stamp
    assert main(["board", "clean", server.options[1], *server.options[2:], "--work-dir", str(runner.work)]) == 0
    assert not runner.work.exists()


def test_keep_leaves_the_folder(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    runner.kit("good")
    assert runner("--keep") == 0
    (left,) = runner.left_on_board()
    assert f"kept on the board: {runner.work}/runs/{left}" in capsys.readouterr().out
    assert (runner.work / "runs" / left / "dumps").is_dir()


@pytest.mark.parametrize(
    ("mode", "code", "parts"),
    [
        ("killed", 3, ("ended", "signal", "without a result", "the runtime's last words")),
        (
            "silent",
            3,
            ("ended with exit code 1 without a result: Traceback: something broke", "the runtime's last words"),
        ),
        ("garbage", 3, ("something that is not its protocol: b'segfault at 0x0'",)),
        ("error", 3, ("on the board: rknn_init failed", "convert for this chip")),
        ("usage", 2, ("on the board: rknn_init failed",)),
        ("missing", 3, ("the runtime did not write 1 dumps, first '007_Conv'",)),
        ("truncated", 3, ("001_OutputOperator_out_shape_1_4_float.npy: truncated", "disk was full")),
    ],
)
def test_agents_that_fail(
    runner: Runner, capsys: pytest.CaptureFixture[str], mode: str, code: int, parts: tuple[str, ...]
) -> None:
    runner.kit(mode)
    assert runner() == code
    said = capsys.readouterr().err
    for part in parts:
        assert part in said
    assert runner.nothing_written()
    assert runner.left_on_board() == []


def test_a_run_that_takes_too_long_is_stopped(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rkparity.board.runs.run._GRACE_S", 0.0)
    note = tmp_path / "pid"
    runner.kit("sleep", note=note)
    assert runner("--timeout", "2") == 3
    assert "did not end within 2 s and was stopped" in capsys.readouterr().err
    assert not _runs(int(note.read_text()))
    assert runner.left_on_board() == []


@pytest.mark.sshd
def test_interrupt_stops_the_board(server: Server, runner: Runner, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    runner.kit("sleep", note=note)
    runner.board = server.options
    process = subprocess.Popen([sys.executable, "-m", "rkparity", *runner.arguments()], stderr=subprocess.PIPE)
    _wait_until(note.exists)
    _wait_until(lambda: note.read_text() != "")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.decode().endswith("rkparity: interrupted\n")
    assert not _runs(int(note.read_text()))
    assert runner.nothing_written()
    assert runner.left_on_board() == []


def test_no_python_on_the_board(
    runner: Runner, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.kit("good")
    monkeypatch.setenv("PATH", path_without_python(tmp_path))
    assert runner() == 3
    said = capsys.readouterr().err
    assert "the board has no Python" in said
    assert "this kit has no rkrun" in said
    assert "scripts/build-kit --arch" in said
    assert runner.nothing_written()


RKRUN = """#!/bin/sh
printf '%s\\n' "$@" > "@NOTE@"
while [ $# -gt 0 ]; do
  case $1 in --dump-dir) d=$2;; --output-dir) o=$2;; esac
  shift
done
mkdir "$d" "$o"
cp "@DUMP@" "$d/001_Conv_c_shape_1_4_4_3_uint8.npy"
echo '{"event":"start","pid":1}'
echo '{"event":"result","sdk":{"api_version":"2.0.0"},"emulated":false,"run_us":[5]}'
"""


def test_rkrun_is_used_without_python(
    runner: Runner, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "arguments"
    runner.kit("", runner=RKRUN.replace("@NOTE@", str(note)).replace("@DUMP@", str(runner.picture)))
    monkeypatch.setenv("PATH", path_without_python(tmp_path))
    assert runner("--type", "UINT8", "--want-float", "0") == 0
    assert "the board has no Python: rkrun is used" in capsys.readouterr().err
    words = note.read_text().splitlines()
    assert words[0] == "run"
    assert words[words.index("--want-float") + 1] == "0"
    assert words[words.index("--input") + 1].endswith("/input0.npy:UINT8")
    assert RunReader.open(runner.out).manifest.versions["runtime"] == "2.0.0"
    assert runner("--perf", "--force") == 2
    assert "--perf needs the device agent" in capsys.readouterr().err


# What the library prints at int64 data (evidence 160_gen_int64_nhwc_pt0) and of an output too small; and warnings.
LOGS = {
    "int64": (
        "E RKNN: [17:37:29.071] Normalize does not support for this data type. src type(8), dst type INT8\n"
        "E RKNN: [17:37:29.071] rknn_inputs_set, normalize error(-1) index=0\n",
        2,
    ),
    "small": ("E RKNN: output[0] buf size error, size = 1000, expected size = 4000\n", 2),
    "no dumps": ("E RKNN: failed open dump path: /d/001_Conv_c_shape_1_4_4_3_uint8.npy\n", 3),
    "warned": ("W RKNN: Unknow dtype to get bytes: 0\nE RKNN: odd, op name: Conv:c\nW RKNN: query is deprecated\n", 0),
    "quiet": ("", 0),
}


@pytest.mark.parametrize("case", LOGS)
def test_agent_and_rkrun_say_the_same_of_a_log(
    runner: Runner, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    text, expected = LOGS[case]
    answers = []
    log = tmp_path / "said.log"
    log.write_text(text)
    shell = RKRUN.replace("@NOTE@", "/dev/null").replace("@DUMP@", str(runner.picture))
    for more in ({"mode": "good", "log": text}, {"mode": "", "runner": f'{shell}cp {log} "$o/runtime.log"\n'}):
        runner.kit(**more)
        if "runner" in more:
            monkeypatch.setenv("PATH", path_without_python(tmp_path))
        code = runner("--force")
        said = [
            line for line in capsys.readouterr().err.splitlines() if line.startswith(("rkparity: error:", "  hint:"))
        ]
        warnings = [
            line
            for line in (RunReader.open(runner.out).manifest.warnings if code == 0 else ())
            if line.startswith("runtime log")
        ]
        answers.append((code, said, warnings))
        shutil.rmtree(runner.out, ignore_errors=True)
    agent, rkrun = answers
    assert agent == rkrun and agent[0] == expected
    if case == "int64":
        assert "did not take an input's type" in agent[1][0] and "src type(8)" in agent[1][0]
    if case == "warned":
        assert agent[2] == ["runtime log: odd, op name: Conv:c", "runtime log: query is deprecated"]


def test_a_read_only_board(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    runner.kit("good")
    runner.work = Path("/proc/rkparity")
    assert runner() == 3
    said = capsys.readouterr().err
    assert "/proc/rkparity" in said
    assert "--work-dir" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    require(done.returncode == 0, "a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_board_is_noticed_before(runner: Runner, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner.kit("good")
    runner.work = small_disk / "w"
    assert runner() == 3
    said = capsys.readouterr().err
    assert "bytes free, the run needs about" in said
    assert "board clean" in said


def test_a_disk_that_fills_while_sending(
    runner: Runner, small_disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rkparity.board.runs.run._needed_nbytes", lambda request: 0)
    (small_disk / "ballast").write_bytes(bytes(150_000))
    runner.kit("good")
    runner.picture = runner.picture.with_name("big.bin")
    runner.picture.write_bytes(bytes(180_000))
    runner.work = small_disk / "w"
    assert runner("--type", "UINT8") == 3
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "the board's disk is full" in said
    assert runner.nothing_written()
    assert runner.left_on_board() == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--input", "nowhere.npy"), "--input nowhere.npy: no such file"),
        (("--want-float", "yes"), "--want-float 'yes'"),
        (("--repeat", "0"), "--repeat 0"),
        (("--native-outputs",), "belong to --api zero-copy"),
        (("--type", "UINT8", "--type", "INT8"), "--type is given 2 times for 1 inputs"),
    ],
)
def test_wrong_usage(runner: Runner, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str) -> None:
    runner.kit("good")
    assert runner(*more) == 2
    assert message in capsys.readouterr().err
    assert not runner.work.exists()


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until(condition: object) -> None:
    assert callable(condition)
    for _ in range(300):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 15 s")

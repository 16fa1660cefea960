"""`run-app`, `digest` and `clean` of the agent as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from agent_bench import Answer, Bench, gone


def app(bench: Bench, text: str) -> str:
    path = bench.folder / "app.py"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def run_app(bench: Bench, *arguments: str) -> Answer:
    return bench.agent("run-app", "--dump-dir", "d", "--output-dir", "o", *arguments)


DUMPING = """
import os, struct, sys
print("RKNN_LOG_LEVEL", os.environ["RKNN_LOG_LEVEL"], os.environ["RKNN_DUMP_QUANT"], os.environ.get("MODE"))
print("cwd", os.getcwd(), file=sys.stderr)
h = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\\n"
name = os.environ["RKNN_DUMP_DIR"] + "/000_InputOperator_x_shape_3_uint8.npy"
open(name, "wb").write(b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(h)) + h + b"abc")
print("D RKNN: [12:00:00.000] dump npy tensor to: " + name)
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 7])
def test_program_runs_with_dumps(bench: Bench, code: int) -> None:
    (bench.folder / "work").mkdir()
    answer = run_app(
        bench, "--cwd", "work", "--env", "MODE=a=b", "--dump-quant", "1", "--", app(bench, DUMPING), str(code)
    )
    result = answer.result
    assert (result["exit_code"], result["signal"], result["timed_out"]) == (code, None, False)
    assert [dump["file"] for dump in result["dumps"]] == ["000_InputOperator_x_shape_3_uint8.npy"]
    assert result["missing_dumps"] == result["dump_problems"] == result["warnings"] == []
    output = bench.folder / "o"
    assert (output / "stdout.txt").read_text().startswith("RKNN_LOG_LEVEL 5 1 a=b\n")
    assert (output / "stderr.txt").read_text() == f"cwd {bench.folder / 'work'}\n"


def test_program_without_dumps_is_warned_about(bench: Bench) -> None:
    result = run_app(bench, "--", "/bin/true").result
    assert result["dumps"] == []
    assert result["warnings"][0].startswith("the program made no dumps")


def test_program_ended_by_a_signal(bench: Bench) -> None:
    result = run_app(bench, "--", app(bench, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")).result
    assert (result["exit_code"], result["signal"]) == (None, "SIGSEGV")


def test_timeout_stops_the_whole_group(bench: Bench) -> None:
    program = app(
        bench,
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "time.sleep(60)\n",
    )
    result = run_app(bench, "--timeout", "1.5", "--", program).result
    assert (result["timed_out"], result["signal"]) == (True, "SIGTERM")
    assert gone(int((bench.folder / "pid").read_text()))


def test_background_processes_of_a_finished_program_are_stopped(bench: Bench) -> None:
    program = app(
        bench,
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nopen('pid', 'w').write(str(child.pid))\n",
    )
    assert run_app(bench, "--", program).result
    assert gone(int((bench.folder / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_the_agent_stops_the_program(bench: Bench, number: signal.Signals) -> None:
    program = app(bench, "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "rkparity_agent", "run-app", "--dump-dir", "d", "--output-dir", "o", "--", program],
        env=bench.environment,
        cwd=bench.folder,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    pid_file = bench.folder / "pid"
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=30)
    assert json.loads(stdout.splitlines()[-1])["kind"] == "interrupted"
    assert process.returncode == 3
    assert gone(int(pid_file.read_text()))


def test_mistakes_of_run_app(bench: Bench) -> None:
    assert run_app(bench).error["message"] == "no program was named"
    error = run_app(bench, "--", "/nowhere/app").error
    assert (error["message"], error["exit_code"]) == ("/nowhere/app cannot be started: No such file or directory", 2)
    assert run_app(bench, "--env", "X", "--", "/bin/true").error["message"] == "--env X: is not NAME=VALUE"


def test_lines_of_the_library_are_passed_on(bench: Bench) -> None:
    program = app(bench, "print('E RKNN: [12:00:00.000] failed open dump path: d/000_x.npy')")
    messages = run_app(bench, "--", program).result["log_messages"]
    assert messages == [{"level": "error", "message": "failed open dump path: d/000_x.npy", "count": 1}]


def test_digest_equals_numpy_and_xxhash(bench: Bench) -> None:
    folder = bench.folder / "dumps"
    folder.mkdir()
    values = np.array([1.5, -2.0, np.nan, np.inf, 0.0, 4.0], dtype="f4")
    np.save(folder / "a.npy", values)
    (folder / "b.npy").write_bytes(b"")
    large = np.arange(400_000, dtype="i8")
    np.save(folder / "c.npy", large)
    result = bench.agent("digest", str(folder)).result
    a, b, c = result["files"]
    assert a["statistics"] == {
        "n": 6,
        "sum": 3.5,
        "square_sum": 22.25,
        "minimum": -2.0,
        "maximum": 4.0,
        "nan": 1,
        "positive_inf": 1,
        "negative_inf": 0,
        "zeros": 1,
    }
    assert (a["descr"], a["shape"], a["nbytes"]) == ("<f4", [6], (folder / "a.npy").stat().st_size)
    # XXH64 of no bytes, from its specification.
    assert (b["xxh64"], b["nbytes"]) == ("ef46db3751d8e999", 0)
    assert "is not an npy file" in b["problem"]
    assert (c["statistics"]["n"], c["statistics"]["sum"]) == (400_000, float(large.sum()))
    assert c["statistics"]["maximum"] == 399_999.0
    only = bench.agent("digest", str(folder), "a.npy").result["files"]
    assert only == [a]


def test_digest_stays_in_its_folder(bench: Bench) -> None:
    error = bench.agent("digest", str(bench.folder), "../etc/passwd").error
    assert error["message"].startswith("'../etc/passwd' is not the name of a file in")


def test_clean_removes_only_marked_folders(bench: Bench) -> None:
    root = bench.folder / "runs"
    (root / "ours" / "dumps").mkdir(parents=True)
    (root / "ours" / "dumps" / ".rkparity-run").touch()
    (root / "foreign").mkdir()
    (root / "foreign" / "photo.jpg").touch()
    (root / "link").symlink_to(root / "ours")
    young = bench.agent("clean", "--root", str(root), "--older-than", "3600").result
    assert young["removed"] == []
    result = bench.agent("clean", "--root", str(root)).result
    assert (result["removed"], result["kept"]) == (["ours"], ["foreign", "link"])
    assert sorted(path.name for path in root.iterdir()) == ["foreign", "link"]
    assert bench.agent("clean", "--root", "/nowhere").error["exit_code"] == 2


def test_unreadable_standard_output_is_no_traceback(bench: Bench) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "rkparity_agent", "selfcheck"],
        env=bench.environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr

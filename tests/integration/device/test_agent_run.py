"""`run`, `query`, `selfcheck` of the agent as a process, on the test double."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent_bench import DUMPS, Bench, gone, image
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT

NAMES = [line.split()[1] for line in DUMPS]


@pytest.mark.parametrize("api", ["general", "zero-copy"])
@pytest.mark.parametrize("want_float", [True, False])
def test_run(bench: Bench, api: str, want_float: bool) -> None:
    answer = bench.run(api=api, want_float=want_float, repeat=2)
    assert [event["event"] for event in answer.events] == ["start", *["progress"] * 5, "result"]
    assert [event["stage"] for event in answer.events[1:-1]] == ["init", "inputs", "run", "run", "outputs"]
    result = answer.result
    assert result["sdk"] == {"api_version": "2.3.2 (test double)", "driver_version": "0.9.8"}
    assert result["library"] == str(bench.double.library)
    assert result["emulated"] is False
    assert len(result["run_us"]) == 2
    assert [dump["file"] for dump in result["dumps"]] == NAMES
    assert [dump["nbytes"] for dump in result["dumps"]] == [890, 5480]
    assert result["missing_dumps"] == result["dump_problems"] == []
    (output,) = result["outputs"]
    assert (output["file"], output["shape"], output["layout"]) == ("output0.npy", [1, 5, 9, 30], "NCHW")
    values = np.load(bench.folder / "out" / "output0.npy")
    if want_float:
        assert (output["dtype"], output["scale"], output["zero_point"]) == ("float32", None, None)
        assert np.array_equal(values.ravel(), np.arange(1350, dtype="f4") / 2)
    else:
        assert (output["dtype"], output["zero_point"]) == ("int8", 9)
        assert output["scale"] == pytest.approx(0.0636600107)
        assert np.array_equal(values.ravel(), (np.arange(1350) & 127).astype("i1"))
    assert bench.double.calls()[1] == (f"env RKNN_LOG_LEVEL=5 RKNN_DUMP_DIR={bench.folder / 'dumps'} RKNN_DUMP_QUANT=0")
    assert Path(result["log"]).read_text().count("dump npy tensor to") == 4


def test_stdin_bytes_reach_the_library(bench: Bench) -> None:
    bench.run()
    assert bench.double.received("input0") == image().tobytes()


def test_raw_file_with_type(bench: Bench) -> None:
    (bench.folder / "x.bin").write_bytes(image().astype("f4").tobytes())
    assert bench.run(inputs=[{"file": str(bench.folder / "x.bin"), "type": "FLOAT32"}]).result
    assert bench.double.calls_of("input ") == ["input index=0 size=3240 pass_through=0 type=FLOAT32 fmt=NHWC"]


def test_no_dumps_wanted(bench: Bench) -> None:
    result = bench.run(dump_dir=None, log_level=0).result
    assert result["dumps"] == []
    assert bench.double.calls()[1] == "env RKNN_LOG_LEVEL=0 RKNN_DUMP_DIR=- RKNN_DUMP_QUANT=-"


def test_rerun_empties_its_own_folders_only(bench: Bench) -> None:
    assert bench.run().result
    (bench.folder / "dumps" / "old.npy").write_bytes(b"")
    assert [dump["file"] for dump in bench.run().result["dumps"]] == NAMES
    foreign = bench.folder / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"cat")
    error = bench.run(dump_dir=str(foreign)).error
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert error["message"] == f"the dump folder {foreign} is not empty and was not made by rkparity"
    assert [path.name for path in foreign.iterdir()] == ["cat.jpg"]


def test_same_folder_twice(bench: Bench) -> None:
    error = bench.run(output_dir=str(bench.folder / "dumps")).error
    assert error["message"] == "job: dump_dir and output_dir are the same folder"


def test_relative_library(bench: Bench) -> None:
    (bench.folder / "librknnrt.so").symlink_to(bench.double.library)
    assert bench.run(library="librknnrt.so").result["library"].endswith("librknnrt.so")


def test_library_from_the_environment(bench: Bench) -> None:
    job = json.dumps(bench.job(library=None)).encode()
    found = bench.agent("run", "--job", "-", stdin=job, extra={"RKPARITY_LIBRKNNRT": str(bench.double.library)})
    assert found.result["library"] == str(bench.double.library)
    missing = bench.agent("run", "--job", "-", stdin=job, extra={"RKPARITY_LIBRKNNRT": "/nowhere.so"})
    assert missing.error["message"] == "/nowhere.so (from RKPARITY_LIBRKNNRT): no such file"


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((1, 3, 9, 30), "the file is NCHW; transpose it: x.transpose(0, 2, 3, 1)"), ((1, 30, 9, 3), "give the input in")],
)
def test_axis_order_of_the_file_is_checked(bench: Bench, shape: tuple[int, ...], hint: str) -> None:
    np.save(bench.folder / "wrong.npy", np.zeros(shape, dtype="u1"))
    error = bench.run(inputs=[{"file": str(bench.folder / "wrong.npy")}]).error
    assert error["message"].endswith(f"shape {list(shape)} is not that of input 'x': [1, 9, 30, 3] (NHWC)")
    assert error["hint"].startswith(hint)
    assert error["exit_code"] == 2


def test_image_without_batch_is_taken(bench: Bench) -> None:
    np.save(bench.folder / "hwc.npy", image()[0])
    assert bench.run(inputs=[{"file": str(bench.folder / "hwc.npy")}]).result


@pytest.mark.parametrize(
    ("change", "kind", "code", "message"),
    [
        ({"inputs": []}, "usage", 2, "0 inputs were given, the model has 1: x [1, 9, 30, 3]"),
        ({"inputs": [{"file": "/no.npy"}]}, "file", 3, "/no.npy: cannot be opened: No such file or directory"),
        ({"inputs": [{"file": "/no.bin", "type": "INT8"}]}, "file", 3, "/no.bin: cannot be read: No such file"),
        ({"inputs": [{"file": "/no.bin"}]}, "usage", 2, "/no.bin: a raw file does not say its type"),
        ({"model": "/no.rknn"}, "file", 3, "/no.rknn: the model cannot be read: No such file or directory"),
        ({"library": "/no.so"}, "library", 3, "/no.so: no such file"),
        ({"want_float": [True, True]}, "usage", 2, "job: want_float has 2 entries, the model has 1 outputs"),
        ({"output_dir": "/proc/x"}, "environment", 3, "the output folder /proc/x cannot be written"),
        ({"dump_dir": "/proc/x"}, "environment", 3, "the dump folder /proc/x cannot be written"),
    ],
)
def test_mistakes(bench: Bench, change: dict[str, Any], kind: str, code: int, message: str) -> None:
    error = bench.run(**change).error
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert error["message"].startswith(message)


def test_float64_and_fortran_files(bench: Bench) -> None:
    np.save(bench.folder / "d.npy", np.zeros((1, 9, 30, 3)))
    np.save(bench.folder / "f.npy", np.asfortranarray(image()))
    assert "dtype <f8 has no RKNN type" in bench.run(inputs=[{"file": str(bench.folder / "d.npy")}]).error["message"]
    assert "is in Fortran order" in bench.run(inputs=[{"file": str(bench.folder / "f.npy")}]).error["message"]


def test_job_that_is_no_json_or_missing(bench: Bench) -> None:
    assert bench.agent("run", "--job", "-", stdin=b"{").error["message"].startswith("the job is not JSON: ")
    assert bench.agent("run", "--job", "/no.json").error["message"].startswith("/no.json: the job cannot be read")


def test_failed_call_names_call_code_and_log(bench: Bench) -> None:
    bench.double.configure(
        IMAGE_INPUT,
        IMAGE_OUTPUT,
        "log rknn_init E RKNN: [12:00:00.000] Invalid RKNN model version 6",
        "return rknn_init -6",
    )
    answer = bench.run()
    assert {key: answer.error[key] for key in ("kind", "call", "code", "code_name")} == {
        "kind": "call",
        "call": "rknn_init",
        "code": -6,
        "code_name": "RKNN_ERR_MODEL_INVALID",
    }
    assert "runtime log: E RKNN: [12:00:00.000] Invalid RKNN model version 6" in [
        event.get("message") for event in answer.events
    ]


@pytest.mark.parametrize(
    "line",
    [
        "log rknn_inputs_set E RKNN: [12:00:00.000] Meet unsupported src layout for normalize: 2",
        "log rknn_outputs_get E RKNN: [12:00:00.000] output[0] buf size error, size = 1, expected size = 2",
    ],
)
def test_line_that_returned_success_is_passed_on(bench: Bench, line: str) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, *DUMPS, line)
    messages = bench.run().result["log_messages"]
    assert {"level": "error", "message": line.split("] ", 1)[1], "count": 1} in messages


def test_untouched_output_is_an_error(bench: Bench) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "silent rknn_run")
    error = bench.run(api="zero-copy").error
    assert error["message"] == "output 0 ('y'): the library wrote nothing into its memory"


def test_no_dump_is_an_error(bench: Bench) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT)
    assert bench.run().error["kind"] == "dumps"


def test_truncated_and_missing_dumps_are_named(bench: Bench) -> None:
    bench.double.configure(
        IMAGE_INPUT,
        IMAGE_OUTPUT,
        f"dump {NAMES[0]} 810 500",
        "dump odd.txt 5",
        "log rknn_run D RKNN: [12:00:00.000] dump npy tensor to: d/002_Conv_z_shape_1_float.npy",
    )
    result = bench.run().result
    assert result["missing_dumps"] == ["002_Conv_z_shape_1_float.npy"]
    assert result["dump_problems"] == [
        {"file": NAMES[0], "problem": "truncated: its header needs 890 bytes, the file has 500"},
        {"file": "odd.txt", "problem": "is not a dump (.npy)"},
    ]


@pytest.mark.parametrize(
    ("function", "stage"), [("rknn_init", "init"), ("rknn_inputs_set", "inputs"), ("rknn_run", "run")]
)
def test_crash_is_an_error_event(bench: Bench, function: str, stage: str) -> None:
    """As librknnrt 1.6.0 does for a NCHW input (evidence 160_gen_u8_nchw_pt0)."""
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, f"log {function} last words", f"crash {function}")
    answer = bench.run()
    assert (answer.error["kind"], answer.error["exit_code"]) == ("crash", 3)
    assert answer.error["message"] == f"librknnrt ended the process with SIGSEGV during {stage}"
    assert "runtime log: last words" in [event.get("message") for event in answer.events]


def test_hang_ends_by_timeout(bench: Bench) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "hang rknn_run")
    start = time.monotonic()
    error = bench.run(timeout_s=1).error
    assert (error["kind"], error["message"]) == ("timeout", "the runtime did not finish within 1 s (during run)")
    assert time.monotonic() - start < 10


def start_hanging(bench: Bench) -> subprocess.Popen[bytes]:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "hang rknn_run")
    (bench.folder / "job.json").write_text(json.dumps(bench.job()))
    process = subprocess.Popen(
        [sys.executable, "-m", "rkparity_agent", "run", "--job", "job.json"],
        env=bench.environment,
        cwd=bench.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    while b'"stage":"run"' not in process.stdout.readline():
        pass
    return process


def children(pid: int) -> list[int]:
    return [int(item) for item in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_the_runtime_and_is_told(bench: Bench, number: signal.Signals) -> None:
    process = start_hanging(bench)
    (child,) = children(process.pid)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=30)
    last = json.loads(stdout.splitlines()[-1])
    assert (last["event"], last["kind"], last["message"]) == ("error", "interrupted", f"stopped by {number.name}")
    assert process.returncode == 3
    assert gone(child)


def test_killed_agent_takes_the_runtime_with_it(bench: Bench) -> None:
    process = start_hanging(bench)
    (child,) = children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    assert gone(child)


def test_lost_connection_stops_the_runtime(bench: Bench) -> None:
    process = start_hanging(bench)
    (child,) = children(process.pid)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 3
    assert gone(child)


def test_query(bench: Bench) -> None:
    result = bench.agent("query", "--library", str(bench.double.library), "--model", str(bench.double.model)).result
    assert [attr["name"] for attr in result["inputs"] + result["outputs"]] == ["x", "y"]
    assert result["native_outputs"][0]["dims"] == [1, 5, 9, 30]
    assert result["mem_size"] == {"weight": 3200, "internal": 9600}
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "return rknn_query -5 9", "return rknn_query -5 6")
    old = bench.agent("query", "--library", str(bench.double.library), "--model", str(bench.double.model)).result
    assert (old["native_outputs"], old["mem_size"]) == (None, None)
    assert old["native_inputs"] is not None


def test_selfcheck(bench: Bench) -> None:
    library = bench.folder / "lib" / "librknnrt.so"
    library.parent.mkdir()
    # The version text in the middle of a file, across the reader's chunks.
    library.write_bytes(b"\x7fELF" + bytes((1 << 18) - 20) + b"librknnrt version: 2.3.2 (429f97ae6b@2025-04-09)\0rest")
    answer = bench.agent(
        "selfcheck",
        "--path",
        str(bench.folder),
        extra={"LD_LIBRARY_PATH": str(library.parent), "RKPARITY_VIRTUAL_BOARD": "rk3588"},
    )
    result = answer.result
    assert result["library"] == {"path": str(library), "version": "2.3.2 (429f97ae6b@2025-04-09)"}
    assert result["chip"] == "emulated rk3588"
    assert result["arch"] == os.uname().machine
    assert result["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert result["free_nbytes"] > 0
    assert abs(result["clock"] - time.time()) < 60


def test_wrong_command_line(bench: Bench) -> None:
    assert bench.agent("fly").error["exit_code"] == 2
    assert bench.agent().error["exit_code"] == 2
    assert bench.agent("query").error["message"].startswith("the following arguments are required: --model")


def test_import_and_memory_budget(bench: Bench) -> None:
    """DESIGN budget: import under 0.3 s, at most 30 MB beside the runtime."""
    code = (
        "import time; t = time.perf_counter(); import rkparity_agent.cmd_run, rkparity_agent.__main__;"
        "print(time.perf_counter() - t);"
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=bench.environment, capture_output=True, text=True, check=True
    )
    seconds, kilobytes = (float(line) for line in done.stdout.split())
    assert seconds < 0.3
    assert kilobytes < 30_000

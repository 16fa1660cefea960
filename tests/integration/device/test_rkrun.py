"""rkrun, built with AddressSanitizer and UndefinedBehaviorSanitizer, on the test double."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from agent_bench import Answer, Bench, answer, image
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, NATIVE_OUTPUT, ROOT
from support import require


@pytest.fixture(scope="session")
def rkrun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(shutil.which("cc"), "no C compiler (cc)")
    program = tmp_path_factory.mktemp("rkrun") / "rkrun"
    sources = [*(ROOT / "csrc" / "runner").glob("*.c"), *(ROOT / "csrc" / "runtime").glob("*.c")]
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags += ["-D_FILE_OFFSET_BITS=64", "-I", str(ROOT / "csrc")]
    subprocess.run(["cc", *flags, *map(str, sources), "-ldl", "-o", str(program)], check=True)
    return program


def run(bench: Bench, rkrun: Path, *arguments: str) -> Answer:
    environment = {**bench.environment, "RKPARITY_LIBRKNNRT": str(bench.double.library)}
    done = subprocess.run(
        [str(rkrun), *arguments], env=environment, cwd=bench.folder, capture_output=True, timeout=60, check=False
    )
    assert b"Sanitizer" not in done.stderr
    return answer(done)


def run_model(bench: Bench, rkrun: Path, *arguments: str, given: str = "x.npy") -> Answer:
    np.save(bench.folder / "x.npy", image())
    model = str(bench.double.model)
    return run(bench, rkrun, "run", "--model", model, "--input", given, "--output-dir", "o", *arguments)


@pytest.mark.parametrize("api", ["general", "zero-copy"])
@pytest.mark.parametrize("want_float", ["0", "1"])
def test_rkrun_runs_as_the_agent_does(bench: Bench, rkrun: Path, api: str, want_float: str) -> None:
    mine = run_model(
        bench, rkrun, "--api", api, "--want-float", want_float, "--dump-dir", "d", "--repeat", "2", "--core-mask", "0_1"
    ).result
    mine_values = np.load(bench.folder / "o" / "output0.npy")
    assert bench.double.calls_of("rknn_set_core_mask") == ["rknn_set_core_mask 3"]
    assert "env RKNN_LOG_LEVEL=5 RKNN_DUMP_DIR=d RKNN_DUMP_QUANT=0" in bench.double.calls()
    theirs = bench.run(api=api, want_float=want_float == "1").result
    assert np.array_equal(mine_values, np.load(bench.folder / "out" / "output0.npy"))
    assert mine["outputs"] == theirs["outputs"]
    assert mine["inputs"] == theirs["inputs"]
    assert mine["sdk"] == theirs["sdk"]
    assert sorted(dump["file"] for dump in mine["dumps"]) == [dump["file"] for dump in theirs["dumps"]]
    assert sorted(dump["nbytes"] for dump in mine["dumps"]) == [890, 5480]
    assert len(mine["run_us"]) == 2
    assert "dump npy tensor to" in (bench.folder / "o" / "runtime.log").read_text()


def test_rkrun_native_outputs_and_list_of_want_float(bench: Bench, rkrun: Path) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, NATIVE_OUTPUT)
    (output,) = run_model(bench, rkrun, "--api", "zero-copy", "--native-outputs").result["outputs"]
    assert (output["layout"], output["shape"], output["zero_point"]) == ("NC1HWC2", [1, 2, 1, 272, 16], 9)
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "output z UNDEFINED INT8 1 0.5 0 4 4")
    shutil.rmtree(bench.folder / "o")
    outputs = run_model(bench, rkrun, "--want-float", "1,0").result["outputs"]
    assert [(item["dtype"], item["scale"]) for item in outputs] == [("float32", None), ("int8", 0.5)]


def test_rkrun_raw_input_with_type_and_layout(bench: Bench, rkrun: Path) -> None:
    (bench.folder / "a.bin").write_bytes(bytes(864))
    assert run_model(bench, rkrun, given="./a.bin:INT8:NHWC:1").result
    assert bench.double.calls_of("input ") == ["input index=0 size=864 pass_through=1 type=INT8 fmt=NHWC"]


def test_rkrun_query_keeps_the_librarys_prints_off_stdout(bench: Bench, rkrun: Path) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "log rknn_init W RKNN: a warning", "return rknn_query -5 9")
    found = run(bench, rkrun, "query", "--model", str(bench.double.model))
    assert [event["event"] for event in found.events] == ["start", "progress", "result"]
    assert found.stderr == "W RKNN: a warning\n"
    assert found.result["native_outputs"] is None
    assert found.result["inputs"][0]["dims"] == [1, 9, 30, 3]


def test_rkrun_names_are_json_whatever_their_bytes(bench: Bench, rkrun: Path) -> None:
    bench.double.folder.joinpath("double.conf").write_bytes(
        b'input a"\\\xc3\xa9\xff\x01 UNDEFINED INT8 0 1 0 4 4\n' + IMAGE_OUTPUT.encode() + b"\n"
    )
    (attr,) = run(bench, rkrun, "query", "--model", str(bench.double.model)).result["inputs"]
    assert attr["name"] == 'a"\\é\ufffd\x01'


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((), "usage", "no command: query or run"),
        (("fly",), "usage", "no command: query or run"),
        (("query",), "usage", "--model is missing"),
        (("run", "--model", "m"), "usage", "--output-dir is missing"),
        (("run", "--model"), "usage", "unknown option or no value for --model"),
        (("run", "--speed", "1"), "usage", "unknown option --speed"),
        (("run", "--repeat", "0"), "usage", "--repeat is a number from 1 to 1000000, not 0"),
        (("run", "--repeat", "99999999999"), "usage", "--repeat is a number from 1 to 1000000, not 99999999999"),
        (("run", "--api", "fast"), "usage", "--api is general or zero-copy, not fast"),
        (("run", "--want-float", "1,"), "usage", "--want-float is 0 or 1, or a list of them such as 1,0, not 1,"),
        (("run", "--input", "x:FLOAT"), "usage", "unknown type in --input x:FLOAT"),
        (("run", "--input", "x:INT8:CHW"), "usage", "unknown layout (NHWC, NCHW, NC1HWC2, UNDEFINED) in --input"),
        (("run", "--input", "x:INT8:NHWC:2"), "usage", "pass_through is 0 or 1 in --input"),
        (("query", "--model", "/no.rknn"), "file", "/no.rknn: the model cannot be read: No such file or directory"),
        (("query", "--model", "m", "--library", "/no.so"), "library", "/no.so cannot be opened"),
    ],
)
def test_rkrun_mistakes(bench: Bench, rkrun: Path, arguments: tuple[str, ...], kind: str, message: str) -> None:
    error = run(bench, rkrun, *arguments).error
    assert error["kind"] == kind
    assert error["message"].startswith(message)
    assert error["exit_code"] == (2 if kind == "usage" else 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing.npy", "missing.npy: cannot be opened: No such file or directory"),
        ("bad.npy", "bad.npy: is not an npy file"),
        ("big.npy", "input 0 ('x') has 8100 bytes; 810 elements of UINT8 need 810"),
        ("raw.bin", "raw.bin: its type is not known"),
        ("fortran.npy", "fortran.npy: is in Fortran order"),
    ],
)
def test_rkrun_bad_inputs(bench: Bench, rkrun: Path, given: str, message: str) -> None:
    (bench.folder / "bad.npy").write_bytes(b"hello")
    (bench.folder / "raw.bin").write_bytes(b"hello")
    np.save(bench.folder / "big.npy", np.zeros(8100, dtype="u1"))
    np.save(bench.folder / "fortran.npy", np.asfortranarray(image()))
    assert run_model(bench, rkrun, given=given).error["message"].startswith(message)


def test_rkrun_refuses_folders_with_something_in_them(bench: Bench, rkrun: Path) -> None:
    (bench.folder / "o").mkdir()
    (bench.folder / "o" / "mine").touch()
    assert run_model(bench, rkrun).error["message"] == "o is not empty"
    (bench.folder / "o" / "mine").unlink()
    assert run_model(bench, rkrun, "--dump-dir", "/proc/d").error["message"].startswith("/proc/d: cannot be created")


def test_rkrun_failed_call(bench: Bench, rkrun: Path) -> None:
    bench.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, "return rknn_run -2")
    error = run_model(bench, rkrun).error
    assert (error["call"], error["code"], error["code_name"]) == ("rknn_run", -2, "RKNN_ERR_TIMEOUT")


def test_rkrun_needs_stdout(bench: Bench, rkrun: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{rkrun} query --model x >&-"], env={**os.environ}, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"stdout cannot be used" in done.stderr

"""The program sees the same with and without the layer: every way of loading, odd programs, wrong arguments."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from layer_programs import ROOT, Kit

from rkparity.trace import InputsSet, LibraryUsed, find_traces, read_traces

MODES = ["general", "zero-copy", "wrong", "threads", "late", "missing", "fork", "exec"]


@pytest.mark.parametrize("mode", MODES)
def test_linked_program(native: Kit, tmp_path: Path, mode: str) -> None:
    plain = native.run(native.linked, mode)
    traced = native.run(native.linked, mode, trace=tmp_path / "trace", environment={"RKPARITY_TRACE_BUFFERS": "2"})
    assert plain.code == 0 and plain.output
    assert traced == plain
    for trace in read_traces(tmp_path / "trace"):
        assert trace.calls
        assert trace.library is not None and trace.library.found == "next"
        assert trace.library.path == str(native.runtime / "librknnrt.so")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["librknnrt.so", "absolute", "./librknnrt.so"])
def test_program_that_opens_the_library(native: Kit, tmp_path: Path, mode: str, name: str) -> None:
    path = str(native.runtime / "librknnrt.so") if name == "absolute" else name
    plain = native.run(native.opening, mode, path, cwd=native.runtime)
    traced = native.run(native.opening, mode, path, cwd=native.runtime, trace=tmp_path / "trace")
    assert plain.code == 0
    assert traced == plain
    for trace in read_traces(tmp_path / "trace"):
        assert trace.library is not None and trace.library.found == "dlopen"


def test_library_that_cannot_be_opened(native: Kit, tmp_path: Path) -> None:
    plain = native.run(native.opening, "general", "nowhere/librknnrt.so")
    traced = native.run(native.opening, "general", "nowhere/librknnrt.so", trace=tmp_path / "trace")
    assert plain.code == 6 and "nowhere/librknnrt.so: cannot open shared object file" in plain.output
    assert traced == plain
    assert not find_traces(tmp_path / "trace")


def test_library_in_the_programs_runpath(native: Kit, tmp_path: Path) -> None:
    program = tmp_path / "app"
    subprocess.run(
        [
            *("gcc", "-DAPP_DLOPEN", "-I", str(ROOT / "csrc"), str(ROOT / "tests/c/layer/app.c"), "-o", str(program)),
            *("-Wl,--enable-new-dtags,-rpath,$ORIGIN/own", "-lpthread", "-ldl"),
        ],
        check=True,
    )
    (tmp_path / "own").mkdir()
    shutil.copy(native.runtime / "librknnrt.so", tmp_path / "own" / "librknnrt.so")
    # A plugin under another name takes the ordinary way, on which the caller must still be the program.
    shutil.copy(native.runtime / "librknnrt.so", tmp_path / "own" / "libplugin.so")
    for name in ("librknnrt.so", "libplugin.so"):
        plain = native.run(program, "general", name, library_path=tmp_path)
        traced = native.run(program, "general", name, library_path=tmp_path, trace=tmp_path / "trace")
        assert plain.code == 0, plain
        assert traced == plain
    (trace,) = read_traces(tmp_path / "trace")
    assert trace.library == LibraryUsed(
        str(tmp_path / "own" / "librknnrt.so"), "dlopen", trace.library.missing if trace.library else (), None
    )


def test_layer_named_as_the_library(native: Kit, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    shutil.copy(native.layer, named / "librknnrt.so")
    target = {"RKPARITY_LAYER_TARGET": str(native.runtime / "librknnrt.so")}
    for program, arguments in ((native.linked, ()), (native.opening, (str(named / "librknnrt.so"),))):
        plain = native.run(program, "general", str(native.runtime / "librknnrt.so"))
        options = {"preload": False, "library_path": named, "environment": target}
        trace = tmp_path / f"trace-{program.name}"
        assert native.run(program, "general", *arguments, trace=trace, **options) == plain  # type: ignore[arg-type]
        (found,) = read_traces(trace)
        assert found.library is not None and found.library.found == "target"
        assert len(found.calls) == 14


def test_layer_never_opens_itself(native: Kit, tmp_path: Path) -> None:
    named = tmp_path / "librknnrt.so"
    shutil.copy(native.layer, named)
    done = native.run(
        native.linked,
        "general",
        trace=tmp_path / "trace",
        preload=False,
        library_path=tmp_path,
        environment={"RKPARITY_LAYER_TARGET": str(named)},
    )
    assert (done.code, done.output) == (7, "init -1\n")
    assert "is the layer itself; name the real library in RKPARITY_LAYER_TARGET" in done.errors
    (trace,) = read_traces(tmp_path / "trace")
    assert trace.library == LibraryUsed(None, "none", (), f"{named} is the layer itself")
    assert [(call.name, call.ret, call.missing) for call in trace.calls] == [("rknn_init", -1, True)]


def test_missing_optional_functions(native: Kit, tmp_path: Path) -> None:
    """The program is linked against the whole API and meets a library without the optional part."""
    done = native.run(native.linked, "missing", library_path=native.minimal, trace=tmp_path / "trace")
    assert (done.code, done.output) == (0, "dup -1\ncreate NULL\nmask -1\n")
    (trace,) = read_traces(tmp_path / "trace")
    assert trace.library is not None
    assert {"rknn_dup_context", "rknn_create_mem", "rknn_set_core_mask"} <= set(trace.library.missing)
    assert [(call.name, call.ret, call.missing) for call in trace.calls] == [
        ("rknn_init", 0, False),
        ("rknn_dup_context", -1, True),
        ("rknn_create_mem", -1, True),
        ("rknn_set_core_mask", -1, True),
        ("rknn_destroy", 0, False),
    ]


def test_calls_before_main_and_at_exit(native: Kit, tmp_path: Path) -> None:
    environment = {"APP_EARLY": "1"}
    plain = native.run(native.linked, "late", environment=environment)
    traced = native.run(native.linked, "late", environment=environment, trace=tmp_path / "trace")
    assert traced == plain and plain.code == 0
    (trace,) = read_traces(tmp_path / "trace")
    assert [call.name for call in trace.calls[:3]] == ["rknn_init", "rknn_destroy", "rknn_init"]
    assert [context.context for context in trace.contexts] == [1, 2, 3]
    assert trace.exit is not None and trace.exit.calls == 16 == len(trace.calls)


def test_fork_and_exec_write_their_own_files(native: Kit, tmp_path: Path) -> None:
    assert native.run(native.linked, "fork", trace=tmp_path / "fork").code == 0
    parent, child = sorted(read_traces(tmp_path / "fork"), key=lambda trace: trace.start.forked_from is not None)
    assert child.start.forked_from == parent.start.pid == child.start.parent_pid
    assert [call.seq for call in child.calls] == list(range(11))
    # The parent's context is known in the child, but was announced in the parent's trace only.
    assert child.calls[0].context == 1 and child.context(1) is None
    assert child.contexts[0].context == 2
    assert native.run(native.linked, "exec", trace=tmp_path / "exec").code == 0
    before, after = find_traces(tmp_path / "exec")
    assert after.name == before.name.replace(".jsonl", "-1.jsonl")
    first, second = read_traces(tmp_path / "exec")
    assert (len(first.calls), first.exit, first.truncated) == (7, None, 0)
    assert len(second.calls) == 14 and second.exit is not None


def test_crash_loses_only_the_last_call(native: Kit, tmp_path: Path) -> None:
    done = native.run(native.linked, "crash", trace=tmp_path / "trace")
    assert done.code == -signal.SIGSEGV
    (trace,) = read_traces(tmp_path / "trace")
    assert [call.name for call in trace.calls][-1] == "rknn_outputs_release"
    (unfinished,) = trace.unfinished
    assert (unfinished.name, unfinished.context) == ("rknn_inputs_set", 1)
    assert unfinished.suspect is not None
    assert (unfinished.suspect.what, unfinished.suspect.index, unfinished.suspect.buf) == ("inputs", 0, 0)
    assert trace.exit is None


def test_program_that_closes_every_descriptor(native: Kit, tmp_path: Path) -> None:
    environment = {"APP_FILE": str(tmp_path / "own")}
    done = native.run(native.linked, "closes", trace=tmp_path / "trace", environment=environment)
    assert done.code == 0 and done.output.endswith("own file has 0 bytes\n")
    (trace,) = read_traces(tmp_path / "trace")
    assert len(trace.calls) == 10


def test_without_a_folder_nothing_is_written(native: Kit, tmp_path: Path) -> None:
    plain = native.run(native.linked, "general")
    environment = {"LD_PRELOAD": str(native.layer)}
    assert native.run(native.linked, "general", environment=environment, cwd=tmp_path) == plain
    assert not list(tmp_path.iterdir())
    environment["RKPARITY_TRACE_DIR"] = str(tmp_path / "nowhere")
    done = native.run(native.linked, "general", environment=environment)
    assert (done.code, done.output) == (plain.code, plain.output)
    assert "cannot be used: no trace is written" in done.errors


def test_relative_folder_and_permissions(native: Kit, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    environment = {"LD_PRELOAD": str(native.layer), "RKPARITY_TRACE_DIR": "here"}
    assert native.run(native.linked, "general", environment=environment, cwd=tmp_path).code == 0
    (path,) = find_traces(tmp_path / "here")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().endswith(b"}\n")


def test_size_limits(native: Kit, tmp_path: Path) -> None:
    traced = native.run(
        native.linked,
        "bench",
        "",
        "2000",
        trace=tmp_path / "trace",
        environment={"RKPARITY_TRACE_MAX_MB": "2"},
    )
    assert traced.code == 0
    (trace,) = read_traces(tmp_path / "trace")
    assert trace.limit == 2 << 20 and trace.exit is None
    assert trace.path.stat().st_size <= 2 << 20
    assert [call.seq for call in trace.calls] == list(range(len(trace.calls)))
    # A process limit would end the program by a signal if the layer went beyond it.
    limited = subprocess.run(
        ["sh", "-c", f'ulimit -f 4096; exec "{native.linked}" bench x 4000'],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(native.runtime),
            "LD_PRELOAD": str(native.layer),
            "RKPARITY_TRACE_DIR": str(tmp_path / "trace"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 0, limited


def test_file_system_that_cannot_reserve(native: Kit, tmp_path: Path) -> None:
    """NFS, for one: every line is then written by itself."""
    source, shim = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text("int fallocate64(int fd, int mode, long start, long length) { return -1; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(shim)], check=True)
    kit = dataclasses.replace(native, preloads=(str(shim),))
    for mode in ("threads", "fork", "exec"):
        plain = native.run(native.linked, mode)
        assert kit.run(kit.linked, mode, trace=tmp_path / mode) == plain
        for trace in read_traces(tmp_path / mode):
            assert trace.calls and trace.truncated == 0
            assert trace.path.read_bytes().endswith(b"}\n")


def test_threads_and_contexts(native: Kit, tmp_path: Path) -> None:
    trace = native.trace(native.linked, "threads", trace=tmp_path / "trace")
    assert len({call.tid for call in trace.calls}) == 4
    assert len(trace.contexts) == 8
    assert [call.seq for call in trace.calls] == list(range(4 * 2 * (50 * 4 + 2)))
    for context in trace.contexts:
        calls = trace.calls_of(context.context)
        assert [call.name for call in calls[:5]] == [
            "rknn_init",
            "rknn_inputs_set",
            "rknn_run",
            "rknn_outputs_get",
            "rknn_outputs_release",
        ]
        hashes = {call.details.inputs[0].content for call in calls if isinstance(call.details, InputsSet)}
        assert len(hashes) == 1

"""One folder with a good specimen of everything rkparity reads: runs, model, trace, project, thresholds, diagnosis."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from rkparity.cli.main import main as rkparity

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"

PROJECT = """
[model]
file = "tiny.onnx"
target = "rk3588"
mean_values = [[0, 0, 0]]
std_values = [[1, 1, 1]]

[input]
files = ["x.npy"]
layout = "nhwc"

[board]
address = "user@127.0.0.1:1"

[application]
command = ["./app", "m.rknn"]

[output]
folder = "out"
"""
THRESHOLDS = """
[default]
cosine = 0.99

[[layer]]
name = "*conv*"
cosine = 0.98
"""


def _attribute(index: int, name: str, dims: list[int], kind: str) -> dict[str, Any]:
    n_elems = 1
    for size in dims:
        n_elems *= size
    return {
        "index": index, "name": name, "n_dims": len(dims), "dims": dims, "n_elems": n_elems, "size": n_elems,
        "fmt": "NHWC" if len(dims) == 4 else "UNDEFINED", "type": kind, "qnt_type": "AFFINE_ASYMMETRIC", "fl": 0,
        "zp": -128, "scale": 0.0039, "w_stride": dims[2] if len(dims) == 4 else 0, "size_with_stride": n_elems,
        "pass_through": 0, "h_stride": 0,
    }  # fmt: skip


def trace_lines() -> list[dict[str, Any]]:
    """A short trace as docs/trace.md describes it: init, inputs_set, run, outputs_get, release, destroy."""
    inputs = [_attribute(0, "x", [1, 8, 8, 3], "INT8")]
    outputs = [_attribute(0, "y", [1, 10], "INT8")]
    content = {"kind": "UINT8", "nbytes": 192, "sha256": "0" * 64, "min": 0, "max": 255, "mean": 101.5, "zeros": 3}
    shared = {"tid": 7, "t_ns": 1000, "dur_ns": 10, "context": 1, "handle": "0x5", "ret": 0, "ret_name": "RKNN_SUCC"}
    given = {"index": 0, "buf": "0x10", "size": 192, "pass_through": 0, "type": "UINT8", "fmt": "NHWC"}
    taken = {"index": 0, "want_float": 1, "is_prealloc": 0, "buf_before": "0x0", "size_before": 0, "buf": "0x20"}
    calls: list[dict[str, Any]] = [
        {"call": "rknn_init", "model": {"source": "memory", "path": None, "size": 9, "sha256": None}, "flags": 0, "extend": None},
        {"call": "rknn_inputs_set", "n_inputs": 1, "inputs": [{**given, "content": content}], "unreadable": False},
        {"call": "rknn_run", "run": 0, "extend": None, "bound": []},
        {"call": "rknn_outputs_get", "n_outputs": 1, "extend": None, "unreadable": False,
         "outputs": [{**taken, "size": 40, "content": {**content, "kind": "FLOAT32", "nbytes": 40}}]},
        {"call": "rknn_outputs_release", "n_outputs": 1, "unreadable": False,
         "outputs": [{"index": 0, "want_float": 1, "is_prealloc": 0, "buf": "0x20", "size": 40}]},
        {"call": "rknn_destroy"},
    ]  # fmt: skip
    lines: list[dict[str, Any]] = [
        {"event": "start", "schema": "rkparity.trace/1", "layer_version": "0.1", "pid": 9, "ppid": 1, "forked_from": None,
         "exe": "/usr/bin/app", "machine": "aarch64", "pointer_bits": 64, "t_ns": 0, "unix_ns": 0,
         "settings": {"hash": True, "buffers": 0, "query": True, "max_bytes": 1 << 28},
         "environment": {"RKNN_LOG_LEVEL": "5", "RKNN_DUMP_DIR": None, "RKNN_DUMP_QUANT": None, "RKNN_DUMP_TXT_TENSOR": None}},
        {"event": "library", "path": "/usr/lib/librknnrt.so", "found": "dlopen", "missing": [], "reason": None},
    ]  # fmt: skip
    for number, call in enumerate(calls):
        lines.append({"event": "call", "seq": number, **shared, **call})
        if number == 0:
            lines.append(
                {"event": "context", "context": 1, "seq": 0, "handle": "0x5", "flags": 0, "duplicated_from": None,
                 "model": calls[0]["model"], "sdk": {"api_version": "1.6.0", "driver_version": "0.9.3"}, "inputs": inputs,
                 "outputs": outputs, "native_inputs": [], "native_outputs": [], "failed_queries": []}
            )  # fmt: skip
    lines.append({"event": "exit", "t_ns": 5000, "calls": len(calls), "open_contexts": [], "open_memories": []})
    return lines


def write_trace(path: Path, lines: list[Any]) -> None:
    """One JSON object per line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def make(folder: Path) -> None:
    """Fills `folder`; every specimen is read without complaint by the command it is for."""
    folder.mkdir(parents=True)
    for name in ("multi_input_int8_snapshot", "multi_input_int8_fakeboard"):
        with zipfile.ZipFile(DATA / "compare" / f"{name}.zip") as archive:
            archive.extractall(folder / name)
    snapshot = next(path.parent for path in (folder / "multi_input_int8_snapshot").rglob("map_name_to_file.txt"))
    dumps = next(path.parent for path in (folder / "multi_input_int8_fakeboard").rglob("*.npy"))
    snapshot.rename(folder / "snapshot")
    dumps.rename(folder / "dumps")
    for name in ("multi_input_int8_snapshot", "multi_input_int8_fakeboard"):
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copy(DATA / "models" / "multi_input_int8.rknn", folder / "m.rknn")
    shutil.copy(DATA / "check" / "tiny.onnx", folder / "tiny.onnx")
    model = ["--model", str(folder / "m.rknn")]
    for arguments in (
        ["import-snapshot", str(folder / "snapshot"), *model, "-o", str(folder / "runs")],
        ["pull", "--from-folder", str(folder / "dumps"), *model, "-o", str(folder / "board")],
    ):
        if rkparity(arguments) != 0:
            raise SystemExit(f"harden: rkparity {' '.join(arguments)} failed on good data")
    (folder / "trace").mkdir()
    write_trace(folder / "trace" / "rkparity-9.jsonl", trace_lines())
    (folder / "rkparity.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "thresholds.toml").write_text(THRESHOLDS, encoding="utf-8")
    (folder / "text.txt").write_text("not what you think\n", encoding="utf-8")
    (folder / "empty").touch()
    shutil.copy(next((folder / "dumps").glob("000_*.npy")), folder / "x.npy")

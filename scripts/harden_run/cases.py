"""The invocations: each with its arguments, what is odd about it, what must still hold after it, and how to undo it."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import values
import workspace

NOWHERE = ["--board", "user@127.0.0.1:1"]


def _nothing() -> None:
    return None


def _no_faults() -> list[str]:
    return []


@dataclass(frozen=True)
class Invocation:
    """Arguments of rkparity and what is odd about them; `check` gives faults seen afterwards, `undo` makes it good."""

    what: str
    arguments: list[str]
    check: Callable[[], list[str]] = _no_faults
    undo: Callable[[], None] = _nothing


def _readers(folder: Path, odd: str) -> Iterator[list[str]]:
    """Every place where a command takes a path to read, with `odd` there."""
    good = {
        name: str(folder / name) for name in ("m.rknn", "dumps", "board", "trace", "x.npy", "snapshot", "tiny.onnx")
    }
    simulator = str(folder / "runs" / "simulator")
    yield ["compare-dumps", odd, simulator]
    yield ["compare-dumps", good["board"], odd]
    yield ["compare-dumps", good["board"], simulator, "--model", odd]
    yield ["compare-dumps", good["board"], simulator, "--golden", odd]
    yield ["compare-dumps", good["board"], simulator, "--thresholds", odd]
    yield ["diagnose", odd, simulator]
    yield ["diagnose", good["board"], odd]
    yield ["diagnose", good["board"], simulator, "--trace", odd]
    yield ["diagnose", good["board"], simulator, "--picture", odd]
    yield ["diagnose", good["board"], simulator, "--resimulated", odd]
    yield ["diagnose", good["board"], simulator, "--app-output", odd]
    yield ["diagnose", good["board"], simulator, "--repeat", odd]
    yield ["lint", odd]
    yield ["lint", good["trace"], "--model", odd]
    yield ["lint", good["trace"], "--reference", odd]
    yield ["inspect", odd]
    yield ["inspect", "--json", odd]
    yield ["pull", "--from-folder", odd, "-o", str(folder / "made")]
    yield ["pull", "--from-folder", good["dumps"], "--model", odd, "-o", str(folder / "made")]
    yield ["import-snapshot", odd, "-o", str(folder / "made")]
    yield ["import-snapshot", good["snapshot"], "--model", odd, "-o", str(folder / "made")]
    yield ["run", "--model", odd, "--input", good["x.npy"], "-o", str(folder / "made"), *NOWHERE]
    yield ["run", "--model", good["m.rknn"], "--input", odd, "-o", str(folder / "made"), *NOWHERE]
    yield ["run-app", "--model", odd, "-o", str(folder / "made"), *NOWHERE, "--", "./app"]
    yield ["run-app", "--upload", odd, "-o", str(folder / "made"), *NOWHERE, "--", "./app"]
    yield ["check", "--project", odd]
    yield ["bundle", "--project", odd, "-o", str(folder / "made")]
    yield ["board", "info", NOWHERE[1], "--identity", odd]
    yield ["board", "info", NOWHERE[1], "--password-file", odd]
    yield ["board", "info", NOWHERE[1], "--known-hosts", odd]
    yield ["build", odd, "-o", str(folder / "made"), "--toolkit-python", odd]
    yield ["simulate", odd, "--input", good["x.npy"], "-o", str(folder / "made"), "--toolkit-python", "/bin/false"]
    yield ["simulate", good["m.rknn"], "--input", odd, "-o", str(folder / "made"), "--toolkit-python", "/bin/false"]
    yield ["init", odd, "--no-input", "-o", str(folder / "made"), "--toolkit-python", "/bin/false"]
    yield ["emulator", "exec", "--model", odd, "--", "true"]


def _odd_files(folder: Path) -> list[tuple[str, str]]:
    odd = folder / "odd"
    odd.mkdir(exist_ok=True)
    loop, fifo, closed = odd / "loop", odd / "fifo", odd / "closed"
    loop.symlink_to(loop)
    os.mkfifo(fifo)
    closed.write_bytes(b"x")
    closed.chmod(0)
    named = odd / os.fsdecode(b"bytes-\xff\xfe-\x1b[31m")
    shutil.copy(folder / "m.rknn", named)
    (odd / "folder").mkdir()
    (odd / "folder" / "manifest.json").write_text("{}", encoding="utf-8")
    (odd / "circle").mkdir()
    (odd / "circle" / "again").symlink_to(odd / "circle")
    (odd / "dangling").symlink_to(odd / "nothing")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(odd / "socket"))
    huge = odd / "huge.npy"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    evil = odd / "evil\x1b]0;x\x07\u202e"
    evil.mkdir()
    shutil.copy(folder / "text.txt", odd / "notes.jsonl")
    return [
        ("no such file", str(odd / "nothing")), ("empty text", ""), ("symbolic link to itself", str(loop)), ("FIFO", str(fifo)),
        ("unreadable", str(closed)), ("not UTF-8", str(named)), ("a run without anything", str(odd / "folder")),
        ("folder that holds itself", str(odd / "circle")), ("dangling link", str(odd / "dangling")), ("socket", str(odd / "socket")),
        ("a terabyte of nothing", str(huge)), ("name with escapes", str(evil)), ("endless zeros", "/dev/zero"),
        ("/dev/null", "/dev/null"), ("/dev/random", "/dev/urandom"), ("text", str(folder / "text.txt")),
        ("empty file", str(folder / "empty")), ("folder", str(folder)), ("long name", "a" * 256), ("long path", "/".join(["b" * 200] * 30)),
        ("a file as a folder", str(folder / "text.txt" / "x")), ("standard input", "-"), ("text.jsonl", str(odd / "notes.jsonl")),
        ("an array", str(folder / "x.npy")), ("a model", str(folder / "m.rknn")), ("a source model", str(folder / "tiny.onnx")),
        ("a project", str(folder / "rkparity.toml")), ("proc", "/proc/self"), ("mem", "/proc/self/mem"), ("a folder of others", "/etc/ssl"),
        ("looks like an option", "--x"), ("a dump", str(next((folder / "dumps").glob("000_*.npy")))), ("dots", ".."),
    ]  # fmt: skip


ODD_VALUES = (
    "", "0", "-1", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 400, "x", "\x1b[2J", "\udcff", "1,2", "1,", ",", "[]", "a b", "'", '"',
    "$(id)", "`id`", "../..", "a" * 5000, "1:2", "::", "@", "@host", "user@", "user@host:99999", "user@host:-1", "user@[::1", "user@host:22:22",
    "user@ho st", "-oProxyCommand=id", "root@\x00"[:5], "user@\u0430", "adb:", "adb:-s", "local:", "virtual", "1.5.2", "None",
)  # fmt: skip


def _valued(folder: Path, odd: str) -> Iterator[list[str]]:
    """Every option that takes a value that is no path, with `odd` there."""
    model, array, made = str(folder / "m.rknn"), str(folder / "x.npy"), str(folder / "made")
    run = ["run", "--model", model, "--input", array, "-o", made]
    for option in ("--type", "--fmt", "--pass-through", "--api", "--want-float", "--output-fmt", "--output-type", "--dump-quant",
                   "--repeat", "--core-mask", "--library", "--timeout"):  # fmt: skip
        yield [*run, *NOWHERE, f"{option}={odd}"]
    for option in ("--board", "--jump", "--work-dir"):
        yield [*run, *(NOWHERE if option != "--board" else ()), f"{option}={odd}"]
        yield ["board", "info", *((NOWHERE[1], f"{option}={odd}") if option != "--board" else (odd,))]
    app = ["run-app", "-o", made, *NOWHERE]
    for option in ("--env", "--cwd", "--timeout", "--trace-buffers", "--dump-quant"):
        yield [*app, f"{option}={odd}", "--", "./app"]
    yield [*app, "--", odd]
    for option in ("--max-files", "--max-bytes", "--precision", "--from"):
        yield [
            "pull",
            *(NOWHERE if option == "--from" else ("--from-folder", str(folder / "dumps"))),
            f"{option}={odd}",
            "-o",
            made,
        ]
    yield ["inspect", model, f"--shape-set={odd}"]
    yield ["compare-dumps", str(folder / "board"), str(folder / "runs" / "simulator"), f"--per-channel={odd}"]
    yield ["check", f"--stage={odd}"]
    yield ["check", f"--timeout={odd}"]
    for option in ("--input-size", "--mean", "--std", "--inputs", "--outputs", "--target", "--dynamic-input", "--batch", "--framework",
                   "--optimization-level", "--method", "--algorithm", "--budget", "--board", "--application", "--layout"):  # fmt: skip
        yield [
            "init",
            str(folder / "tiny.onnx"),
            "--no-input",
            "-o",
            made,
            f"{option}={odd}",
            "--toolkit-python",
            "/bin/false",
        ]
    for option in ("--input-size", "--mean", "--target", "--batch", "--timeout"):
        yield ["build", str(folder / "tiny.onnx"), "-o", made, f"{option}={odd}", "--toolkit-python", "/bin/false"]
    yield [odd]
    yield ["emulator", odd]
    yield ["emulator", "start", f"--runtime={odd}", "--model", str(folder / "m.rknn"), "--fault", odd]
    yield ["setup-toolkit", f"--version={odd}", "--dest", made]


def _writers(folder: Path, target: str) -> Iterator[list[str]]:
    simulator, board = str(folder / "runs" / "simulator"), str(folder / "board")
    yield ["compare-dumps", board, simulator, "--json", target]
    yield ["diagnose", board, simulator, "--json", target]
    yield ["diagnose", board, simulator, "-o", target]
    yield ["lint", str(folder / "trace"), "--json", target]
    yield ["pull", "--from-folder", str(folder / "dumps"), "-o", target]
    yield ["import-snapshot", str(folder / "snapshot"), "-o", target]
    yield ["init", str(folder / "tiny.onnx"), "--no-input", "-o", target, "--toolkit-python", "/bin/false"]
    yield ["check", "--json", target, "--stage", "runtime"]
    yield ["check", "--junit", target, "--stage", "runtime"]
    yield ["check", "--markdown", target, "--stage", "runtime"]
    yield ["bundle", "-o", target]


def commands(folder: Path, seed: int, n_values: int) -> Iterator[Invocation]:
    """Every argument of every command with something odd in its place; files that exist and must stay as they are."""

    def clean() -> None:
        made = folder / "made"
        if made.is_dir() and not made.is_symlink():
            shutil.rmtree(made, ignore_errors=True)
        else:
            made.unlink(missing_ok=True)

    for what, odd in _odd_files(folder):
        for arguments in _readers(folder, odd):
            yield Invocation(what, arguments, undo=clean)
    for odd in ODD_VALUES:
        for arguments in _valued(folder, odd):
            yield Invocation(f"value {odd[:20]!r}", arguments, undo=clean)
    kept = folder / "kept"
    for target, what in ((str(kept), "exists"), ("/dev/full", "full disk"), ("/dev/null", "device"), (str(folder / "no" / "x"), "no folder"),
                         ("-", "standard output"), ("/proc/x", "no place to write"), ("a" * 256, "long name")):  # fmt: skip
        for arguments in _writers(folder, target):
            kept.write_text("mine", encoding="utf-8")
            yield Invocation(
                f"output: {what}", arguments, check=lambda: _untouched(kept), undo=lambda: _remove(folder / "-")
            )


def _untouched(kept: Path) -> list[str]:
    faults = []
    if not kept.is_file() or kept.read_text(encoding="utf-8") != "mine":
        faults.append("replaced a file without --force")
    if not Path("/dev/null").is_char_device():
        faults.append("replaced /dev/null")
    if (kept.parent / "-").exists():
        faults.append("made a file called -")
    return faults


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def mutations(folder: Path, seed: int, n_values: int) -> Iterator[Invocation]:
    """`n_values` changes of one value of a good specimen, each read by the commands that read it."""
    how = random.Random(seed)
    simulator, board, model = folder / "runs" / "simulator", folder / "board", folder / "m.rknn"
    both = [str(board), str(simulator)]
    trace = folder / "trace" / "rkparity-9.jsonl"
    readers: dict[Path, list[list[str]]] = {
        board / "manifest.json": [["compare-dumps", *both], ["diagnose", *both], ["lint", str(board)], ["diagnose", "--repeat", *both]],
        simulator / "manifest.json": [
            ["compare-dumps", *both], ["diagnose", *both], ["compare-dumps", *both, "--golden", str(folder / "runs" / "golden")],
            ["lint", str(trace.parent), "--reference", str(simulator)]],
        trace: [["lint", str(trace.parent)], ["diagnose", *both, "--trace", str(trace.parent)], ["lint", str(trace)]],
        folder / "rkparity.toml": [["check", "--stage", "runtime"], ["bundle", "-o", str(folder / "made")]],
        folder / "thresholds.toml": [["compare-dumps", *both, "--thresholds", str(folder / "thresholds.toml")]],
        model: [["inspect", str(model)], ["inspect", "--json", str(model)], ["compare-dumps", str(folder / "dumps"), str(simulator), "--model", str(model)],
                ["lint", str(trace.parent), "--model", str(model)]],
        next(board.rglob("*.npy")): [["compare-dumps", *both], ["diagnose", *both]],
        folder / "snapshot" / "map_name_to_file.txt": [["import-snapshot", str(folder / "snapshot"), "-o", str(folder / "made")]],
    }  # fmt: skip
    weights = [5, 5, 6, 1, 1, 3, 1, 1]
    for _ in range(n_values):
        path = how.choices(list(readers), weights)[0]
        before = path.read_bytes()
        what, data = _mutated(path, before, how)
        arguments = how.choice(readers[path])

        def undo(path: Path = path, before: bytes = before) -> None:
            path.write_bytes(before)
            _remove(folder / "made")

        path.write_bytes(data)
        yield Invocation(f"{path.name}: {what}", arguments, undo=undo)


def _mutated(path: Path, before: bytes, how: random.Random) -> tuple[str, bytes]:
    if path.suffix == ".json":
        document = json.loads(before)
        what, changed = values.changed(document, how.choice(list(values.places(document))), how)
        return what, values.as_text(changed, how)
    if path.suffix == ".jsonl":
        lines = workspace.trace_lines()
        number = how.randrange(len(lines))
        what, changed = values.changed(lines[number], how.choice(list(values.places(lines[number]))), how)
        lines[number] = changed
        if how.random() < 0.05:
            how.shuffle(lines)
        parts = [json.dumps(line).encode("utf-8", "surrogatepass") for line in lines]
        return f"line {number}: {what}", b"\n".join(itertools.chain(parts, [b""]))
    return values.damaged(before, how)


AREAS: dict[str, Callable[[Path, int, int], Iterator[Invocation]]] = {"commands": commands, "values": mutations}

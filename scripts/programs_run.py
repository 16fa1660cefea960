"""Runs ready programs on virtual boards, traced and not: `programs_run.py FILE [--keep DIR]`.

FILE is TOML, a `[[program]]` each: `name`, `command` (a list), `models` (the .rknn files it opens), `folder` (where it
starts), and what is not the usual: `environment`, `runtimes`, `timeout_s`. Paths are relative to FILE. The programs,
their models and pictures stay where they are. Exit code 0 when every program ended with 0, has no finding and the
same dumps with and without the layer; else 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rkparity.errors import RkparityError
from rkparity.io import read_toml

RUNTIMES = ("1.6.0", "1.5.2")


@dataclass(frozen=True)
class Program:
    """One entry of the file."""

    name: str
    command: tuple[str, ...]
    models: tuple[Path, ...]
    folder: Path
    environment: tuple[str, ...]
    runtimes: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True)
class Row:
    """What came of a program on one runtime; `dumps` is (equal, all)."""

    name: str
    runtime: str
    exits: tuple[str, str]
    calls: int
    findings: tuple[str, ...]
    dumps: tuple[int, int]
    said: str

    @property
    def good(self) -> bool:
        """Whether nothing is to be looked at."""
        return self.exits == ("0", "0") and not self.findings and self.dumps[0] == self.dumps[1] and self.calls > 0


def read_programs(file: Path) -> tuple[Program, ...]:
    """The entries of `file`; KeyError for one that lacks something."""
    root = file.resolve().parent
    return tuple(
        Program(
            entry["name"],
            tuple(map(str, entry["command"])),
            tuple(root / model for model in entry["models"]),
            root / entry.get("folder", "."),
            tuple(f"{name}={value}" for name, value in entry.get("environment", {}).items()),
            tuple(entry.get("runtimes", RUNTIMES)),
            float(entry.get("timeout_s", 120)),
        )
        for entry in read_toml(file, "a list of programs")["program"]
    )


def _rkparity(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rkparity", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _run(program: Program, runtime: str, out: Path, *, traced: bool) -> tuple[str, str]:
    """How the program ended, and what rkparity said where it made no run."""
    arguments = ["run-app", "-o", str(out), "--cwd", str(program.folder), "--timeout", str(program.timeout_s)]
    arguments += ["--trace" if traced else "--no-trace"]
    arguments += [part for model in program.models for part in ("--virtual", str(model))]
    arguments += [part for pair in program.environment for part in ("--env", pair)]
    environment = {**os.environ, "RKPARITY_EMULATOR_VERSION": runtime}
    done = _rkparity([*arguments, "--", *program.command], environment)
    manifest = out / "manifest.json"
    if not manifest.is_file():
        return "no run", (done.stderr.strip().splitlines() or ["no output"])[-1]
    settings = json.loads(manifest.read_text(encoding="utf-8"))["settings"]
    return str(settings["signal"] or settings["exit_code"]), ""


def _digests(run: Path) -> dict[str, str]:
    folder = run / "dumps"
    files = sorted(folder.rglob("*.npy")) if folder.is_dir() else []
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def play(program: Program, runtime: str, folder: Path) -> Row:
    """Runs the program twice on one runtime and lints the traced run."""
    folder.mkdir(parents=True)
    plain, said = _run(program, runtime, folder / "plain", traced=False)
    traced, said_too = _run(program, runtime, folder / "traced", traced=True)
    findings: tuple[str, ...] = ()
    calls = 0
    if (folder / "traced").is_dir():
        lint = _rkparity(["lint", str(folder / "traced"), "--json", "-"], dict(os.environ))
        try:
            result = json.loads(lint.stdout)
        except ValueError:
            said_too = said_too or (lint.stderr.strip().splitlines() or ["lint gave nothing"])[-1]
        else:
            findings = tuple(sorted({item["rule"] for item in result["findings"]}))
            calls = sum(process["calls"] for process in result["processes"])
    one, other = _digests(folder / "plain"), _digests(folder / "traced")
    equal = sum(one.get(name) == other.get(name) for name in one.keys() | other.keys())
    return Row(
        program.name,
        runtime,
        (plain, traced),
        calls,
        findings,
        (equal, len(one.keys() | other.keys())),
        said or said_too,
    )


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    width = max([len(row.name) for row in rows] + [7])
    yield f"{'program':{width}}  runtime  exit plain/traced  calls  dumps equal  findings"
    for row in rows:
        exits = "/".join(row.exits)
        dumps = f"{row.dumps[0]} of {row.dumps[1]}"
        found = ", ".join(row.findings) or row.said or "-"
        yield f"{row.name:{width}}  {row.runtime:7}  {exits:17}  {row.calls:>5}  {dumps:>11}  {found}"


def main(arguments: Sequence[str]) -> int:
    """Prints the table; 1 when something is to be looked at, 2 for a file that cannot be read."""
    parser = argparse.ArgumentParser(prog="scripts/programs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the programs, see docs/programs.md")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the runs in DIR")
    options = parser.parse_args(arguments)
    try:
        programs = read_programs(options.file)
    except (RkparityError, KeyError, TypeError, ValueError) as error:
        print(f"programs: {options.file}: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="rkparity-programs-") as temporary:
        root = options.keep or Path(temporary)
        rows = [
            play(program, runtime, root / f"{number:02}_{runtime}")
            for number, program in enumerate(programs)
            for runtime in program.runtimes
        ]
    print("\n".join(lines(rows)))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

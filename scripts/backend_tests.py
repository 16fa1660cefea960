"""Takes the ONNX backend tests through `build` and `simulate` in two toolkit environments and compares what came out.

Usage: scripts/backend-tests [--sample N] [--seconds S] [--work FOLDER] --against PYTHON

The environments are the default one, whose PyTorch is a stand-in, and the one of --against, made by
`rkparity setup-toolkit --with-torch`. Every model is built and simulated in FP16 and int8 in both; compared are the
outcome and the bytes of every golden and simulator tensor. What was done is kept in FOLDER and not done again, so a
run that was interrupted goes on. Exits 1 when a model ends differently without the message that says why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rkparity.errors import RkparityError, ToolkitError
from rkparity.toolkit.bootstrap import find_toolkit_python
from rkparity.toolkit.spec import BuildSpec, Framework
from rkparity.toolkit.worker_client import Worker

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ("stand-in", "torch")
PRECISIONS = ("fp16", "int8")
_NAMES_STAND_IN = "setup-toolkit --with-torch"


class Bench:
    """One worker per environment, started anew after it died."""

    def __init__(self, pythons: dict[str, Path], seconds: float, scratch: Path) -> None:
        self._pythons = pythons
        self._seconds = seconds
        self._scratch = scratch
        self._workers: dict[str, Worker] = {}

    def worker(self, environment: str) -> Worker:
        """The environment's worker."""
        worker = self._workers.get(environment)
        if worker is None or worker.is_gone:
            if worker is not None:
                worker.close()
            worker = Worker(self._pythons[environment], timeout_s=self._seconds)
            self._workers[environment] = worker
        return worker

    def run(self, environment: str, case: dict[str, Any], home: Path, precision: str) -> dict[str, Any]:
        """Builds and simulates one model: how far it came, the message, a digest per tensor."""
        worker = self.worker(environment)
        spec = BuildSpec(
            Framework.ONNX,
            str(home / "model.onnx"),
            inputs=tuple(name for name, _ in case["inputs"]),
            input_size_list=tuple(tuple(shape) or (1,) for _, shape in case["inputs"]),
            do_quantization=precision == "int8",
            dataset=str(home / "dataset.txt") if precision == "int8" else None,
        )
        step = "build"
        shutil.rmtree(self._scratch, ignore_errors=True)
        folders = {name: self._scratch / name for name in ("golden", "simulator", "tables")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        try:
            built = worker.build(spec)
            step = "simulate"
            files = [home / f"input{index}.npy" for index in range(len(case["inputs"]))]
            rows = worker.analyse(
                built.model_id,
                files,
                golden=folders["golden"],
                simulator=folders["simulator"],
                folder=folders["tables"],
                fast=True,
            )
            worker.release(built.model_id)
        except ToolkitError as error:
            return {"outcome": f"refused at {step}", "message": error.message, "tensors": {}}
        return {"outcome": "simulated", "message": "", "tensors": digests(rows or (), folders)}

    def close(self) -> None:
        """Ends the workers; their logs say nothing that is not in the results."""
        for worker in self._workers.values():
            worker.close()
            worker.log.unlink(missing_ok=True)
        self._workers.clear()


def digests(rows: Any, folders: dict[str, Path]) -> dict[str, str]:
    """A hash of each tensor's file, by engine and name."""
    return {
        f"{engine}:{row.name}": hashlib.sha256((folders[engine] / row.file).read_bytes()).hexdigest()[:16]
        for row in rows
        for engine in ("golden", "simulator")
    }


def compare(results: dict[str, dict[str, Any]]) -> str:
    """How the environments' results for one model and precision relate."""
    mine, theirs = (results[name] for name in ENVIRONMENTS)
    if mine["outcome"] != theirs["outcome"]:
        return "said" if _NAMES_STAND_IN in mine["message"] else "OUTCOME DIFFERS"
    if mine["outcome"] == "simulated":
        return "same tensors" if mine["tensors"] == theirs["tensors"] else "TENSORS DIFFER"
    return "same refusal" if reason(mine["message"]) == reason(theirs["message"]) else "other words"


def reason(message: str) -> str:
    """A message without what differs from run to run: addresses, numbers of temporary files, times."""
    return re.sub(r"0x[0-9a-f]+|/\S+|\d+", "#", message)


def prepare(python: Path, work: Path) -> list[dict[str, Any]]:
    """The cases, unpacked once, in an order in which any first part is a fair sample."""
    listing = work / "cases" / "cases.json"
    if not listing.is_file():
        listing.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(python), str(ROOT / "scripts" / "backend_cases.py"), str(listing.parent)], check=True)
    cases: list[dict[str, Any]] = json.loads(listing.read_text())["cases"]
    return sorted(cases, key=lambda case: hashlib.sha256(case["name"].encode()).digest())


def read_done(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What an earlier run measured; a line that was cut off by its end is left out."""
    done = {}
    for line in file.read_text().splitlines() if file.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        done[row["case"], row["precision"]] = row
    return done


def measure(cases: list[dict[str, Any]], bench: Bench, work: Path) -> list[dict[str, Any]]:
    """One row per model and precision, new ones appended to the record."""
    record = work / "results.jsonl"
    done = read_done(record)
    rows = []
    started = time.monotonic()
    for number, case in enumerate(cases, 1):
        for precision in PRECISIONS:
            row = done.get((case["name"], precision))
            if row is None:
                home = work / "cases" / case["name"]
                results = {name: bench.run(name, case, home, precision) for name in ENVIRONMENTS}
                verdict = compare(results)
                if verdict == "TENSORS DIFFER":
                    # ONNX Runtime draws one seed per process, so only a new one shows a random operator.
                    bench.close()
                    again = bench.run(ENVIRONMENTS[0], case, home, precision)
                    if again["tensors"] != results[ENVIRONMENTS[0]]["tensors"]:
                        verdict = "random: differs from itself"
                row = {"case": case["name"], "precision": precision, "verdict": verdict, **results}
                with record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            rows.append(row)
        if number % 50 == 0:
            print(f"{number} of {len(cases)} models, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return rows


def report(rows: list[dict[str, Any]]) -> int:
    """Prints the table and every difference; the exit code."""
    print("| outcome in the default environment | against PyTorch | fp16 | int8 |\n|---|---|---|---|")
    kinds = Counter((row["stand-in"]["outcome"], row["verdict"], row["precision"]) for row in rows)
    for outcome, verdict in sorted({kind[:2] for kind in kinds}):
        counts = " | ".join(str(kinds[outcome, verdict, precision]) for precision in PRECISIONS)
        print(f"| {outcome} | {verdict} | {counts} |")
    tensors = sum(len(row["stand-in"]["tensors"]) for row in rows if row["verdict"] == "same tensors")
    print(f"\n{tensors} tensors equal in every byte")
    for row in rows:
        if row["verdict"] not in ("same tensors", "same refusal"):
            print(f"\n{row['case']} {row['precision']}: {row['verdict']}")
            for name in ENVIRONMENTS:
                print(f"  {name}: {row[name]['outcome']} {row[name]['message'][:300]}")
    return int(any(row["verdict"] in ("OUTCOME DIFFERS", "TENSORS DIFFER") for row in rows))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/backend-tests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, required=True, help="the interpreter of an environment with PyTorch")
    parser.add_argument("--toolkit-python", type=Path, help="that of the default environment (default: found)")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of the models, the same ones every time")
    parser.add_argument("--seconds", type=float, default=60.0, help="for one job of one model (default: 60)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "backend-tests", help="where results are kept")
    arguments = parser.parse_args()
    try:
        python = find_toolkit_python(arguments.toolkit_python)
        against = find_toolkit_python(arguments.against)
    except RkparityError as error:
        print(f"backend-tests: error: {error.message}\n  hint: {error.hint}", file=sys.stderr)
        return 3
    work = arguments.work.resolve()
    cases = prepare(python, work)[: arguments.sample]
    bench = Bench(dict(zip(ENVIRONMENTS, (python, against))), arguments.seconds, work / "scratch")
    try:
        return report(measure(cases, bench, work))
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())

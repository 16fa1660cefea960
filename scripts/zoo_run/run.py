"""Takes the models of the zoo through rkparity, one at a time, and writes the table. Results are kept per model."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from catalogue import MODELS, TARGET_MODEL, TARGETS, ZooModel
from prepare import prepare
from steps import RKPARITY, Step, Walk, as_json
from table import page

ROOT = Path(__file__).resolve().parents[2]


def walked(model: ZooModel, folder: Path, toolkit: Path, limit_s: float) -> list[Step]:
    """All steps of one model."""
    shutil.rmtree(folder / "work" / model.name, ignore_errors=True)
    home = folder / "work" / model.name
    started = time.monotonic()
    try:
        prepare(model, home, folder / "wheels", toolkit)
    except RuntimeError as error:
        return [Step("prepare", "not available", None, round(time.monotonic() - started, 1), str(error))]
    return Walk(model, home, toolkit, limit_s).take()


def on_targets(folder: Path, toolkit: Path, arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """One picture network built for every chip; results are kept by chip."""
    results = {}
    for target in TARGETS:
        kept = folder / "targets" / f"{target}.json"
        if arguments.targets and (arguments.fresh or not kept.is_file()):
            home = folder / "work" / target
            shutil.rmtree(home, ignore_errors=True)
            prepare(TARGET_MODEL, home, folder / "wheels", toolkit)
            steps = Walk(TARGET_MODEL, home, toolkit, arguments.limit, target=target).take(check=False)
            keep(kept, {"target": target, "versions": versions(toolkit), "steps": as_json(steps)})
            if not arguments.keep:
                shutil.rmtree(home, ignore_errors=True)
            print(target + ": " + told(steps), flush=True)
        if kept.is_file():
            results[target] = json.loads(kept.read_text())
    return results


def keep(path: Path, record: dict[str, object]) -> None:
    """Writes a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(path)


def told(steps: Sequence[Step]) -> str:
    """The steps on one line."""
    return ", ".join(f"{step.name} {step.outcome} {step.seconds:g} s" for step in steps)


def versions(toolkit: Path) -> str:
    """What the result was made with."""
    script = "from importlib.metadata import version as v; print('rknn-toolkit2', v('rknn-toolkit2'))"
    tools = subprocess.run([str(toolkit), "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    own = subprocess.run([str(RKPARITY), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    stamp = Path(sys.prefix) / ".rkparity-installed"
    sources = stamp.read_text().split()[0][:12] if stamp.is_file() else "unknown"
    return f"{own} (sources {sources}), {tools}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/zoo", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="NAME", help="models to run (default: all)")
    parser.add_argument("--targets", action="store_true", help="take one network to every chip (models only if named)")
    parser.add_argument("--list", action="store_true", help="list the models and end")
    parser.add_argument("--folder", type=Path, default=ROOT / ".zoo", help="where all is kept (default: .zoo)")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one model (default: 300)")
    parser.add_argument("--fresh", action="store_true", help="run again what has a result")
    parser.add_argument("--table", type=Path, help="write the table of all results kept to this file")
    parser.add_argument("--keep", action="store_true", help="keep each model's files, not only its result")
    made = [ROOT / ".toolkit" / name / "bin" / "python" for name in ("frameworks", "2.5.0")]
    default = os.environ.get("RKPARITY_TOOLKIT_PYTHON") or str(next((item for item in made if item.exists()), made[-1]))
    parser.add_argument("--toolkit-python", type=Path, default=Path(default), metavar="FILE")
    arguments = parser.parse_args()
    known = {model.name for model in MODELS}
    unknown = set(arguments.models) - known
    if unknown:
        parser.error(f"unknown model: {', '.join(sorted(unknown))}; --list lists them")
    if arguments.list:
        for model in MODELS:
            print(f"{model.name:36} {model.framework:11} {model.source}, {model.licence}")
        return 0
    folder, toolkit = arguments.folder.resolve(), arguments.toolkit_python.absolute()
    (folder / "results").mkdir(parents=True, exist_ok=True)
    results = {}
    for model in MODELS:
        kept = folder / "results" / f"{model.name}.json"
        wanted = model.name in arguments.models or not (arguments.models or arguments.targets)
        if wanted and (arguments.fresh or not kept.is_file()):
            steps = walked(model, folder, toolkit, arguments.limit)
            record = {"model": model.name, "versions": versions(toolkit), "steps": as_json(steps)}
            keep(kept, record)
            if not arguments.keep:
                shutil.rmtree(folder / "work" / model.name, ignore_errors=True)
            print(model.name + ": " + told(steps), flush=True)
        if kept.is_file():
            results[model.name] = json.loads(kept.read_text())
    targets = on_targets(folder, toolkit, arguments)
    if arguments.table is not None:
        arguments.table.write_text(page(MODELS, results, targets), encoding="utf-8")
    failed = [
        name
        for name, item in {**results, **targets}.items()
        if any(s["outcome"] == "rkparity failed" for s in item["steps"])
    ]
    if failed:
        print(f"rkparity failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compares a board's dumps with the simulator, layer by layer.

DUMPS is a folder of the files librknnrt wrote (RKNN_LOG_LEVEL=5), or a run made by `rkparity run` or `rkparity pull`.
REFERENCE is what `rkparity simulate` wrote, one of its runs, or a snapshot folder of rknn-toolkit2's accuracy_analysis.

The input is proven equal first. Then every layer gets a verdict; the first failing one in execution order is the first
divergence. docs/compare-dumps.md explains the result, docs/thresholds.md the limits.

Exit codes: 0 pass, 1 divergence, 2 usage, 3 nothing diverges but something expected was damaged, missing or refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.cli.options import add_local_options, local_settings
from rkparity.errors import RkparityError, UsageError
from rkparity.io import is_standard_output

if TYPE_CHECKING:
    from rkparity.compare.comparison import Comparison
    from rkparity.compare.source import TensorSource
    from rkparity.model import Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("dumps", metavar="DUMPS", type=Path, help="folder of dump files, or a board run")
    parser.add_argument("reference", metavar="REFERENCE", type=Path, help="simulator run, or toolkit snapshot folder")
    parser.add_argument(
        "--model",
        metavar="M.rknn",
        type=Path,
        help="the compiled model the board ran: names, scales, mean/std and the graph are taken from it",
    )
    parser.add_argument(
        "--golden",
        metavar="RUN",
        type=Path,
        help="float run of the same conversion (found by itself beside the simulator's)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result as JSON (docs/comparison-json.md)")
    parser.add_argument("--thresholds", metavar="FILE", type=Path, help="TOML file with limits (docs/thresholds.md)")
    parser.add_argument("--force", action="store_true", help="replace FILE of --json if it exists")
    parser.add_argument("--all", action="store_true", help="list every layer and everything not compared")
    parser.add_argument(
        "--per-channel",
        metavar="NAME",
        action="append",
        default=[],
        help="score every channel of this layer (tensor or dump name, or glob); results go to the JSON",
    )
    parser.add_argument("--no-diagnosis", action="store_true", help="do not look for the cause when something diverges")
    add_local_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compares, prints, writes the JSON; returns the exit code."""
    from rkparity.compare.thresholds import Thresholds, read_thresholds

    if arguments.json is not None:
        from rkparity.compare.result_json import check_writable

        check_writable(arguments.json, force=arguments.force)
    if arguments.per_channel and arguments.json is None:
        raise UsageError("--per-channel: its scores are written to the JSON", hint="give --json FILE too")
    thresholds = read_thresholds(arguments.thresholds) if arguments.thresholds is not None else Thresholds()
    if not arguments.dumps.is_dir():
        what = "is a file, not a folder" if arguments.dumps.exists() else "does not exist"
        raise UsageError(f"{arguments.dumps}: dump folder {what}", hint="the dumps come first, the reference second")
    from rkparity.cli.references import open_golden, open_model, open_reference

    model = open_model(arguments.model)
    reference, golden = open_reference(arguments.reference, model)
    if arguments.golden is not None:
        golden = open_golden(arguments.golden, model)

    from rkparity.compare.verdict import Verdict
    from rkparity.diagnose.explain_outputs import with_erased_outputs, with_run_outputs
    from rkparity.flow.local_run import Judging, compare_with_local
    from rkparity.report.terminal import print_comparison

    judging = Judging(reference, model, golden, thresholds, arguments.per_channel)
    comparison = compare_with_local(arguments.dumps, judging, local_settings(arguments))
    comparison = with_run_outputs(comparison, arguments.dumps, reference, model)
    comparison = with_erased_outputs(comparison, reference, golden, model)
    if arguments.json is not None:
        from rkparity.compare.result_json import write_json

        write_json(comparison, arguments.json)
    if is_standard_output(arguments.json):
        return int(comparison.exit_code)
    print_comparison(comparison, every_layer=arguments.all)
    lost = any(item.reason == "not-finite" for item in comparison.incomplete)
    if (comparison.verdict is Verdict.FAIL or lost) and not arguments.no_diagnosis:
        _diagnose(comparison, arguments.dumps, reference, golden, model)
    if arguments.json is not None:
        print(f"JSON: {arguments.json}")
    return int(comparison.exit_code)


def _diagnose(
    comparison: Comparison, dumps: Path, reference: TensorSource, golden: TensorSource | None, model: Model | None
) -> None:
    """Names the cause of what diverges, as far as dumps and reference tell."""
    from rkparity.diagnose.diagnose import Material, diagnose_comparison
    from rkparity.report.diagnosis import print_diagnosis
    from rkparity.trace import find_traces, read_trace

    found = find_traces(dumps)
    try:
        # A run of `rkparity run-app` holds the trace of its program.
        material = Material(golden=golden, model=model, traces=tuple(read_trace(path) for path in found))
        diagnosis = diagnose_comparison(comparison, dumps, reference, material)
    except RkparityError as error:
        # The comparison stands, whatever its explanation stumbles over.
        print(f"no diagnosis: {error.message}")
        return
    if diagnosis.findings:
        print("\ndiagnosis (rkparity diagnose says more):\n")
        print_diagnosis(diagnosis, headline=False)
    if found:
        print(f"what the program's calls say: rkparity lint {dumps}")


def main() -> int:
    """Entry point of the command `compare-dumps`."""
    import sys

    from rkparity.cli.main import run_command
    from rkparity.cli.registry import COMMANDS

    command = next(command for command in COMMANDS if command.name == "compare-dumps")
    return run_command(command, sys.argv[1:], prog="compare-dumps")


if __name__ == "__main__":
    raise SystemExit(main())

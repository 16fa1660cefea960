"""Says what an application does wrong with librknnrt, from the trace of its calls that the validation layer wrote.

The argument is a trace file, a folder of traces, or a run of `rkparity run-app` (its log is read, too). With the
compiled model more can be said about normalisation and versions; with a run of the simulator or the board on the same
picture, whether the application gave the same input. Exit codes: 0 no error found (warnings may be), 1 errors found,
2 usage, 3 damaged data.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("path", type=Path, nargs="?", metavar="TRACE|RUN", help="trace file, folder of traces, or run")
    parser.add_argument("--model", type=Path, metavar="M.rknn", help="the compiled model the program runs")
    parser.add_argument(
        "--reference", type=Path, metavar="RUN", help="a run of the same picture whose input is the right one"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the result as JSON (- for standard output)"
    )
    parser.add_argument("--list-rules", action="store_true", help="print the table of rules and end")


def run(arguments: argparse.Namespace) -> int:
    """Lints and prints; 1 when there is an error."""
    from rkparity.errors import ExitCode, UsageError
    from rkparity.lint import RULES, lint
    from rkparity.lint.reference import read_reference
    from rkparity.model import read_model

    if arguments.list_rules:
        for rule in RULES:
            print(f"{rule.id:<30} {rule.severity.value:<8} {rule.title} [{rule.reference}]")
        return 0
    if arguments.path is None:
        raise UsageError("no trace was named", hint="rkparity lint TRACE|RUN")
    model = read_model(arguments.model) if arguments.model is not None else None
    reference = read_reference(arguments.reference, model) if arguments.reference is not None else None
    result = lint(arguments.path, model=model, reference=reference)
    if arguments.json is not None:
        _write_json(result, arguments.json)
    if arguments.json is None or str(arguments.json) != "-":
        from rkparity.report.lint_view import print_lint

        print_lint(result)
    return int(ExitCode.DIVERGENCE if result.has_errors else ExitCode.PASS)


def _write_json(result: object, target: Path) -> None:
    from typing import cast

    from rkparity.io import json_text, write_text
    from rkparity.lint import Lint
    from rkparity.lint.result_json import to_json

    text = json_text(to_json(cast(Lint, result)))
    if str(target) == "-":
        print(text, end="")
        return
    write_text(target, text)

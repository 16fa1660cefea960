"""Says what an application does wrong with librknnrt, from the trace of its calls that the validation layer wrote.

The argument is a trace file, a folder of traces, or a run of `rkparity run-app` (its log is read, too). With the
compiled model more can be said about normalisation and versions; with a run of the simulator or the board on the same
picture, whether the application gave the same input. Exit codes: 0 no error found (warnings may be), 1 errors found,
2 usage, 3 damaged data.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rkparity.lint.reference import Reference
    from rkparity.model import Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "path", type=Path, nargs="?", metavar="TRACE|RUN|LOG", help="trace file, folder of traces, run, or log"
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="M.rknn",
        help="the compiled model the program runs; once for each model",
    )
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="[M.rknn=]RUN",
        help="a run of the same picture whose input is the right one; several: one for each --model, which the run "
        "names itself when it was made of that .rknn",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the result as JSON (- for standard output)"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE of --json if it exists")
    parser.add_argument("--list-rules", action="store_true", help="print the table of rules and end")


def run(arguments: argparse.Namespace) -> int:
    """Lints and prints; 1 when there is an error."""
    from rkparity.errors import ExitCode, UsageError
    from rkparity.io import check_output
    from rkparity.lint import RULES, lint
    from rkparity.model import read_model

    if arguments.list_rules:
        for rule in RULES:
            print(f"{rule.id:<30} {rule.severity.value:<8} {rule.title} [{rule.reference}]")
        return 0
    if arguments.json is not None:
        check_output(arguments.json, force=arguments.force, option="--json")
    if arguments.path is None:
        raise UsageError("no trace was named", hint="rkparity lint TRACE|RUN")
    models = [read_model(path) for path in arguments.model]
    references = [_reference(text, models) for text in arguments.reference]
    owners = [None if model is None else model.sha256 for model, _ in references]
    if len(set(owners)) != len(owners) or (None in owners and len(owners) > 1):
        raise UsageError(
            "it is not clear which --reference belongs to which --model",
            hint="write --reference M.rknn=RUN, once for each model",
        )
    result = lint(arguments.path, models=models, references=references)
    if arguments.json is not None:
        _write_json(result, arguments.json)
    if arguments.json is None or str(arguments.json) != "-":
        from rkparity.report.lint_view import print_lint

        print_lint(result)
    return int(ExitCode.DIVERGENCE if result.has_errors else ExitCode.PASS)


def _reference(text: str, models: Sequence[Model]) -> tuple[Model | None, Reference]:
    """The run, and the model it is for: the named one, the one it was made of, or the only one."""
    from rkparity.errors import UsageError
    from rkparity.lint.reference import read_reference
    from rkparity.runs import RunReader

    name, equals, rest = text.partition("=")
    if equals and not Path(text).exists():
        named = [model for model in models if name in (str(model.path), model.path.name)]
        if len(named) != 1:
            raise UsageError(f"--reference {text}: {name} is none of the --model files", hint="add --model " + name)
        return named[0], read_reference(Path(rest), named[0])
    sha256 = RunReader.open(Path(text)).manifest.model.sha256
    made_of = [model for model in models if model.sha256 == sha256]
    if len(models) == 1:
        return None, read_reference(Path(text), models[0])
    return (made_of[0], read_reference(Path(text), made_of[0])) if made_of else (None, read_reference(Path(text), None))


def _write_json(result: object, target: Path) -> None:
    from typing import cast

    from rkparity.io import json_text, write_output
    from rkparity.lint import Lint
    from rkparity.lint.result_json import to_json

    write_output(target, json_text(to_json(cast(Lint, result))))

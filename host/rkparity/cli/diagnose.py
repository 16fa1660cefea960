"""Name the cause of a divergence and what to change in the program.

RUN is a board or application run, or a folder of dump files; REFERENCE is what `rkparity simulate` wrote, one of its
runs, or a toolkit snapshot. With --repeat two or more runs of one model are compared with each other instead: the same
input must give the same result, different inputs must not. docs/diagnose.md lists what is found, docs/diagnosis-json.md
describes the JSON.

Exit codes: 0 nothing wrong was found, 1 something is wrong, 2 usage, 3 damaged or missing data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.cli.options import add_local_options, local_settings
from rkparity.errors import UsageError
from rkparity.io import check_new_folder, is_standard_output

if TYPE_CHECKING:
    from rkparity.diagnose.diagnose import Diagnosis


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "run", metavar="RUN", type=Path, nargs="?", help="board or application run, folder of dumps, or a log alone"
    )
    parser.add_argument(
        "reference", metavar="REFERENCE", type=Path, nargs="?", help="simulator run, or toolkit snapshot"
    )
    parser.add_argument("--repeat", metavar="RUN", type=Path, nargs="+", help="compare these runs with each other")
    parser.add_argument("--model", metavar="M.rknn", type=Path, help="the compiled model that ran")
    parser.add_argument("--golden", metavar="RUN", type=Path, help="float run (found by itself beside the simulator's)")
    parser.add_argument(
        "--trace", metavar="PATH", type=Path, help="trace of the program's calls, or a folder of traces"
    )
    parser.add_argument("--picture", metavar="FILE", type=Path, help="the original picture: .npy, or PNG/JPEG (RGB)")
    parser.add_argument("--resimulated", metavar="RUN", type=Path, help="what `rkparity resimulate` made of RUN")
    parser.add_argument(
        "--app-output",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="an output as the program has it (.npy .f32 .f16 .i8 .u8); once per model output, in the model's order",
    )
    parser.add_argument("--thresholds", metavar="FILE", type=Path, help="TOML file with limits (docs/thresholds.md)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the diagnosis as JSON")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="folder for diagnosis.json and pictures")
    parser.add_argument("--force", action="store_true", help="replace FILE of --json and use FOLDER if they exist")
    add_local_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Diagnoses, prints, writes; returns the exit code."""
    if _is_bare_log(arguments):
        return _diagnose_log(arguments)
    _check(arguments)
    if arguments.repeat:
        from rkparity.diagnose.diagnose import diagnose_repeats

        diagnosis = diagnose_repeats(arguments.repeat)
    else:
        diagnosis = _diagnose(arguments)
    from rkparity.report.diagnosis import print_diagnosis

    _write(diagnosis, arguments)
    if is_standard_output(arguments.json):
        return int(diagnosis.exit_code)
    print_diagnosis(diagnosis)
    for path in (arguments.json, arguments.output):
        if path is not None:
            print(f"written: {path}")
    return int(diagnosis.exit_code)


def _is_bare_log(arguments: argparse.Namespace) -> bool:
    from rkparity.lint.bare_log import is_log

    return arguments.run is not None and arguments.reference is None and not arguments.repeat and is_log(arguments.run)


def _diagnose_log(arguments: argparse.Namespace) -> int:
    """What a log alone says: the lint's findings about its lines, and what it cannot say."""
    from rkparity.cli import lint

    for option in ("trace", "picture", "resimulated", "golden", "output"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} needs a run, {arguments.run} is a log", hint="give RUN and REFERENCE")
    models = [arguments.model] if arguments.model is not None else []
    given = argparse.Namespace(
        path=arguments.run, model=models, reference=[], json=arguments.json, force=arguments.force, list_rules=False
    )
    return lint.run(given)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.repeat:
        if arguments.run is not None:
            raise UsageError("--repeat takes the runs itself", hint="rkparity diagnose --repeat RUN1 RUN2 ...")
    elif arguments.run is None or arguments.reference is None:
        raise UsageError("give RUN and REFERENCE, or --repeat RUN1 RUN2 ...")
    if arguments.json is not None:
        from rkparity.compare.result_json import check_writable

        check_writable(arguments.json, force=arguments.force)
    folder = arguments.output
    if folder is not None:
        check_new_folder(folder, force=arguments.force)


def _diagnose(arguments: argparse.Namespace) -> Diagnosis:
    from rkparity.cli.references import open_golden, open_model, open_reference
    from rkparity.compare.thresholds import Thresholds, read_thresholds
    from rkparity.diagnose.diagnose import Material, diagnose
    from rkparity.diagnose.picture import read_picture
    from rkparity.runs import RunReader

    if not arguments.run.is_dir():
        what = "is a file, not a folder" if arguments.run.exists() else "does not exist"
        raise UsageError(f"{arguments.run}: {what}", hint="give a run, or a folder of dump files")
    model = open_model(arguments.model)
    reference, golden = open_reference(arguments.reference, model)
    if arguments.golden is not None:
        golden = open_golden(arguments.golden, model)
    from rkparity.trace import find_traces, read_trace

    # A run of `rkparity run-app` holds the trace of its program.
    found = find_traces(arguments.trace if arguments.trace is not None else arguments.run)
    if arguments.trace is not None and not found:
        raise UsageError(f"{arguments.trace}: holds no trace (rkparity-PID.jsonl)", hint="see docs/trace.md")
    traces = tuple(read_trace(path) for path in found)
    if arguments.output is not None:
        try:
            arguments.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{arguments.output}: cannot be made: {error.strerror}") from error
    material = Material(
        golden=golden,
        model=model,
        traces=traces,
        picture=read_picture(arguments.picture) if arguments.picture is not None else None,
        resimulated=RunReader.open(arguments.resimulated) if arguments.resimulated is not None else None,
        outputs=tuple(arguments.app_output),
        folder=arguments.output,
        thresholds=read_thresholds(arguments.thresholds) if arguments.thresholds is not None else Thresholds(),
    )
    if material.resimulated is not None:
        return diagnose(arguments.run, reference, material)
    from rkparity.diagnose.diagnose import diagnose_comparison
    from rkparity.flow.local_run import Judging, compare_with_local

    judging = Judging(reference, model, golden, material.thresholds)
    comparison = compare_with_local(arguments.run, judging, local_settings(arguments))
    return diagnose_comparison(comparison, arguments.run, reference, material)


def _write(diagnosis: Diagnosis, arguments: argparse.Namespace) -> None:
    from rkparity.compare.result_json import write_document

    if arguments.json is not None:
        write_document(diagnosis.to_json(), arguments.json)
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        write_document(diagnosis.to_json(), arguments.output / "diagnosis.json")

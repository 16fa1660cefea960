"""Writes rkparity.toml, the one file `rkparity check` needs.

MODEL is a source model (ONNX, ...) or a .rknn made by `rkparity build` (its build record says how). On a terminal it
asks for what is not given by options; elsewhere it takes what the options say.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from rkparity.errors import ExitCode, UsageError
from rkparity.toolkit.build_options import add_build_options, has_build_options, spec_from_arguments
from rkparity.toolkit.spec import BuildSpec


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="source model, or a .rknn with its record")
    parser.add_argument("--spec", type=Path, metavar="FILE", help="build options as JSON, or a build record")
    parser.add_argument("--input", action="append", default=[], type=Path, metavar="FILE", help="sample, one per input")
    parser.add_argument(
        "--more",
        action="append",
        default=[],
        metavar="FILES",
        help="a further sample to measure accuracy on: a file per model input, comma-separated; may be repeated",
    )
    parser.add_argument("--layout", choices=("nhwc", "nchw"), help="of 4-D .npy samples")
    parser.add_argument(
        "--original-input",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="what the original model is fed for that sample (.npy)",
    )
    parser.add_argument(
        "--original-output", action="append", default=[], type=Path, metavar="FILE", help="what the original answers"
    )
    parser.add_argument("--board", metavar="BOARD", help="as for the other commands, or virtual")
    parser.add_argument(
        "--application", metavar="COMMAND", help="your program on the board, such as './app {model} {input}'"
    )
    parser.add_argument(
        "--upload", action="append", default=[], type=Path, metavar="FILE", help="copied to the board with it"
    )
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="for the search of quantisation settings")
    parser.add_argument("-o", "--output", type=Path, default=Path("rkparity.toml"), metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument("--no-input", action="store_true", help="never ask")
    add_build_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Asks where it may, writes the file, checks that it reads back."""
    from rkparity.flow.project_file import Answers, project_text, write_project
    from rkparity.project import read_project

    asks = sys.stdin.isatty() and not arguments.no_input
    spec, rknn = _spec(arguments, asks)
    inputs = list(arguments.input)
    if not inputs and asks:
        inputs = _paths("one input sample before mean and std, a file per model input (.npy or picture)")
    if not inputs:
        raise UsageError("no sample was given", hint="--input FILE, once per model input")
    if asks:
        spec = _asked(arguments, spec)
    originals = list(arguments.original_input)
    if not originals and not arguments.original_output and asks:
        originals = _paths("what your script feeds the original model for this sample (.npy; empty if unknown)")
    board = arguments.board
    if board is None and asks:
        board = input("board ([user@]host[:port], virtual, empty for none): ").strip() or None
    more = tuple(tuple(Path(name) for name in text.split(",") if name) for text in arguments.more)
    uploads = tuple(arguments.upload)
    for path in [*inputs, *sum(more, ()), *originals, *arguments.original_output, *uploads]:
        if not path.is_file():
            raise UsageError(f"{path}: is not a file")
    answers = Answers(
        spec,
        tuple(inputs),
        arguments.layout,
        tuple(originals),
        tuple(arguments.original_output),
        rknn,
        board,
        more,
        tuple(shlex.split(arguments.application or "")),
        uploads,
        arguments.budget,
    )
    target = arguments.output / "rkparity.toml" if arguments.output.is_dir() else arguments.output
    write_project(target, project_text(answers, target.resolve().parent), force=arguments.force)
    project = read_project(target.resolve())
    print(f"{target}: written; {project.model.framework} model {project.model.file.name}")
    print("next: rkparity check" + ("" if target.name == "rkparity.toml" else f" --project {target}"))
    return int(ExitCode.PASS)


def _spec(arguments: argparse.Namespace, asks: bool) -> tuple[BuildSpec, Path | None]:
    from rkparity.toolkit.build_record import read_build_record, read_spec

    if arguments.spec is not None:
        return read_spec(arguments.spec), None
    model = arguments.model
    if model is None and asks:
        model = Path(input("model (ONNX or another source model, or a .rknn of `rkparity build`): ").strip())
    if model is None:
        raise UsageError("no model was given", hint="rkparity init MODEL --input FILE")
    if not model.is_file():
        raise UsageError(f"{model}: is not a file")
    if model.suffix != ".rknn":
        return spec_from_arguments(arguments, model), None
    if has_build_options(arguments):
        raise UsageError("build options are for a source model; a .rknn brings its own", hint="leave them out")
    return read_build_record(model).spec, model


def _asked(arguments: argparse.Namespace, spec: BuildSpec) -> BuildSpec:
    """The spec with mean, std, target and dataset asked for where no option gave them."""
    if arguments.spec is not None or has_build_options(arguments):
        return spec
    mean = _numbers("mean per channel, as for pixels of 0 to 255 (empty for none)")
    std = _numbers("std per channel (empty for none)")
    target = input(f"target platform [{spec.target_platform}]: ").strip() or spec.target_platform
    dataset = input("calibration list for int8, one sample a line (empty to stay with FP16): ").strip()
    return replace(
        spec,
        mean_values=(mean,) if mean else spec.mean_values,
        std_values=(std,) if std else spec.std_values,
        target_platform=target,
        do_quantization=bool(dataset) or spec.do_quantization,
        dataset=dataset or spec.dataset,
    )


def _paths(question: str) -> list[Path]:
    return [Path(name) for name in input(f"{question}: ").replace(",", " ").split()]


def _numbers(question: str) -> tuple[float, ...]:
    text = input(f"{question}: ").strip()
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise UsageError(f"{text!r}: must be numbers separated by commas") from None

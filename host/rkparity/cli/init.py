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
from typing import TYPE_CHECKING

from rkparity.cli.options import (
    add_build_options,
    add_toolkit_options,
    has_build_options,
    spec_from_arguments,
)
from rkparity.cli.questions import ask, existing_files, numbers, one_file, some_files
from rkparity.errors import ExitCode, ToolkitError, UsageError
from rkparity.io import check_new_file
from rkparity.toolkit.spec import BuildSpec, Framework

if TYPE_CHECKING:
    from rkparity.flow.project_file import Answers
    from rkparity.project import Project


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
    parser.add_argument("--resize", action="store_true", help="stretch a sample's picture to the model's size")
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
    add_toolkit_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Asks where it may, writes the file, checks that it reads back."""
    from rkparity.flow.project_file import Answers, project_text, write_project
    from rkparity.project import read_project

    asks = sys.stdin.isatty() and not arguments.no_input
    spec, rknn = _spec(arguments, asks)
    inputs = list(arguments.input)
    if not inputs and asks:
        inputs = ask("one input sample before mean and std, a file per model input (.npy or picture)", some_files)
    if not inputs:
        raise UsageError("no sample was given", hint="--input FILE, once per model input")
    if asks:
        spec = _asked(arguments, spec)
    originals = list(arguments.original_input)
    if not originals and not arguments.original_output and asks:
        originals = ask(
            "what your script feeds the original model for this sample (.npy; empty if unknown)", existing_files
        )
    board = arguments.board
    if board is None and asks:
        board = ask("board ([user@]host[:port], virtual, empty for none)", str) or None
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
        arguments.resize,
    )
    target = arguments.output / "rkparity.toml" if arguments.output.is_dir() else arguments.output
    folder = target.resolve().parent
    check_new_file(target, force=arguments.force)
    _check_samples(answers, arguments.toolkit_python)
    write_project(target, project_text(answers, folder), force=arguments.force)
    project = read_project(target.resolve())
    shaped = _shaped(project, arguments.toolkit_python)
    if shaped is not None:
        write_project(target, project_text(replace(answers, spec=shaped), folder), force=True)
        sizes = ", ".join("x".join(map(str, shape)) for shape in shaped.input_size_list)
        print(f"input_size_list: {sizes}, from the sample, as the model leaves dimensions open")
    print(f"{target}: written; {project.model.framework} model {project.model.file.name}")
    print("next: rkparity check" + ("" if target.name == "rkparity.toml" else f" --project {target}"))
    return int(ExitCode.PASS)


def _check_samples(answers: Answers, toolkit_python: Path | None) -> None:
    """UsageError for a sample that the model cannot take; without the toolkit `rkparity check` says it."""
    from rkparity.flow.sample_check import check_sample
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.worker_client import Worker

    try:
        python = find_toolkit_python(toolkit_python)
    except ToolkitError:
        return
    with Worker(python) as worker:
        for files in (answers.inputs, *answers.more):
            check_sample(worker, answers.spec, files, resize=answers.resize)


def _shaped(project: Project, toolkit_python: Path | None) -> BuildSpec | None:
    """The build with the sizes the model leaves open taken from the sample; None where that is not needed.

    It also is None without the toolkit, whose environment reads ONNX files; `rkparity check` says what is missing.
    """
    from rkparity.flow.fp16.structure import check_structure
    from rkparity.original.engine import describe_onnx
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.worker_client import Worker

    if project.model.framework != "onnx" or project.model.input_size_list:
        return None
    try:
        python = find_toolkit_python(toolkit_python)
    except ToolkitError:
        return None
    with Worker(python) as worker:
        try:
            graph = describe_onnx(worker, project.model.file)
        except ToolkitError as error:
            print(f"note: the model could not be looked into: {error.message}")
            return None
        if not any(value.is_dynamic for value in graph.inputs):
            return None
        spec = project.build_spec(do_quantization=project.build.do_quantization)
        shaped = check_structure(project, spec, graph, worker.scratch / "batched").spec
    for value, shape in zip(graph.inputs, shaped.input_size_list):
        if any(size is None and got == 1 for size, got in list(zip(value.shape, shape))[1:]):
            # A picture does not say at which size the model is to run.
            print(f"note: the model leaves sizes of {value.name} open: name them with --inputs and --input-size")
            return None
    return shaped if shaped.input_size_list else None


def _spec(arguments: argparse.Namespace, asks: bool) -> tuple[BuildSpec, Path | None]:
    from rkparity.toolkit.build_record import read_build_record, read_spec

    if arguments.spec is not None:
        return read_spec(arguments.spec), None
    model = arguments.model
    if model is None and asks:
        model = ask("model (ONNX or another source model, or a .rknn of `rkparity build`)", one_file)
    if model is None:
        raise UsageError("no model was given", hint="rkparity init MODEL --input FILE")
    if not model.is_file():
        raise UsageError(f"{model}: is not a file")
    if model.suffix != ".rknn":
        return spec_from_arguments(arguments, model), None
    if has_build_options(arguments):
        raise UsageError("build options are for a source model; a .rknn brings its own", hint="leave them out")
    spec = read_build_record(model).spec
    if spec.framework is Framework.HYBRID:
        raise UsageError(
            f"{model}: was built from step 1 of hybrid quantisation, which has no original to compare with",
            hint=f'run `rkparity init` on the source model, then add rknn = "{model}" to [model]',
        )
    return spec, model


def _asked(arguments: argparse.Namespace, spec: BuildSpec) -> BuildSpec:
    """The spec with mean, std, target and dataset asked for where no option gave them."""
    if arguments.spec is not None or has_build_options(arguments):
        return spec
    mean = ask("mean per channel, as for pixels of 0 to 255 (empty for none)", numbers)
    std = ask("std per channel (empty for none)", numbers)
    target = ask(f"target platform [{spec.target_platform}]", str) or spec.target_platform
    listed = ask("calibration list for int8, one sample a line (empty to stay with FP16)", existing_files)
    dataset = str(listed[0]) if listed else None
    return replace(
        spec,
        mean_values=(mean,) if mean else spec.mean_values,
        std_values=(std,) if std else spec.std_values,
        target_platform=target,
        do_quantization=dataset is not None or spec.do_quantization,
        dataset=dataset or spec.dataset,
    )

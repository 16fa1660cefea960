"""Convert a model to .rknn with rknn-toolkit2, and write M.rknn.build.json beside it, so that it can be simulated
again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.cli.options import (
    add_build_options,
    add_toolkit_options,
    has_build_options,
    spec_from_arguments,
)
from rkparity.errors import ExitCode, UsageError
from rkparity.io import check_new_file

if TYPE_CHECKING:
    from rkparity.toolkit.built_model import BuiltModel


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="source model, such as model.onnx")
    parser.add_argument("--spec", type=Path, metavar="FILE", help="build options as JSON instead of the options below")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="M.rknn")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    add_toolkit_options(parser)
    add_build_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Builds, exports, prints what came out."""
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.build import build_model
    from rkparity.toolkit.build_record import read_spec, write_build_record
    from rkparity.toolkit.worker_client import Worker

    if (arguments.model is None) == (arguments.spec is None):
        raise UsageError("give a source model or --spec, and not both")
    if arguments.spec is not None and has_build_options(arguments):
        raise UsageError("--spec and build options contradict each other", hint="put the options into the file")
    output: Path = arguments.output
    check_new_file(output, force=arguments.force)
    spec = read_spec(arguments.spec) if arguments.spec is not None else spec_from_arguments(arguments, arguments.model)
    spec.check()
    with Worker(find_toolkit_python(arguments.toolkit_python), timeout_s=arguments.timeout) as worker:
        built = build_model(worker, spec, export=output)
    record = write_build_record(built)
    print(
        f"{output}: {output.stat().st_size} bytes, {_arithmetic(built)} for {built.spec.target_platform}, "
        f"rknn-toolkit2 {built.toolkit_version}"
    )
    for note in built.notes:
        print(f"  warning: {note}")
    for item in built.inputs:
        print(f"  input  {item.name}  {'x'.join(str(size) for size in item.shape)} {item.dtype}")
    for name in built.outputs:
        print(f"  output {name}")
    print(f"{record}: how it was built")
    return int(ExitCode.PASS)


def _arithmetic(built: BuiltModel) -> str:
    return "hybrid (quantised, some layers in float)" if built.spec.hybrid is not None else built.precision.value

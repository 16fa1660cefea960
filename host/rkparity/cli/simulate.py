"""Run rknn-toolkit2's simulator on an input and keep every layer's tensor: OUT/golden (float32) and OUT/simulator
(FP16 or quantised), two runs. MODEL is a .rknn made by `rkparity build` (it is built again from its build record), or
a source model with the build options."""

from __future__ import annotations

import argparse
from pathlib import Path

from rkparity.cli.options import (
    add_build_options,
    add_toolkit_options,
    has_build_options,
    spec_from_arguments,
)
from rkparity.errors import ExitCode, UsageError
from rkparity.io import check_folder_name, check_new_folder
from rkparity.runs.manifest import ModelRecord
from rkparity.toolkit.spec import BuildSpec


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "model", nargs="?", type=Path, metavar="MODEL", help="M.rknn with its build record, or a source model"
    )
    parser.add_argument("--spec", type=Path, metavar="FILE", help="build options as JSON, or a build record")
    parser.add_argument(
        "--input",
        action="append",
        required=True,
        type=Path,
        metavar="FILE",
        help=".npy or picture; once per model input, in the model's order",
    )
    parser.add_argument("--layout", choices=("nhwc", "nchw"), help="of 4-D .npy inputs, where their shape does not say")
    parser.add_argument("--resize", action="store_true", help="stretch a picture to the model's size")
    parser.add_argument(
        "--snapshot",
        choices=("fast", "toolkit"),
        help="fast: write each tensor once; toolkit: its own snapshot, then import it (default: fast if it fits)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--force", action="store_true", help="replace existing runs")
    add_toolkit_options(parser)
    add_build_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Builds, simulates, prints where the runs are."""
    from rkparity.flow.sample_check import check_sample
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.build import build_model
    from rkparity.toolkit.build_record import read_build_record
    from rkparity.toolkit.inputs import prepare_inputs
    from rkparity.toolkit.rebuild import rebuild
    from rkparity.toolkit.simulate import GOLDEN_NAME, SIMULATOR_NAME, simulate
    from rkparity.toolkit.worker_client import Worker

    if (arguments.model is None) == (arguments.spec is None):
        raise UsageError("give MODEL or --spec, and not both")
    check_folder_name(arguments.output)
    for name in (GOLDEN_NAME, SIMULATOR_NAME):
        check_new_folder(arguments.output / name, force=arguments.force)
    python = find_toolkit_python(arguments.toolkit_python)
    is_rknn = arguments.model is not None and arguments.model.suffix == ".rknn"
    if (is_rknn or arguments.spec is not None) and has_build_options(arguments):
        raise UsageError(
            "build options are for a source model; a .rknn or --spec brings its own",
            hint="leave them out, or give the source model",
        )
    spec = None if is_rknn else _spec(arguments)
    asked = read_build_record(arguments.model).spec if spec is None else spec
    asked.check()
    with Worker(python, timeout_s=arguments.timeout) as worker:
        check_sample(worker, asked, arguments.input, resize=arguments.resize)
        record: ModelRecord | None = None
        notes: tuple[str, ...] = ()
        if spec is None:
            built, record, notes = rebuild(worker, arguments.model)
        else:
            built = build_model(worker, spec)
            notes = built.notes
        inputs = prepare_inputs(
            arguments.input,
            built.inputs,
            worker,
            worker.scratch / "inputs",
            layout=arguments.layout,
            resize=arguments.resize,
        )
        fast = None if arguments.snapshot is None else arguments.snapshot == "fast"
        result = simulate(
            worker, built, inputs, arguments.output, model=record, fast=fast, force=arguments.force, notes=notes
        )
    for item in inputs:
        print(f"input {item.name}: {item.raw.dtype.name} {'x'.join(map(str, item.raw.shape))} {item.layout}")
    for warning in result.simulator.manifest.warnings:
        print(f"warning: {warning}")
    blank = sum(1 for tensor in result.simulator.manifest.tensors if tensor.not_comparable)
    for reader in (result.golden, result.simulator):
        if reader is None:
            continue
        print(f"{reader.path}: {len(reader.manifest.tensors)} tensors, {reader.manifest.precision.value}")
    if blank:
        print(f"  {blank} of them not comparable in the simulator (the manifest says why)")
    return int(ExitCode.PASS)


def _spec(arguments: argparse.Namespace) -> BuildSpec:
    from rkparity.toolkit.build_record import read_spec

    return read_spec(arguments.spec) if arguments.spec is not None else spec_from_arguments(arguments, arguments.model)

"""The sample a command is given: the same files, options and meaning in `simulate`, `run` and `run-app`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import UsageError

if TYPE_CHECKING:
    from rkparity.model import Model
    from rkparity.toolkit.built_model import GraphInput


@dataclass(frozen=True)
class SampleFile:
    """One input of the sample; `data_layout` is "NHWC" or "NCHW" where it is known."""

    path: Path
    data_layout: str | None = None


def add_sample_options(parser: argparse.ArgumentParser) -> None:
    """Adds --input, --input-from, --layout and --resize."""
    group = parser.add_argument_group("the sample, as simulate takes it")
    group.add_argument(
        "--input",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        dest="inputs",
        help=".npy (NHWC or NCHW) or picture; once for each input of the model, in its order",
    )
    group.add_argument(
        "--input-from",
        type=Path,
        metavar="RUN",
        help="the inputs of that run (the output of simulate, or a run)",
    )
    group.add_argument("--layout", choices=("nhwc", "nchw"), help="of 4-D .npy inputs, where their shape does not say")
    group.add_argument("--resize", action="store_true", help="stretch a picture to the model's size")


def has_sample(arguments: argparse.Namespace) -> bool:
    """Whether a sample was named; UsageError when it was in two ways."""
    if arguments.inputs and arguments.input_from is not None:
        raise UsageError("--input and --input-from exclude each other", hint="give one of them")
    return bool(arguments.inputs) or arguments.input_from is not None


def sample_files(
    arguments: argparse.Namespace, model: Model, folder: Path
) -> tuple[tuple[SampleFile, ...], tuple[str, ...]]:
    """The sample's files, pictures decoded into `folder`, and notes for people.

    Pictures are read by the toolkit's environment, as `simulate` does: RGB, or BGR where the model was built with
    quant_img_RGB2BGR. Raises UsageError, ToolkitError when pictures are given and there is no toolkit.
    """
    if arguments.input_from is not None:
        return _of_run(arguments.input_from), ()
    layout = None if arguments.layout is None else arguments.layout.upper()
    from rkparity.toolkit.inputs import is_picture

    if not any(is_picture(path) for path in arguments.inputs):
        return tuple(SampleFile(path, layout) for path in arguments.inputs), ()
    return _with_pictures(arguments, model, folder, layout)


def _with_pictures(
    arguments: argparse.Namespace, model: Model, folder: Path, layout: str | None
) -> tuple[tuple[SampleFile, ...], tuple[str, ...]]:
    from rkparity.toolkit.bootstrap import find_toolkit_python
    from rkparity.toolkit.inputs import at_shapes, is_picture, read_picture
    from rkparity.toolkit.worker_client import Worker

    graph = _graph(model)
    if len(arguments.inputs) != len(graph):
        raise UsageError(
            f"{len(arguments.inputs)} input files for a model with {len(graph)} inputs",
            hint="give --input once per model input: " + ", ".join(item.name for item in graph),
        )
    files: list[SampleFile] = []
    notes: list[str] = []
    shaped = at_shapes(arguments.inputs, graph, arguments.layout)
    with Worker(find_toolkit_python(arguments.toolkit_python)) as worker:
        for index, (path, item) in enumerate(zip(arguments.inputs, shaped)):
            if not is_picture(path):
                files.append(SampleFile(path, layout))
                continue
            target = folder / f"{path.stem}-{index}.picture.npy"
            decoded, said = read_picture(path, item, worker, target, resize=arguments.resize)
            files.append(SampleFile(decoded, "NHWC"))
            notes += said
    return tuple(files), tuple(notes)


def _graph(model: Model) -> list[GraphInput]:
    """The compiled model's inputs as those of a build."""
    from rkparity.toolkit.built_model import GraphInput

    known = {item.name: item for item in model.normalization}
    found = []
    for place, tensor in enumerate(model.input_tensors):
        item = known.get(tensor.name)
        shapes = tuple(graph.input_shapes[place] for graph in model.graphs) if model.is_dynamic else ()
        bgr = item is not None and item.rgb2bgr
        found.append(GraphInput(tensor.name, tensor.shape, tensor.dtype, "nchw", (), (), bgr, shapes))
    return found


def _of_run(path: Path) -> tuple[SampleFile, ...]:
    """The raw inputs of a run, or of the simulator's in a folder that `simulate` wrote."""
    from rkparity.runs import InputForm, RunReader
    from rkparity.runs.manifest import MANIFEST_NAME

    found = next((item for item in (path, path / "simulator") if (item / MANIFEST_NAME).is_file()), None)
    if found is None:
        raise UsageError(
            f"--input-from {path}: is no run", hint="give what `rkparity simulate` or `rkparity run` wrote"
        )
    reader = RunReader.open(found)
    inputs = reader.manifest.inputs
    if not inputs or any(item.file is None or item.form is not InputForm.RAW for item in inputs):
        raise UsageError(
            f"--input-from {path}: the run does not hold its inputs as they were given",
            hint="runs of `simulate` and `run` do; else give the files with --input",
        )
    layouts = [item.layout if item.layout in ("NHWC", "NCHW") else None for item in inputs]
    return tuple(SampleFile(reader.file(item.file or ""), layout) for item, layout in zip(inputs, layouts))


@dataclass(frozen=True)
class ProgramSample:
    """The sample as a program of the user's gets it: its arguments, and the files they name."""

    argv: tuple[str, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


NPY_PLACE, BYTES_PLACE = "{input}", "{input:bin}"


def sample_for_program(
    arguments: argparse.Namespace, program: Sequence[str], model: Model | None, folder: Path, *, here: bool
) -> ProgramSample:
    """Fills `{input}` (one .npy for each input) and `{input:bin}` (its bytes alone) in a program's arguments.

    The values are as `rkparity run` gives them to the runtime: 4-D in NHWC. `here`: the program runs on this machine
    and gets paths; else names beside it. UsageError when there is no model, or no place for the sample.
    """
    from rkparity.board.runs.job import InputFile
    from rkparity.board.runs.samples import for_runtime
    from rkparity.runs import write_npy

    if model is None:
        raise UsageError("--input and --input-from need the model's shapes", hint="name it with --model M.rknn")
    if NPY_PLACE not in program and BYTES_PLACE not in program:
        raise UsageError(
            "the sample has no place among the program's arguments",
            hint=f"write {NPY_PLACE} (.npy files) or {BYTES_PLACE} (their bytes alone) where the program expects it",
        )
    files, notes = sample_files(arguments, model, folder)
    given = [InputFile(file.path, data_layout=file.data_layout) for file in files]
    for item in given:
        item.check()
    model = model.for_input_shapes([item.shape() for item in given]) if model.is_dynamic else model
    prepared, said = for_runtime(given, model, folder)
    places: dict[str, list[Path]] = {NPY_PLACE: [], BYTES_PLACE: []}
    for index, item in enumerate(prepared):
        values = item.load()
        if NPY_PLACE in program:
            places[NPY_PLACE].append(folder / f"input{index}.npy")
            write_npy(places[NPY_PLACE][-1], values)
        if BYTES_PLACE in program:
            places[BYTES_PLACE].append(folder / f"input{index}.bin")
            values.tofile(places[BYTES_PLACE][-1])
    argv = [
        text
        for part in program
        for text in (
            [str(path.resolve()) if here else path.name for path in places[part]] if part in places else [part]
        )
    ]
    return ProgramSample(tuple(argv), tuple(path for paths in places.values() for path in paths), (*notes, *said))

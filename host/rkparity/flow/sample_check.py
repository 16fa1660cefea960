"""The sample against the source model's shapes, before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rkparity.errors import DataError, ToolkitError, UsageError
from rkparity.original.engine import describe_onnx
from rkparity.runs import read_npy_header
from rkparity.toolkit.built_model import GraphInput
from rkparity.toolkit.inputs import is_picture, read_picture
from rkparity.toolkit.spec import BuildSpec, Framework

if TYPE_CHECKING:
    from rkparity.toolkit.worker_client import Worker

# Their graphs are NHWC, and so are the sizes given for them.
_NHWC_FRAMEWORKS = (Framework.TFLITE, Framework.TENSORFLOW)


@dataclass(frozen=True)
class _Expected:
    """One input of the source model: its shape as the toolkit's graph has it (NCHW for 4-D), None where it is open.

    `is_own`: the model says it itself; a size that was asked for may be what is wrong, which stage fp16 looks into.
    """

    name: str
    shape: tuple[int | None, ...]
    is_own: bool


def check_sample(worker: Worker, spec: BuildSpec, files: Sequence[Path], *, resize: bool = False) -> None:
    """Refuses a sample that the model of `spec` cannot take: the number of files, and their sizes.

    What is open stays unchecked: dimensions the model leaves open, several sets of shapes, a batch dimension that is
    missing, the shapes of frameworks that only the toolkit reads. Raises UsageError with both sizes in it.
    """
    expected = _expected(worker, spec)
    if not expected:
        return
    if len(files) != len(expected):
        names = ", ".join(f"{item.name} {_text(item.shape)}" for item in expected)
        raise UsageError(
            f"{len(files)} input files for a model with {len(expected)} inputs: {names}",
            hint="give one file per model input, in this order",
        )
    for index, (file, item) in enumerate(zip(files, expected)):
        if is_picture(file):
            _check_picture(worker, spec, file, item, index, resize)
        elif file.suffix.lower() == ".npy" and item.is_own:
            _check_npy(file, item)


def _expected(worker: Worker, spec: BuildSpec) -> list[_Expected]:
    """The inputs of the source model, as far as they are known; empty when they are not."""
    if spec.extra.get("config", {}).get("dynamic_input"):
        return []
    batch = int(spec.extra.get("build", {}).get("rknn_batch_size") or 1)
    sizes = [_as_graph(shape, spec.framework) for shape in spec.input_size_list]
    own: dict[str, tuple[int | None, ...]] = {}
    if spec.framework is Framework.ONNX:
        try:
            own = {value.name: value.shape for value in describe_onnx(worker, Path(spec.model).resolve()).inputs}
        except ToolkitError:
            # The build says what is wrong with the file.
            return []
    names = list(spec.inputs or own)
    if not names:
        return [_Expected(f"input {index}", _batched(shape, batch), False) for index, shape in enumerate(sizes)]
    if any(name not in own for name in names):
        return []
    return [
        _Expected(
            name,
            _batched(sizes[index] if index < len(sizes) else own[name], batch),
            index >= len(sizes),
        )
        for index, name in enumerate(names)
    ]


def _as_graph(shape: Sequence[int], framework: Framework) -> tuple[int, ...]:
    if framework in _NHWC_FRAMEWORKS and len(shape) == 4:
        return (shape[0], shape[3], shape[1], shape[2])
    return tuple(shape)


def _batched(shape: Sequence[int | None], batch: int) -> tuple[int | None, ...]:
    """With rknn_batch_size the first dimension is multiplied."""
    if not shape or shape[0] is None or batch == 1:
        return tuple(shape)
    return (shape[0] * batch, *shape[1:])


def _check_picture(worker: Worker, spec: BuildSpec, file: Path, item: _Expected, index: int, resize: bool) -> None:
    shape = tuple(size for size in item.shape if size is not None)
    if len(shape) != len(item.shape):
        return
    graph_input = GraphInput(item.name, shape, "float32", "nchw", (), (), spec.quant_img_RGB2BGR)
    target = worker.new_folder("sample")
    target.mkdir(parents=True)
    read_picture(file, graph_input, worker, target / f"{index}.npy", resize=resize)


def _check_npy(file: Path, item: _Expected) -> None:
    try:
        shape = tuple(read_npy_header(file).shape)
    except DataError as error:
        raise UsageError(error.message, hint=error.hint) from error
    if 0 in shape:
        raise UsageError(f"{file}: is empty, shape {_text(shape)}: there is nothing to compare")
    needed = item.shape
    forms = {"": needed}
    if len(needed) == 4:
        forms = {" (NHWC)": (needed[0], needed[2], needed[3], needed[1]), " (NCHW)": needed}
    # A batch dimension that is missing is a finding of stage fp16, which goes on with it.
    without_batch = [form[1:] for form in forms.values() if form and form[0] in (1, None)]
    if not any(_fits(shape, form) for form in (*forms.values(), *without_batch)):
        wanted = " or ".join(f"{_text(form)}{name}" for name, form in forms.items())
        raise UsageError(
            f"{file}: has shape {_text(shape)}, input {item.name!r} needs {wanted}",
            hint="save it in the model's shape"
            + ("; a picture can be stretched with --resize" if len(needed) == 4 else ""),
        )


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(size in (given, None) for given, size in zip(shape, wanted))


def _text(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"

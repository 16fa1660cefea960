"""Inputs for the simulator: read, checked against the graph, and brought into the one form the toolkit reads unharmed.

rknn-toolkit2 takes nhwc for granted, returns nothing for float64, stretches pictures of another size and swaps axes
silently when C, H and W are equal (measured with 2.5.0); so everything is checked before it gets there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError, ToolkitError, UsageError
from rkparity.runs import open_npy, read_npy_header, write_npy
from rkparity.toolkit.built_model import GraphInput
from rkparity.toolkit.worker_client import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_FLOAT_INPUT_DTYPES = ("uint8", "int8", "int16", "int32", "float16", "float32")


@dataclass(frozen=True)
class PreparedInput:
    """One input: `raw` in the user's layout, `feed` the file the toolkit gets (NCHW for 4-D), `notes` for people."""

    name: str
    raw: NDArray[Any]
    layout: str
    feed: Path
    notes: tuple[str, ...]


def prepare_inputs(
    files: Sequence[Path],
    graph: Sequence[GraphInput],
    worker: Worker,
    folder: Path,
    *,
    layout: str | None = None,
    resize: bool = False,
) -> tuple[PreparedInput, ...]:
    """Reads one file per graph input into `folder`.

    A `.npy` must have the graph's shape, in NCHW or NHWC; `layout` ("nhwc" or "nchw") decides where the shape does not.
    A picture is read as RGB (as BGR when the build says quant_img_RGB2BGR, which is what the toolkit does with image
    files) and must have the model's size unless `resize`. Raises UsageError naming the file and the input.
    """
    if len(files) != len(graph):
        names = ", ".join(f"{item.name} {_text(item.shape)}" for item in graph)
        raise UsageError(
            f"{len(files)} input files for a model with {len(graph)} inputs: {names}",
            hint="give --input once per model input, in this order",
        )
    folder.mkdir(parents=True, exist_ok=True)
    graph = at_shapes(files, graph, layout)
    return tuple(
        _prepare(file, item, worker, folder / f"{index}", layout, resize)
        for index, (file, item) in enumerate(zip(files, graph))
    )


def at_shapes(files: Sequence[Path], graph: Sequence[GraphInput], layout: str | None) -> Sequence[GraphInput]:
    """A graph with several sets of shapes at the first set that the `.npy` files have; pictures fit every set."""
    count = min((len(item.shapes) for item in graph), default=0)
    if count == 0:
        return graph
    headers = [read_npy_header(file) if file.suffix.lower() == ".npy" and file.is_file() else None for file in files]
    for index in range(count):
        chosen = [replace(item, shape=item.shapes[index]) for item in graph]
        fits = (
            header is None or tuple(header.shape) in _accepted(item.shape, layout)
            for header, item in zip(headers, chosen)
        )
        if all(fits):
            return chosen
    given = ", ".join("a picture" if header is None else _text(header.shape) for header in headers)
    sets = "; ".join(", ".join(_text(item.shapes[index]) for item in graph) for index in range(count))
    raise UsageError(
        f"the inputs have the shapes {given}; the model was built with dynamic_input for {sets}",
        hint="give all inputs in the shapes of one set (4-D: NCHW or NHWC)",
    )


def _accepted(shape: Sequence[int], layout: str | None) -> tuple[tuple[int, ...], ...]:
    if len(shape) != 4:
        return (tuple(shape),)
    shapes = {"nchw": tuple(shape), "nhwc": (shape[0], shape[2], shape[3], shape[1])}
    return tuple(shapes.values()) if layout is None else (shapes[layout.lower()],)


def _prepare(
    file: Path, item: GraphInput, worker: Worker, stem: Path, layout: str | None, resize: bool
) -> PreparedInput:
    import numpy as np

    if not file.is_file():
        raise UsageError(f"{file}: does not exist")
    notes: list[str] = []
    if is_picture(file):
        picture, said = read_picture(file, item, worker, stem.with_suffix(".picture.npy"), resize=resize)
        raw, chosen = open_npy(picture), "NHWC"
        notes += said
    elif file.suffix.lower() == ".npy":
        try:
            raw = open_npy(file)
        except DataError as error:
            raise UsageError(error.message, hint=error.hint) from error
        _check_dtype(file, item, raw.dtype.name)
        chosen = choose_layout(raw.shape, item, layout, str(file))
    else:
        raise UsageError(
            f"{file}: cannot be used as an input",
            hint="give a .npy file or a picture (" + " ".join(PICTURE_SUFFIXES) + ")",
        )
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        notes.append(f"{file}: holds values that are NaN or infinite")
    feed = stem.with_suffix(".npy")
    write_npy(feed, raw.transpose(0, 3, 1, 2) if chosen == "NHWC" else raw)
    return PreparedInput(item.name, raw, chosen, feed, tuple(notes))


def choose_layout(shape: Sequence[int], item: GraphInput, layout: str | None, source: str) -> str:
    """The layout of an array for a graph input: "NCHW", "NHWC", or "UNDEFINED" for other than 4-D.

    UsageError when the shape does not fit, or fits both and `layout` is not given.
    """
    if len(item.shape) != 4:
        if tuple(shape) != item.shape:
            raise UsageError(f"{source}: has shape {_text(shape)}, input {item.name!r} needs {_text(item.shape)}")
        return "UNDEFINED"
    batch, channels, height, width = item.shape
    shapes = {"NCHW": item.shape, "NHWC": (batch, height, width, channels)}
    if layout is not None:
        wanted = layout.upper()
        if tuple(shape) != shapes[wanted]:
            raise UsageError(
                f"{source}: has shape {_text(shape)}, input {item.name!r} in {wanted} needs {_text(shapes[wanted])}"
            )
        return wanted
    fitting = [name for name, expected in shapes.items() if tuple(shape) == expected]
    if not fitting:
        raise UsageError(
            f"{source}: has shape {_text(shape)}, input {item.name!r} needs {_text(shapes['NHWC'])} (NHWC) or "
            f"{_text(shapes['NCHW'])} (NCHW)"
        )
    if len(fitting) == 2:
        raise UsageError(
            f"{source}: shape {_text(shape)} can be NHWC and NCHW", hint="say which with --layout nhwc or nchw"
        )
    return fitting[0]


def _check_dtype(file: Path, item: GraphInput, dtype: str) -> None:
    if item.dtype.startswith("float"):
        if dtype not in _FLOAT_INPUT_DTYPES:
            raise UsageError(
                f"{file}: holds {dtype}, which rknn-toolkit2 does not take for input {item.name!r}",
                hint="save it as float32, or uint8 for pictures: numpy.save(file, array.astype('float32'))",
            )
    elif dtype != item.dtype:
        raise UsageError(f"{file}: holds {dtype}, input {item.name!r} needs {item.dtype}")


def is_picture(file: Path) -> bool:
    """Whether a file is a picture, by its name."""
    return file.suffix.lower() in PICTURE_SUFFIXES


def read_picture(
    file: Path, item: GraphInput, worker: Worker, out: Path, *, resize: bool
) -> tuple[Path, tuple[str, ...]]:
    """Reads a picture for a graph input as the toolkit does: `out`, uint8 NHWC, and notes for people.

    RGB, or BGR where the build says quant_img_RGB2BGR. UsageError when it has another size and not `resize`, or when
    the input is none for pictures.
    """
    if len(item.shape) != 4 or item.shape[0] != 1 or item.shape[1] not in (1, 3):
        raise UsageError(
            f"{file}: a picture cannot be input {item.name!r} of shape {_text(item.shape)}", hint="give a .npy file"
        )
    if not file.is_file():
        raise UsageError(f"{file}: does not exist")
    _, channels, height, width = item.shape
    try:
        found = worker.read_picture(
            file, channels=channels, height=height, width=width, resize=resize, bgr=item.rgb2bgr, out=out
        )
    except ToolkitError as error:
        if str(file.resolve()) not in error.message:
            raise
        raise UsageError(
            error.message, hint="resize or pad it as your application does, or let it be stretched with --resize"
        ) from error
    notes = []
    if found["resized"]:
        notes.append(
            f"{file}: stretched from {found['width']}x{found['height']} to {width}x{height} (bilinear, no letterbox)"
        )
    if item.rgb2bgr:
        notes.append(f"{file}: channels swapped to BGR, as quant_img_RGB2BGR asks for pictures")
    return out, tuple(notes)


def _text(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape) or "()"

"""The inputs accuracy is measured on, and the calibration set, in the one form the simulator reads unharmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import UsageError
from rkparity.model import shape_text
from rkparity.runs import open_npy
from rkparity.toolkit.built_model import BuiltModel, GraphInput
from rkparity.toolkit.hybrid import MixedModel
from rkparity.toolkit.inputs import PICTURE_SUFFIXES, prepare_inputs
from rkparity.toolkit.worker_client import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.project import Project

MAX_CALIBRATION_SAMPLES = 20
MIXED_MEMORY_NBYTES = 1 << 30
MOST_SAMPLES = 4
UNSCALED_LIMIT = 8.0
"""Normalised values hardly leave +-8; pixels do."""


@dataclass(frozen=True)
class Sample:
    """One sample: `feeds` are raw NCHW `.npy` files, `values` what the graph's inputs hold for them."""

    feeds: tuple[Path, ...]
    values: tuple[NDArray[Any], ...]


def real_samples(project: Project, built: BuiltModel, worker: Worker, folder: Path) -> tuple[Sample, ...]:
    """The project's inputs: [input] files and `more`. Pictures are read in the order [original] says, if it does."""
    graph = built.inputs
    if project.original.channel_order is not None:
        swapped = project.original.channel_order == "bgr"
        graph = tuple(replace(item, rgb2bgr=swapped) for item in graph)
    return tuple(
        _sample(files, graph, worker, folder / f"real{number}", project.input.layout, project.input.resize)
        for number, files in enumerate((project.input.files, *project.input.more))
    )


def calibration_samples(dataset: Path, built: BuiltModel, worker: Worker, folder: Path) -> tuple[Sample, ...]:
    """At most 20 samples spread over the list, read as the toolkit reads them: `.npy` as NCHW, pictures stretched."""
    lines = calibration_lines(dataset)
    step = max(len(lines) / MAX_CALIBRATION_SAMPLES, 1.0)
    chosen = [lines[int(index * step)] for index in range(min(len(lines), MAX_CALIBRATION_SAMPLES))]
    return tuple(
        _sample(files, built.inputs, worker, folder / f"calibration{number}", "nchw", True)
        for number, files in enumerate(chosen)
    )


def check_one_shape(calibration: Sequence[Sample], real: Sequence[Sample]) -> None:
    """UsageError when samples have several shapes, which a model built with dynamic_input takes.

    The stage takes the simulator apart into one session per operator, and these are of one set of shapes.
    """
    shapes = {tuple(value.shape for value in sample.values) for sample in (*calibration, *real)}
    if len(shapes) > 1:
        sets = "; ".join(", ".join(shape_text(shape) for shape in item) for item in sorted(shapes))
        raise UsageError(
            f"stage quantized measures at one set of input shapes, the samples and the calibration data have {sets}",
            hint="rknn-toolkit2 calibrates at the largest set: give [input] files of its shapes",
        )


def calibration_lines(dataset: Path) -> list[tuple[Path, ...]]:
    """The list's samples as paths; a relative one is beside the list. The build has checked that they exist."""
    lines = [line.split() for line in dataset.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        tuple(
            next((base / name for base in (dataset.parent, Path()) if (base / name).is_file()), Path(name))
            for name in line
        )
        for line in lines
    ]


def has_pictures(dataset: Path) -> bool:
    """Whether calibration uses image files, the only ones quant_img_RGB2BGR acts on (evidence toolkit)."""
    return any(path.suffix.lower() in PICTURE_SUFFIXES for line in calibration_lines(dataset) for path in line)


def unscaled_inputs(built: BuiltModel, calibration: Sequence[Sample], real: Sequence[Sample]) -> list[str]:
    """Inputs with a std whose calibration arrays stay within a few units although the real ones do not.

    That is what arrays look like which were normalised before they were saved.
    """
    import numpy as np

    found = []
    for index, item in enumerate(built.inputs):
        if not item.std or max(item.std) < UNSCALED_LIMIT:
            continue
        sizes = [
            max((float(np.abs(open_npy(sample.feeds[index])).max()) for sample in group), default=0.0)
            for group in (calibration, real)
        ]
        if 0 < sizes[0] <= UNSCALED_LIMIT and sizes[1] > 4 * UNSCALED_LIMIT:
            found.append(item.name)
    return found


def normalise(item: GraphInput, raw: NDArray[Any]) -> NDArray[Any]:
    """(x - mean) / std per channel in double precision, as the toolkit does; integer inputs stay as they are."""
    import numpy as np

    if not item.is_real:
        return np.ascontiguousarray(raw)
    values = raw.astype(np.float64)
    scaling = item.scaling_at(values.shape)
    if scaling is not None:
        values = (values - scaling[0]) / scaling[1]
    return values.astype(np.float32)


def _sample(
    files: Sequence[Path],
    graph: Sequence[GraphInput],
    worker: Worker,
    folder: Path,
    layout: str | None,
    resize: bool,
) -> Sample:
    prepared = prepare_inputs(files, graph, worker, folder, layout=layout, resize=resize)
    return Sample(
        tuple(item.feed for item in prepared),
        tuple(normalise(given, open_npy(item.feed)) for given, item in zip(graph, prepared)),
    )


def add_samples(mixed: MixedModel, samples: Sequence[Sample], calibration: Sequence[Sample]) -> None:
    """Adds what fits into memory of the other real samples, and a few of the calibration set."""
    room = min(MOST_SAMPLES, max(MIXED_MEMORY_NBYTES // max(mixed.sample_nbytes, 1), 1)) - 1
    real = [item.feeds for item in samples[1 : 1 + room]]
    mixed.add(real, judged=True)
    mixed.add([item.feeds for item in calibration[:: max(len(calibration) // 3, 1)][: room - len(real)]], judged=True)

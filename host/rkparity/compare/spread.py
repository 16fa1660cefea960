"""Where a difference sits: rounding is spread evenly, a fault has a channel, row, column, tile or border."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST = 8
_TILE = 8
_TAIL = 16


@dataclass(frozen=True)
class Places:
    """The error of every group of one kind ("channel", "row", "column", "tile", "border", "tail").

    `count` is the elements in each group; `mean` and `rms` are of the error, `signal` is the rms of what is expected,
    `over` the share of elements beyond the unit's limit. One value per group.
    """

    kind: str
    count: int
    mean: NDArray[Any]
    rms: NDArray[Any]
    signal: NDArray[Any]
    over: NDArray[Any]


def places(error: NDArray[Any], expected: NDArray[Any], limit: float) -> Iterable[Places]:
    """The groups of a tensor of at least two dimensions; `error` is board minus expected, both finite, of one shape.

    `limit` is the error an element may have. Groups of fewer than 8 elements are left out: they say nothing.
    """
    import numpy as np

    if error.ndim < 2 or error.size < 2 * _FEWEST:
        return
    square, signal = error * error, expected * expected
    over = (np.abs(error) > limit).astype(np.float32)
    sums = (error, square, signal, over)
    axes = {"channel": 1} if error.ndim < 3 else {"channel": 1, "row": error.ndim - 2, "column": error.ndim - 1}
    for kind, axis in axes.items():
        groups = error.shape[axis]
        if groups > 1 and error.size // groups >= _FEWEST:
            others = tuple(index for index in range(error.ndim) if index != axis)
            yield _places(kind, error.size // groups, [array.sum(axis=others, dtype=np.float64) for array in sums])
    if error.ndim >= 3 and min(error.shape[-2:]) >= 4:
        planes = [array.reshape(-1, *array.shape[-2:]).sum(axis=0, dtype=np.float64) for array in sums]
        yield from _planes(planes, error.size // planes[0].size)
    tail = error.size - max(error.size // _TAIL, _FEWEST)
    yield _places("tail", error.size - tail, [array.reshape(-1)[tail:].sum(dtype=np.float64)[None] for array in sums])


def _planes(planes: list[NDArray[Any]], depth: int) -> Iterable[Places]:
    """Tiles of 8 x 8 and the outermost ring, over all channels."""
    import numpy as np

    height, width = planes[0].shape
    rows, columns = height // _TILE, width // _TILE
    if rows * columns > 1:
        tiled = [
            plane[: rows * _TILE, : columns * _TILE].reshape(rows, _TILE, columns, _TILE).sum(axis=(1, 3)).reshape(-1)
            for plane in planes
        ]
        yield _places("tile", depth * _TILE * _TILE, tiled)
    ring = np.ones((height, width), bool)
    ring[1:-1, 1:-1] = False
    yield _places("border", depth * int(ring.sum()), [plane[ring].sum()[None] for plane in planes])


def _places(kind: str, count: int, sums: list[NDArray[Any]]) -> Places:
    import numpy as np

    error, square, signal, over = (values / count for values in sums)
    return Places(kind, count, error, np.sqrt(square), np.sqrt(signal), over)


def named_place(found: Places, index: int, shape: tuple[int, ...]) -> str:
    """A group for people: "channel 3", "the border", "tile at row 8, column 16"."""
    if found.kind in ("border", "tail"):
        return f"the {found.kind}"
    if found.kind == "tile":
        columns = shape[-1] // _TILE
        return f"the tile at row {index // columns * _TILE}, column {index % columns * _TILE}"
    return f"{found.kind} {index}"

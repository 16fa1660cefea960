"""Moves, boxes and borders that are read off an observed picture instead of being listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import layouts, offset_layout
from rkparity.diagnose.inputs.decoded_pictures import DecodedPicture
from rkparity.diagnose.inputs.geometry import NO_TURN, TURNS, Geometry, boxed, keep, moved, relocated, unchanged
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.resample import Taps
from rkparity.diagnose.inputs.runtime import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Phase correlation looks at the middle of large pictures; moves by more than half of that are not seen.
_REGION = 256
_PEAK = 8.0


def estimated(
    problem: Problem, view: DecodedPicture, likely: list[Geometry]
) -> Iterator[tuple[DecodedPicture, Geometry]]:
    """Pictures of `likely` moved as the view shows, as whole pixels or as a buffer that starts elsewhere; boxes.

    `likely`: geometries of the view's shape, the most similar first.
    """
    if not problem.is_picture:
        return
    shape = view.layout.source
    whole = shape == problem.shape
    packed = not view.layout.steps
    for number, geometry in enumerate(likely):
        for down, right in _moves(view, geometry, _REGION if number or min(shape[:2]) > 2 * _REGION else 0):
            for edge in ("pad", "roll", "edge") if geometry.exact else ("pad",):
                yield view, moved(geometry, down, right, edge)
            if packed:
                for other in _starting_elsewhere(problem, view, down, right):
                    yield other, geometry
    if not whole:
        return
    base = problem.base
    plane = view.plane(min(1, shape[2] - 1))
    inner = constant_border(base[:, :, 0].astype("float32"))
    if inner is not None:
        bordered = _bordered(base, inner, "the padding")
        yield view, bordered
        for turn in TURNS:
            if not turn[0] or base.shape[0] == base.shape[1]:
                yield view, bordered.turned(turn)
        for down, right in _moves(view, unchanged(base), 0):
            item = relocated(base, inner, down, right)
            if item is not None:
                yield view, item
    box = constant_border(plane)
    if box is not None:
        for method in ("bilinear", "area", "nearest"):
            squeezed = boxed(base, box, method)
            if squeezed is not None:
                yield view, squeezed
        yield view, _bordered(base, box, "the border")


def late_and_moved(
    problem: Problem, view: DecodedPicture, likely: list[Geometry]
) -> Iterator[tuple[DecodedPicture, Geometry]]:
    """A buffer that starts elsewhere and holds a moved picture: columns of one value tell the two apart."""
    import numpy as np

    if [step.id for step in view.layout.steps] != ["layout.offset"] or view.partial:
        return
    height, width, channels = problem.shape
    row = width * channels
    plane = view.plane(0)[height // 8 : height - height // 8]
    still = np.ptp(plane, axis=0) == 0
    if still.all():
        return
    at_left, at_right = int(np.argmin(still)), int(np.argmin(still[::-1]))
    offset = int(view.layout.steps[0].numbers["offset"])
    for right in (at_right, -at_left):
        if right == 0 or abs(right) > width // 2:
            continue
        start = offset + channels * right
        rows = round(-start / row)
        for down in {0, rows}:
            place = start + row * down
            layout = offset_layout(problem.shape, place) if place else next(layouts(problem.shape, (), ()))
            other = replace(view, layout=layout)
            for geometry in likely[:3]:
                yield other, moved(geometry, down, right, "pad")


def _starting_elsewhere(problem: Problem, view: DecodedPicture, down: int, right: int) -> Iterator[DecodedPicture]:
    """The same data seen as a buffer read from another element: a move of whole pixels, give or take a channel."""
    _, width, channels = problem.shape
    near = -channels * (right + width * down)
    for offset in range(near - channels + 1, near + channels):
        if offset and abs(offset) < problem.base.size // 2:
            yield replace(view, layout=offset_layout(problem.shape, offset))


def _moves(view: DecodedPicture, geometry: Geometry, region: int) -> list[tuple[int, int]]:
    """(down, right) by which the view's picture is moved from the geometry's."""
    import numpy as np

    height, width, _ = view.layout.source
    # Only rows that are in the buffer.
    _, seen = view.at(np.arange(height), np.full(height, width // 2))
    visible = np.flatnonzero(seen.all(axis=1))
    if visible.size < 8:
        return []
    first, height = int(visible[0]), int(visible[-1] - visible[0] + 1)
    high, wide = (min(height, region), min(width, region)) if region else (height, width)
    top, left = first + (height - high) // 2, (width - wide) // 2
    rows, columns = np.mgrid[top : top + high, left : left + wide].reshape(2, -1)
    shown, _ = view.at(rows, columns)
    wanted, _ = geometry.sample(rows, columns)
    strongest = int(np.argmax(shown.std(axis=0)))
    return moves(shown[:, strongest].reshape(high, wide), wanted.mean(axis=1).reshape(high, wide))


def moves(seen: NDArray[Any], wanted: NDArray[Any]) -> list[tuple[int, int]]:
    """(down, right) by which `seen` is moved from `wanted`, or its negative is: the peaks of the phase correlation."""
    import numpy as np
    from scipy import fft

    if seen.shape != wanted.shape:
        return []
    first, second = seen.astype(np.float32), wanted.astype(np.float32)
    window = np.hanning(seen.shape[0])[:, None].astype(np.float32) * np.hanning(seen.shape[1])[None, :].astype(
        np.float32
    )
    cross = fft.rfft2((first - first.mean()) * window)
    cross *= fft.rfft2((second - second.mean()) * window).conj()
    size = np.abs(cross)
    correlation = np.abs(fft.irfft2(cross / (size + 1e-3 * float(size.max()) + 1e-12), s=seen.shape))
    deviation = float(correlation.std()) or 1.0
    found = []
    highest = np.argpartition(correlation.reshape(-1), -3)[-3:]
    least = max(_PEAK * deviation, 0.5 * float(correlation.max()))
    for flat in highest:
        down, right = divmod(int(flat), seen.shape[1])
        if correlation[down, right] < least:
            continue
        down = down - seen.shape[0] if down > seen.shape[0] // 2 else down
        right = right - seen.shape[1] if right > seen.shape[1] // 2 else right
        if (down, right) != (0, 0):
            found.append((down, right))
    return found


def constant_border(plane: NDArray[Any]) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of what lies inside rows and columns of one value; None without such a border."""
    import numpy as np

    for corner in (plane[0, 0], plane[-1, -1]):
        other = plane != corner
        rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
        if rows.size < 2 or columns.size < 2:
            return None
        box = (int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1))
        if box[2:] != plane.shape and (plane.shape[0] - box[2] > 1 or plane.shape[1] - box[3] > 1):
            return box
    return None


def pad_value(what: str, box: tuple[int, int, int, int]) -> Step:
    """The step of a border or padding that has another value; `box` is (top, left, height, width) inside it."""
    top, left, height, width = box
    return Step("geometry.pad_value", f"{what} outside {width} x {height} at ({left}, {top}) has another value")


def _bordered(base: NDArray[Any], box: tuple[int, int, int, int], what: str) -> Geometry:
    """The expected input with everything outside the box replaced by one value."""
    top, left, height, width = box
    rows, columns = keep(base.shape[0]), keep(base.shape[1])
    row_inside, column_inside = rows.inside.copy(), columns.inside.copy()
    row_inside[:top] = row_inside[top + height :] = False
    column_inside[:left] = column_inside[left + width :] = False
    return Geometry(
        base,
        Taps(rows.index, rows.weight, row_inside),
        Taps(columns.index, columns.weight, column_inside),
        NO_TURN,
        (pad_value(what, box),),
        f"border-{box}",
        exact=True,
    )

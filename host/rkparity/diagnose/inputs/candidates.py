"""Which pictures the observed one may show: geometries of the expected input and of the original picture.

Some are listed (`first_geometries`); moves, boxes and borders are read off the observed picture (`estimated`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.buffer_layout import DecodedPicture, layouts, offset_layout
from rkparity.diagnose.inputs.geometry import (
    NO_TURN,
    TURNS,
    Geometry,
    boxed,
    cropped,
    from_picture,
    keep,
    moved,
    relocated,
    stretched,
    trimmed,
    unchanged,
)
from rkparity.diagnose.inputs.problem import Problem, Step
from rkparity.diagnose.inputs.resample import METHODS, Taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_METHODS = ("bilinear", "area")


def first_geometries(problem: Problem, picture: NDArray[Any] | None, shape: tuple[int, int]) -> list[Geometry]:
    """What is tried on every view; one or two interpolations of each family."""
    base = problem.base
    result: list[Geometry] = []
    same = base.shape[:2] == shape
    if same:
        result.append(unchanged(base))
        for number, frame in enumerate(problem.earlier):
            step = Step("stale.previous", f"it is the input of an earlier run ({number + 1} before)")
            result.append(unchanged(frame, (step,), f"earlier-{number}"))
    else:
        item = stretched(base, shape, "bilinear")
        result += [replace(item, steps=())] if item is not None else []
    if not problem.is_picture:
        return result
    result += _turned(result[0], base, shape)
    if same:
        result += _centre_crops(base, shape)
    if picture is not None:
        result += picture_geometries(problem, picture, shape, FIRST_METHODS)
    return result


def _implied(
    problem: Problem, picture: NDArray[Any], shape: tuple[int, int], methods: tuple[str, ...]
) -> Iterator[Geometry]:
    """`from_picture`, without a step for what the expected input has as well.

    That is the stretching that a picture of another shape needs anyway, and a letterbox at the same place.
    """
    base = problem.base
    inner = constant_border(base[:, :, 0].astype("float32")) if shape == base.shape[:2] else None
    for item in from_picture(picture, shape, methods):
        if item.family == "stretch" and shape != base.shape[:2]:
            yield replace(item, steps=())
        elif inner is not None and item.family.startswith("letterbox") and _box_of(item) == inner:
            yield replace(item, steps=(pad_value("the padding", inner),))
        else:
            yield item


def _box_of(letterboxed: Geometry) -> tuple[int, ...]:
    numbers = letterboxed.steps[0].numbers
    return tuple(int(numbers[name]) for name in ("top", "left", "height", "width"))


def picture_geometries(
    problem: Problem, picture: NDArray[Any], shape: tuple[int, int], methods: tuple[str, ...]
) -> list[Geometry]:
    """Everything made from the original picture, each turned in every way."""
    result = []
    for item in _implied(problem, picture, shape, methods):
        result.append(item)
        if item.method in ("bilinear", *methods[2:]):
            result += [item.turned(turn) for turn in TURNS if not turn[0]]
    for item in _implied(problem, picture, (shape[1], shape[0]), methods):
        if item.method in ("bilinear", *methods[2:]):
            result += [item.turned(turn) for turn in TURNS if turn[0]]
    return result


def _turned(first: Geometry, base: NDArray[Any], shape: tuple[int, int]) -> Iterator[Geometry]:
    for turn in TURNS:
        if not turn[0] or shape[0] == shape[1]:
            yield first.turned(turn)
        elif base.shape[:2] == shape:
            item = stretched(base, (shape[1], shape[0]), "bilinear")
            if item is not None:
                yield replace(item, steps=(), family="restretch").turned(turn)


def _centre_crops(base: NDArray[Any], shape: tuple[int, int]) -> Iterator[Geometry]:
    height, width = shape
    for percent in (50, 60, 70, 75, 80, 85, 87.5, 90, 95):
        part = (max(2, round(height * percent / 100)), max(2, round(width * percent / 100)))
        box = ((height - part[0]) // 2, (width - part[1]) // 2, *part)
        item = cropped(base, shape, box, "bilinear", "the middle is cut out and enlarged")
        if item is not None:
            yield item


def all_methods(problem: Problem, picture: NDArray[Any], chosen: Geometry) -> list[Geometry]:
    """The chosen geometry with every interpolation, and crops that are off by one instead of the whole picture."""
    family, _, turned_as = chosen.family.split("~")[0].partition("+")
    whole = family in ("same", "stretch", "restretch")
    family = "stretch" if whole else family
    shape = chosen.shape
    made: list[Geometry] = []
    for size in dict.fromkeys((shape, shape[::-1])):
        items = [item for item in _implied(problem, picture, size, tuple(METHODS)) if item.family == family]
        if whole:
            # Which interpolation was used is seen from the whole picture; a crop by one is tried with the common ones.
            items += trimmed(picture, size, tuple(dict.fromkeys(("bilinear", "area", chosen.method or "bilinear"))))
        for item in items:
            for turn in (NO_TURN, *TURNS):
                turned = item if turn == NO_TURN else item.turned(turn)
                if turned.shape == shape and turned.family.partition("+")[2] == turned_as:
                    made.append(turned)
    if chosen.shift is None:
        return made
    down, right, edge = chosen.shift
    # What came in at the edge shows only once the rest is right.
    return [moved(item, down, right, kind) for item in made for kind in dict.fromkeys((edge, "pad"))]


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

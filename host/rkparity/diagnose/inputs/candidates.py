"""Which pictures the observed one may show: geometries of the expected input and of the original picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.geometry import (
    NO_TURN,
    TURNS,
    Geometry,
    boxed,
    cropped,
    from_picture,
    keep,
    moved,
    shifted,
    stretched,
    unchanged,
)
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.resample import METHODS, Taps
from rkparity.diagnose.inputs.runtime import Problem
from rkparity.diagnose.inputs.views import View

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
    """`from_picture`, without a step for the stretching that a picture of another shape needs anyway."""
    for item in from_picture(picture, shape, methods):
        yield replace(item, steps=()) if item.family == "stretch" and shape != problem.base.shape[:2] else item


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


def all_methods(problem: Problem, picture: NDArray[Any] | None, chosen: list[Geometry]) -> list[Geometry]:
    """The chosen families with every interpolation."""
    families = {item.family for item in chosen if item.method}
    result = []
    shapes = {item.shape for item in chosen}
    if picture is not None and families:
        for shape in shapes:
            made: list[Any] = [
                item for size in (shape, shape[::-1]) for item in _implied(problem, picture, size, tuple(METHODS))
            ]
            for item in made:
                for turn in (NO_TURN, *TURNS):
                    candidate = item if turn == NO_TURN else item.turned(turn)
                    if candidate.family in families and candidate.shape == shape:
                        result.append(candidate)
    for item in chosen:
        if item.shift is not None and item.turn == NO_TURN and not item.method and picture is not None:
            made = [stretched(picture, item.shape, method) for method in METHODS]
            result += [moved(other, item.shift) for other in made if other is not None]
    known = {item.family for item in result}
    return [*(item for item in chosen if item.family not in known), *result]


def measured_geometries(problem: Problem, picture: NDArray[Any] | None, view: View) -> list[Geometry]:
    """Shifts, boxes and borders read off the view's own picture."""
    if not problem.is_picture or view.layout.source[:2] != problem.base.shape[:2]:
        return []
    result: list[Geometry] = []
    plane = view.plane(min(1, view.layout.source[2] - 1))
    base = problem.base
    for turn in (NO_TURN, *TURNS):
        if turn[0] and base.shape[0] != base.shape[1]:
            continue
        start = unchanged(base) if turn == NO_TURN else unchanged(base).turned(turn)
        moved = _turn(base[:, :, min(1, base.shape[2] - 1)], turn)
        for down, right in shifts(plane, moved):
            for edge in ("pad", "roll", "edge"):
                result.append(_shift_of(start, base, turn, down, right, edge))
    box = constant_border(plane)
    if box is not None:
        for method in ("bilinear", "area", "nearest"):
            item = boxed(base, box, method)
            result += [item] if item is not None else []
        result.append(_bordered(base, box, "the border"))
    inner = constant_border(base[:, :, 0].astype("float32"))
    if inner is not None:
        result.append(_bordered(base, inner, "the padding"))
    return result


def _shift_of(
    start: Geometry, base: NDArray[Any], turn: tuple[bool, bool, bool], down: int, right: int, edge: str
) -> Geometry:
    """A shift after a turn: the same as a turn after the shift seen before the turn."""
    if turn == NO_TURN:
        return shifted(base, down, right, edge)
    before_down, before_right = (-down if turn[1] else down), (-right if turn[2] else right)
    if turn[0]:
        before_down, before_right = before_right, before_down
    item = shifted(base, before_down, before_right, edge).turned(turn)
    step = Step("geometry.shifted", f"moved by {right} to the right and {down} down", {"right": right, "down": down})
    return replace(item, steps=(*start.steps, step))


def _turn(plane: NDArray[Any], turn: tuple[bool, bool, bool]) -> NDArray[Any]:
    plane = plane.T if turn[0] else plane
    plane = plane[::-1] if turn[1] else plane
    return plane[:, ::-1] if turn[2] else plane


def shifts(seen: NDArray[Any], wanted: NDArray[Any]) -> list[tuple[int, int]]:
    """(down, right) by which `seen` is moved from `wanted`: the highest peaks of the phase correlation."""
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
    correlation = fft.irfft2(cross / (size + 1e-3 * float(size.max()) + 1e-12), s=seen.shape)
    deviation = float(correlation.std()) or 1.0
    found = []
    for flat in np.argpartition(correlation.reshape(-1), -3)[-3:]:
        down, right = divmod(int(flat), seen.shape[1])
        if correlation[down, right] < 8 * deviation:
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


def _bordered(base: NDArray[Any], box: tuple[int, int, int, int], what: str) -> Geometry:
    """The expected input with everything outside the box replaced by one value."""
    top, left, height, width = box
    rows, columns = keep(base.shape[0]), keep(base.shape[1])
    row_inside, column_inside = rows.inside.copy(), columns.inside.copy()
    row_inside[:top] = row_inside[top + height :] = False
    column_inside[:left] = column_inside[left + width :] = False
    step = Step("geometry.pad_value", f"{what} outside {width} x {height} at ({left}, {top}) has another value")
    return Geometry(
        base,
        Taps(rows.index, rows.weight, row_inside),
        Taps(columns.index, columns.weight, column_inside),
        NO_TURN,
        (step,),
        f"border-{box}",
        exact=True,
    )


def chroma_shifted(problem: Problem, view: View) -> list[Geometry]:
    """The expected input with its colours moved against its brightness, by what the view's own colours show."""
    import numpy as np

    base = problem.base.astype(np.float32)
    if view.layout.source != problem.shape:
        return []
    seen = np.stack([view.plane(channel) for channel in range(3)], axis=2)
    luma = base @ np.array([0.299, 0.587, 0.114], np.float32)
    blurred = _halved(base - luma[:, :, None])
    results = []
    for number, (first, second) in enumerate(((0, 1), (2, 1))):
        wanted, shown = blurred[:, :, first] - blurred[:, :, second], seen[:, :, first] - seen[:, :, second]
        for down, right in shifts(shown, wanted)[:2] + [(0, 0)] * (number == 0):
            if max(abs(down), abs(right)) > 16:
                continue
            moved = np.roll(blurred, (down, right), axis=(0, 1))
            picture = np.clip(np.rint(luma[:, :, None] + moved), 0, 255).astype(np.uint8)
            step = Step(
                "colour.chroma_shift" if (down, right) != (0, 0) else "colour.chroma_halved",
                f"the colours are moved by {right} to the right and {down} down against the brightness"
                if (down, right) != (0, 0)
                else "the colours have half the resolution (4:2:0)",
                {"right": right, "down": down},
            )
            results.append(replace(unchanged(picture, (step,), f"chroma-{down}-{right}"), exact=False))
    return results


def _halved(chroma: NDArray[Any]) -> NDArray[Any]:
    """Every 2x2 block replaced by its mean, as 4:2:0 does."""
    import numpy as np

    height, width = chroma.shape[0] // 2 * 2, chroma.shape[1] // 2 * 2
    blocks = chroma[:height, :width].reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
    result: NDArray[Any] = chroma.copy()
    result[:height, :width] = np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1)
    return result

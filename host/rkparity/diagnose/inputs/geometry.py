"""Pictures made from pictures: resized, letterboxed, cropped, flipped, rotated, shifted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.problem import Step
from rkparity.diagnose.inputs.resample import METHODS, Taps, placed, resize_taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

# (transpose, flip rows, flip columns) of the result; see `Geometry.sample`.
TURNS = {
    (False, False, True): ("geometry.flip_horizontal", "mirrored left to right"),
    (False, True, False): ("geometry.flip_vertical", "mirrored top to bottom"),
    (False, True, True): ("geometry.rotated_180", "rotated by 180 degrees"),
    (True, True, False): ("geometry.rotated_90_left", "rotated by 90 degrees to the left"),
    (True, False, True): ("geometry.rotated_90_right", "rotated by 90 degrees to the right"),
    (True, False, False): ("geometry.transposed", "transposed: rows and columns exchanged"),
    (True, True, True): ("geometry.transposed_180", "transposed and rotated by 180 degrees"),
}
NO_TURN = (False, False, False)


@dataclass(frozen=True)
class Geometry:
    """A picture of `shape` (H, W) made from `source` (h, w, C): taps along each axis, then a turn.

    What lies outside the taps is padding. `family` groups those that differ by the interpolation only; `method` is it.
    `exact`: made from the expected input by moving pixels, so nothing is lost by interpolation. `fixed_region`: the
    regions of `full` when the source is a finished picture.
    """

    source: NDArray[Any]
    rows: Taps
    columns: Taps
    turn: tuple[bool, bool, bool]
    steps: tuple[Step, ...]
    family: str
    method: str = ""
    exact: bool = False
    shift: tuple[int, int, str] | None = None
    fixed_region: NDArray[Any] | None = None

    @property
    def kind(self) -> str:
        """What is done, without its parameters."""
        return "+".join(step.id for step in self.steps)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the result."""
        height, width = self.rows.index.shape[0], self.columns.index.shape[0]
        return (width, height) if self.turn[0] else (height, width)

    def sample(self, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(n, C) float32 values at positions of the result, and which of them are no padding."""
        import numpy as np

        height, width = self.shape
        transpose, flip_rows, flip_columns = self.turn
        y = height - 1 - rows if flip_rows else rows
        x = width - 1 - columns if flip_columns else columns
        if transpose:
            y, x = x, y
        inside = self.rows.inside[y] & self.columns.inside[x]
        if self.fixed_region is not None:
            inside = self.fixed_region[y, x] == 0
        row_index, column_index = self.rows.index[y], self.columns.index[x]
        row_weight, column_weight = self.rows.weight[y], self.columns.weight[x]
        lines = []
        for i in range(row_index.shape[1]):
            line = np.zeros((rows.size, self.source.shape[2]), np.float32)
            for j in range(column_index.shape[1]):
                weight = column_weight[:, j].astype(np.float32)
                if weight.any():
                    line += self.source[row_index[:, i], column_index[:, j]] * weight[:, None]
            lines.append(line)
        return self._down(lines, row_weight), inside

    def full(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The whole result (H, W, C) as float32, and (H, W) uint8: 0 picture, 1 padding, 2 came in by a move."""
        import numpy as np

        _, width, channels = self.source.shape
        across = _matrix(self.columns, width)
        if self.rows.index.shape[1] == 1 and self.columns.index.shape[1] == 1:
            result = self.source[self.rows.index[:, 0][:, None], self.columns.index[:, 0][None, :]].astype(np.float32)
        else:
            parts = []
            for channel in range(channels):
                line = np.asarray((across @ self.source[:, :, channel].astype(np.float32).T).T)
                if self.rows.index.shape[1] == 2:
                    lines = [line[self.rows.index[:, tap]] for tap in range(2)]
                    parts.append(self._down(lines, self.rows.weight))
                else:
                    parts.append(self._rounded(_matrix(self.rows, line.shape[0]) @ self._between(line)))
            result = np.stack(parts, axis=2).astype(np.float32)
        inside = self.rows.inside[:, None] & self.columns.inside[None, :]
        result[~inside] = 0
        region = np.where(inside, 0, 1).astype(np.uint8)
        if self.rows.entered is not None:
            region[self.rows.entered & ~self.rows.inside] = 2
        if self.columns.entered is not None:
            region[:, self.columns.entered & ~self.columns.inside] = 2
        if self.fixed_region is not None:
            region = self.fixed_region
        transpose, flip_rows, flip_columns = self.turn
        if transpose:
            result, region = result.transpose(1, 0, 2), region.T
        if flip_rows:
            result, region = result[::-1], region[::-1]
        if flip_columns:
            result, region = result[:, ::-1], region[:, ::-1]
        return np.ascontiguousarray(result), np.ascontiguousarray(region)

    def _between(self, lines: NDArray[Any]) -> NDArray[Any]:
        """Rows resized along their columns, as the library keeps them: Pillow in 8 bits, the others in more."""
        return self._rounded(lines) if self.method.startswith("pillow") else lines

    def _down(self, lines: list[NDArray[Any]], weight: NDArray[Any]) -> NDArray[Any]:
        """Rows weighted and added up."""
        import numpy as np

        if self.method == "bilinear" and self.source.dtype == np.uint8 and len(lines) == 2:
            # OpenCV's resize for uint8: weights of 11 bits, products shifted right by 4, 16 and 2 (imgproc/resize.cpp).
            total = np.full(lines[0].shape, 2, np.int64)
            for tap, line in enumerate(lines):
                scaled = np.rint(line * np.float32(2048)).astype(np.int64) >> 4
                total += (np.rint(weight[:, tap] * 2048).astype(np.int64)[:, None] * scaled) >> 16
            result: NDArray[Any] = np.clip(total >> 2, 0, 255).astype(np.float32)
            return result
        values = np.zeros(lines[0].shape, np.float32)
        for tap, line in enumerate(lines):
            values += self._between(line) * weight[:, tap].astype(np.float32)[:, None]
        return self._rounded(values)

    def _rounded(self, values: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        if self.source.dtype != np.uint8:
            return values
        # Halves round up in the libraries that use fixed-point numbers (OpenCV, Pillow).
        rounded: NDArray[Any] = np.clip(np.floor(values + np.float32(0.5)), 0, 255)
        return rounded

    def turned(self, turn: tuple[bool, bool, bool]) -> Geometry:
        """The same picture, turned; its own turn must be none."""
        identifier, text = TURNS[turn]
        return replace(self, turn=turn, steps=(*self.steps, Step(identifier, text)), family=f"{self.family}+{turn}")


def moved(made: Geometry, down: int, right: int, edge: str) -> Geometry:
    """A picture moved by whole pixels after it was made and turned.

    What comes in: padding ("pad"), the other side ("roll"), the edge ("edge").
    """
    import numpy as np

    along = [-down if made.turn[1] else down, -right if made.turn[2] else right]
    if made.turn[0]:
        along.reverse()
    taps = []
    for own, by in zip((made.rows, made.columns), along):
        length = own.index.shape[0]
        place = np.arange(length) - by
        entered = (place < 0) | (place >= length)
        place = place % length if edge == "roll" else np.clip(place, 0, length - 1)
        inside = own.inside[place] & ~entered if edge == "pad" else own.inside[place]
        taps.append(Taps(own.index[place], own.weight[place], inside, entered if edge == "pad" else None))
    step = Step("geometry.shifted", f"moved by {right} to the right and {down} down", {"right": right, "down": down})
    return replace(
        made,
        rows=taps[0],
        columns=taps[1],
        steps=(*made.steps, step),
        family=f"{made.family}~{down},{right},{edge}",
        shift=(down, right, edge),
    )


def _matrix(taps: Taps, source: int) -> Any:
    import numpy as np
    from scipy import sparse

    count, width = taps.index.shape
    starts = np.arange(0, count * width + 1, width)
    matrix = sparse.csr_matrix(
        (taps.weight.astype(np.float32).reshape(-1), taps.index.reshape(-1), starts), shape=(count, source)
    )
    matrix.sum_duplicates()
    return matrix


def keep(length: int) -> Taps:
    """Every position as it is."""
    import numpy as np

    place = np.arange(length)
    return Taps(place[:, None], np.ones((length, 1)), np.ones(length, bool))


def unchanged(source: NDArray[Any], steps: tuple[Step, ...] = (), family: str = "same") -> Geometry:
    """The picture as it is."""
    return Geometry(source, keep(source.shape[0]), keep(source.shape[1]), NO_TURN, steps, family, exact=True)


def stretched(source: NDArray[Any], shape: tuple[int, int], method: str) -> Geometry | None:
    """The whole picture resized to the shape, whatever its aspect ratio."""
    rows, columns = resize_taps(source.shape[0], shape[0], method), resize_taps(source.shape[1], shape[1], method)
    if rows is None or columns is None:
        return None
    step = Step("geometry.stretched", f"the whole picture is stretched to the input, {METHODS[method]}")
    return Geometry(source, rows, columns, NO_TURN, (step,), "stretch", method)


def letterboxed(
    source: NDArray[Any], shape: tuple[int, int], side: str, round_up: bool, method: str
) -> Geometry | None:
    """The picture resized with its aspect ratio kept, padded at `side`: "center", "end" (right, bottom), "start"."""
    height, width = source.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    inner = [
        min(limit, max(1, int(size * scale + (0.5 if round_up else 1e-9)))) for size, limit in zip(source.shape, shape)
    ]
    if inner[0] == shape[0] and inner[1] == shape[1]:
        return None
    taps = [resize_taps(source.shape[axis], inner[axis], method) for axis in (0, 1)]
    if taps[0] is None or taps[1] is None:
        return None
    starts = []
    for axis in (0, 1):
        gap = shape[axis] - inner[axis]
        # Ultralytics' letterbox rounds gap / 2 - 0.1; it equals the floor for whole gaps.
        starts.append({"center": gap // 2, "end": 0, "start": gap}[side])
    where = {"center": "on both sides", "end": "at the right or bottom", "start": "at the left or top"}[side]
    step = Step(
        "geometry.letterboxed",
        f"the aspect ratio is kept ({inner[1]} x {inner[0]}) and the rest padded {where}, {METHODS[method]}",
        {"width": inner[1], "height": inner[0], "left": starts[1], "top": starts[0]},
    )
    rows, columns = placed(taps[0], starts[0], shape[0]), placed(taps[1], starts[1], shape[1])
    return Geometry(source, rows, columns, NO_TURN, (step,), f"letterbox-{side}-{inner}", method)


def cropped(
    source: NDArray[Any], shape: tuple[int, int], box: tuple[int, int, int, int], method: str, text: str
) -> Geometry | None:
    """The part (top, left, height, width) of the picture, resized to the shape."""
    top, left, height, width = box
    if (
        min(height, width) < 2
        or top < 0
        or left < 0
        or top + height > source.shape[0]
        or left + width > source.shape[1]
    ):
        return None
    rows, columns = resize_taps(height, shape[0], method), resize_taps(width, shape[1], method)
    if rows is None or columns is None:
        return None
    step = Step(
        "geometry.cropped",
        f"{text}: {width} x {height} from ({left}, {top})",
        {"left": left, "top": top, "width": width, "height": height},
    )
    rows, columns = placed(rows, 0, shape[0], top), placed(columns, 0, shape[1], left)
    return Geometry(source, rows, columns, NO_TURN, (step,), f"crop-{box}", method)


def relocated(source: NDArray[Any], box: tuple[int, int, int, int], down: int, right: int) -> Geometry | None:
    """A letterboxed picture, in `box` (top, left, height, width) of the source, at another place in its padding."""
    import numpy as np

    taps = []
    for axis, by in ((0, down), (1, right)):
        start, length, total = box[axis] + by, box[axis + 2], source.shape[axis]
        if start < 0 or start + length > total:
            return None
        place = np.arange(total)
        inside = (place >= start) & (place < start + length)
        taps.append(Taps(np.clip(place - by, 0, total - 1)[:, None], np.ones((total, 1)), inside))
    top, left = box[0] + down, box[1] + right
    step = Step(
        "geometry.letterboxed",
        f"the picture lies at ({left}, {top}) in the padding, not at ({box[1]}, {box[0]})",
        {"left": left, "top": top, "width": box[3], "height": box[2]},
    )
    return Geometry(source, taps[0], taps[1], NO_TURN, (step,), f"relocated-{down}-{right}", exact=True)


def boxed(source: NDArray[Any], box: tuple[int, int, int, int], method: str) -> Geometry | None:
    """The expected input squeezed into the box (top, left, height, width) of the observed one, the rest padding."""
    top, left, height, width = box
    rows, columns = resize_taps(source.shape[0], height, method), resize_taps(source.shape[1], width, method)
    if rows is None or columns is None:
        return None
    step = Step(
        "geometry.letterboxed",
        f"padded: the picture fills only {width} x {height} at ({left}, {top})",
        {"width": width, "height": height, "left": left, "top": top},
    )
    return Geometry(
        source,
        placed(rows, top, source.shape[0]),
        placed(columns, left, source.shape[1]),
        NO_TURN,
        (step,),
        f"boxed-{box}",
        method,
    )


# Rows and columns missing at the top, left, bottom and right when a crop's bounds are off by one.
_TRIMS = ((1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1))


def trimmed(picture: NDArray[Any], shape: tuple[int, int], methods: tuple[str, ...]) -> Iterator[Geometry]:
    """The picture without its outermost rows or columns, resized to the shape: a crop that is off by one."""
    height, width = picture.shape[:2]
    for method in methods:
        for top, left, bottom, right in _TRIMS:
            box = (top, left, height - top - bottom, width - left - right)
            item = cropped(picture, shape, box, method, "the outermost rows or columns are missing")
            if item is not None:
                yield replace(item, family=f"trim-{top}{left}{bottom}{right}")


def from_picture(picture: NDArray[Any], shape: tuple[int, int], methods: tuple[str, ...]) -> Iterator[Geometry]:
    """Every way to bring a picture of any size to the input's size, with each interpolation named."""
    height, width = picture.shape[:2]
    for method in methods:
        made = [stretched(picture, shape, method)]
        for side in ("center", "end", "start"):
            sizes = [letterboxed(picture, shape, side, up, method) for up in (False, True)]
            made += sizes if sizes[0] is None or sizes[1] is None or sizes[0].family != sizes[1].family else sizes[:1]
        side = min(height / shape[0], width / shape[1])
        part = (min(height, round(shape[0] * side)), min(width, round(shape[1] * side)))
        if part != (height, width):
            centre = ((height - part[0]) // 2, (width - part[1]) // 2, *part)
            made.append(cropped(picture, shape, centre, method, "the middle is cut out to the input's aspect ratio"))
        yield from (item for item in made if item is not None)
    if height >= shape[0] and width >= shape[1]:
        for top, left, text in (
            ((height - shape[0]) // 2, (width - shape[1]) // 2, "the middle is cut out, not resized"),
            (0, 0, "the top left corner is cut out, not resized"),
        ):
            item = cropped(picture, shape, (top, left, *shape), "nearest", text)
            if item is not None:
                yield item

"""What a wrong layer's values look like beside the right ones: the same elsewhere, scaled, in some channels only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIGGEST = 1 << 24


@dataclass(frozen=True)
class DifferencePattern:
    """`id` is "zero", "constant", "moved", "linear", "channels", "rows", "prefix" or empty; `numbers` measure it."""

    id: str
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


def describe(board: NDArray[Any], expected: NDArray[Any], step: float) -> DifferencePattern:
    """The clearest pattern in the difference of two tensors of equal shape; `step` is what counts as equal."""
    import numpy as np

    if board.size == 0 or board.size > _BIGGEST:
        return DifferencePattern("", "")
    ours, theirs = np.asarray(board, np.float64), np.asarray(expected, np.float64)
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return DifferencePattern("", "")
    if (theirs != theirs.flat[0]).any():
        if not ours.any():
            return DifferencePattern("zero", "the board's tensor is all zero")
        if (ours == ours.flat[0]).all():
            return DifferencePattern(
                "constant", f"every element of the board's tensor is {ours.flat[0]:g}", {"value": float(ours.flat[0])}
            )
    wrong = np.abs(ours - theirs) > step
    share = float(wrong.mean())
    if share > 0.02 and np.unique(theirs).size >= 16:
        difference = np.abs(np.sort(ours, axis=None) - np.sort(theirs, axis=None)).max()
        if difference <= step:
            return DifferencePattern(
                "moved", "the board has the right values in other places: a layout or transposition", {"share": share}
            )
        linear = _linear(ours, theirs, step)
        if linear is not None:
            return linear
    return _located(wrong, share)


def _linear(ours: NDArray[Any], theirs: NDArray[Any], step: float) -> DifferencePattern | None:
    spread = theirs - theirs.mean()
    power = float((spread * spread).sum())
    if power == 0:
        return None
    factor = float((spread * (ours - ours.mean())).sum()) / power
    offset = float(ours.mean() - factor * theirs.mean())
    error = abs(ours - (factor * theirs + offset)).max()
    plain = abs(factor - 1) < 1e-3 and abs(offset) <= step
    if plain or abs(factor) < 1e-3 or error > 1.5 * step:
        return None
    return DifferencePattern(
        "linear",
        f"board = {factor:.6g} * simulator {offset:+.6g} everywhere: another scale or zero point",
        {"factor": factor, "offset": offset, "residual": float(error)},
    )


def _located(wrong: NDArray[Any], share: float) -> DifferencePattern:
    import numpy as np

    if not wrong.any():
        return DifferencePattern("", "")
    flat = wrong.reshape(-1)
    first = int(np.flatnonzero(flat)[0])
    numbers = {"share": share, "first": float(first)}
    if wrong.ndim >= 2 and wrong.shape[1] > 1:
        per_channel = np.moveaxis(wrong, 1, 0).reshape(wrong.shape[1], -1).mean(axis=1)
        hit = np.flatnonzero(per_channel > 0)
        if hit.size <= max(1, wrong.shape[1] // 4):
            names = ", ".join(str(index) for index in hit[:8]) + (", ..." if hit.size > 8 else "")
            return DifferencePattern(
                "channels",
                f"wrong in {hit.size} of {wrong.shape[1]} channels only: {names}",
                {**numbers, "channels": float(hit.size)},
            )
    if wrong.ndim >= 3:
        rows = np.flatnonzero(np.moveaxis(wrong, -2, 0).reshape(wrong.shape[-2], -1).any(axis=1))
        if rows.size <= max(1, wrong.shape[-2] // 4):
            return DifferencePattern(
                "rows",
                f"wrong in rows {rows[0]} to {rows[-1]} of {wrong.shape[-2]} only",
                {**numbers, "rows": float(rows.size)},
            )
    if first >= flat.size // 8 and flat[first:].mean() > 0.5:
        return DifferencePattern("prefix", f"right up to element {first} of {flat.size}, wrong behind it", numbers)
    return DifferencePattern("", f"{100 * share:.3g} % of the elements are wrong, over the whole tensor", numbers)

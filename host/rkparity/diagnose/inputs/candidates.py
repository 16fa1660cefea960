"""Which pictures the observed one may show: geometries of the expected input and of the original picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rkparity.diagnose.inputs.estimated import constant_border, pad_value
from rkparity.diagnose.inputs.geometry import (
    NO_TURN,
    TURNS,
    Geometry,
    cropped,
    from_picture,
    moved,
    stretched,
    trimmed,
    unchanged,
)
from rkparity.diagnose.inputs.records import Step
from rkparity.diagnose.inputs.resample import METHODS
from rkparity.diagnose.inputs.runtime import Problem

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

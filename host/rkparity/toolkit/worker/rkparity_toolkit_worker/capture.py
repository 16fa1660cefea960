"""Taps in rknn-toolkit2's simulator: our values in, every layer's tensor out, without its text files.

The names replaced are private to `rknn.api.simulator`. Each tap says whether the names are there with the parameters it
knows (2.2.0 to 2.5.0 have them); where not, the caller takes the toolkit's own way or refuses.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import numpy as np

SNAPSHOT_PARAMETERS = ["output_dir", "name", "f_feature_map", "fake_feature_map", "dump_order_list"]
GET_INPUTS_LEADING = ["self", "inputs", "inputs_pass_through", "s_layout", "i", "inp_name"]
INFER_LEADING = ["self", "sess", "feature_map"]


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def snapshot_tap_works(simulator: Any) -> bool:
    """Whether the module function that writes a snapshot's tensor is the one this file replaces."""
    return _parameters(getattr(simulator, "_snapshot_tensor", None)) == SNAPSHOT_PARAMETERS


def layer_tap_works(simulator: Any) -> bool:
    """Whether the simulator class has the two methods through which inputs enter and layers' values leave."""
    kind = getattr(simulator, "Simulator", None)
    get_inputs = _parameters(getattr(kind, "_get_inputs", None))
    infer = _parameters(getattr(kind, "_infer_by_sess", None))
    return get_inputs[: len(GET_INPUTS_LEADING)] == GET_INPUTS_LEADING and infer[: len(INFER_LEADING)] == INFER_LEADING


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside the block."""
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def graph_inputs(simulator: Any, values: dict[str, Any]) -> Iterator[None]:
    """Inside the block the graph starts from `values` (name to array) as they are: no layout change, mean or std."""

    def get_inputs(
        self: Any, inputs: Any, inputs_pass_through: Any, s_layout: Any, i: Any, inp_name: str, *rest: Any, **more: Any
    ) -> Any:
        return values[inp_name]

    with replaced(simulator.Simulator, "_get_inputs", get_inputs):
        yield


@contextmanager
def layer_values(simulator: Any, keep: Callable[[str, Any], None]) -> Iterator[None]:
    """Inside the block `keep(tensor name, array)` is called for each tensor the moment the simulator has it."""
    original = simulator.Simulator._infer_by_sess

    def infer(self: Any, sess: Any, feature_map: dict[str, Any], *rest: Any, **more: Any) -> Any:
        before = set(feature_map)
        result = original(self, sess, feature_map, *rest, **more)
        for name in feature_map:
            if name not in before:
                keep(name, feature_map[name])
        return result

    with replaced(simulator.Simulator, "_infer_by_sess", infer):
        yield


class Replay:
    """Runs every operator of the simulator on given tensors instead of on the simulator's own.

    The simulator runs one session per operator on a table of live tensors. The moment an operator has written a tensor,
    `keep(name, value, nearest, whole)` gets what it computed, and then the table gets the given value, so that the
    operators behind it read that. `nearest` are the given tensors the value was computed from, the last ones on every
    way up the graph; `whole`: no way up ends without one. Substitution is refused (`misfits`) when shapes differ in
    more than dimensions of 1.
    """

    def __init__(self, substitutes: dict[str, Any], keep: Callable[[str, Any, list[str], bool], None]) -> None:
        self._substitutes = substitutes
        self._keep = keep
        self._sources: dict[str, tuple[list[str], bool]] = {}
        self.used: list[str] = []
        self.misfits: list[str] = []

    def inputs(self, values: dict[str, Any]) -> None:
        """The graph's inputs enter; they count as given when they are among the substitutes."""
        for name in values:
            given = name in self._substitutes
            self._sources[name] = ([name] if given else [], given)

    def run(
        self, original: Callable[..., Any], instance: Any, session: Any, table: dict[str, Any], *rest: Any, **more: Any
    ) -> Any:
        """One operator."""
        read = [item.name for item in session.get_inputs()]
        before = set(table)
        result = original(instance, session, table, *rest, **more)
        # A tensor the table never held is a constant of the graph.
        known = [self._sources[name] for name in read if name in self._sources]
        nearest = list(dict.fromkeys(name for names, _ in known for name in names))
        whole = bool(known) and all(complete for _, complete in known)
        for name in [name for name in table if name not in before]:
            computed = np.asarray(table[name])
            self._keep(name, computed, nearest, whole)
            self._sources[name] = (nearest, whole)
            given = self._substitutes.get(name)
            if given is not None:
                if _squeezed(given.shape) != _squeezed(computed.shape):
                    self.misfits.append(name)
                    continue
                table[name] = given.reshape(computed.shape).astype(computed.dtype)
                self._sources[name] = ([name], True)
                self.used.append(name)
        return result


@contextmanager
def replayed(simulator: Any, replay: Replay) -> Iterator[None]:
    """Inside the block every operator goes through `replay`."""
    original = simulator.Simulator._infer_by_sess

    def infer(self: Any, sess: Any, feature_map: dict[str, Any], *rest: Any, **more: Any) -> Any:
        return replay.run(original, self, sess, feature_map, *rest, **more)

    with replaced(simulator.Simulator, "_infer_by_sess", infer):
        yield


def _squeezed(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


class SnapshotWriter:
    """Stands where the toolkit writes a snapshot's tensor: writes golden and simulator as numbered npy files.

    Numbered files keep tensors apart whose names differ only in `/ : . ;`, which the toolkit lets overwrite each other
    (evidence toolkit/odd_names).
    """

    def __init__(self, golden: Path, simulator: Path) -> None:
        self.folders: Sequence[tuple[str, Path]] = (("golden", golden), ("simulator", simulator))
        self.rows: list[dict[str, Any]] = []

    def __call__(
        self,
        output_dir: Any,
        name: str,
        f_feature_map: dict[str, Any],
        fake_feature_map: dict[str, Any],
        dump_order_list: list[Any] | None,
    ) -> None:
        row: dict[str, Any] = {"name": name, "file": f"{len(self.rows):04d}.npy"}
        for (kind, folder), values in zip(self.folders, (f_feature_map, fake_feature_map)):
            array = np.asarray(values[name])
            save(folder / row["file"], array)
            row[kind] = {"dtype": array.dtype.name, "shape": list(array.shape)}
        self.rows.append(row)


def save(path: Path, array: Any) -> None:
    """Writes one npy in C order; a scalar stays a scalar."""
    with path.open("wb") as file:
        np.lib.format.write_array(
            file, array if array.flags.c_contiguous else array.copy(order="C"), version=(1, 0), allow_pickle=False
        )

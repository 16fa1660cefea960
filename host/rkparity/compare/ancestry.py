"""Which compared tensors a layer was computed from: by the compiled model's node list, or by execution order alone."""

from __future__ import annotations

from dataclasses import dataclass

from rkparity.compare.verdict import Origin, Verdict
from rkparity.model.records import Model, TensorKind
from rkparity.runs.dump_names import sanitize

_CONSTANTS = (TensorKind.CONST, TensorKind.CPU_CONST, TensorKind.OTHER)


@dataclass(frozen=True)
class Seen:
    """What is known of one compared tensor: its verdict and how far it is from the reference."""

    verdict: Verdict
    relative_error: float


class Ancestry:
    """Remembers verdicts in execution order and answers what a layer's inputs were like.

    With a model, a layer's inputs are the nearest compared tensors up the graph; without, everything before it.
    """

    def __init__(self, model: Model | None) -> None:
        self._seen: dict[tuple[int, str], Seen] = {}
        self._graph = _Graph(model) if model is not None and model.nodes else None

    @property
    def by_graph(self) -> bool:
        """Whether the node list decides."""
        return self._graph is not None

    def inputs_of(self, order: int) -> list[Seen]:
        """What is known of the inputs of operator `order`."""
        if self._graph is not None:
            return self._graph.nearest(order, self._seen)
        return [seen for (index, _), seen in self._seen.items() if index < order]

    def remember(self, order: int, tensor: str, seen: Seen) -> None:
        """Adds a judged tensor (its real or sanitised name); of several dumps of one tensor the worst counts."""
        key = (order, sanitize(tensor))
        known = self._seen.get(key)
        if known is None or (
            known.verdict is not Verdict.FAIL
            and (seen.verdict is Verdict.FAIL or seen.relative_error > known.relative_error)
        ):
            self._seen[key] = seen

    def origin(self, order: int) -> Origin:
        """Whether a failure of operator `order` is its own."""
        if not any(seen.verdict is Verdict.FAIL for seen in self.inputs_of(order)):
            return Origin.OWN
        return Origin.INHERITED if self.by_graph else Origin.INHERITED_BY_ORDER


class _Graph:
    def __init__(self, model: Model) -> None:
        self._names = [sanitize(tensor.name) for tensor in model.tensors]
        self._inputs = {
            node.index: [tensor for tensor in node.inputs if model.tensors[tensor].kind not in _CONSTANTS]
            for node in model.nodes
        }
        self._producer = {tensor: node.index for node in model.nodes for tensor in node.outputs}

    def nearest(self, order: int, seen: dict[tuple[int, str], Seen]) -> list[Seen]:
        found: list[Seen] = []
        visited: set[int] = set()
        waiting = list(self._inputs.get(order, []))
        while waiting:
            tensor = waiting.pop()
            producer = self._producer.get(tensor)
            # The file is not trusted: its graph may have a cycle or name itself.
            if tensor in visited or producer is None or producer == order:
                continue
            visited.add(tensor)
            known = seen.get((producer, self._names[tensor]))
            if known is not None:
                found.append(known)
            else:
                waiting.extend(self._inputs.get(producer, []))
        return found

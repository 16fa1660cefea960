"""One model's operators in both precisions, and any mixture of them run on given inputs without a build.

accuracy_analysis makes, for every operator, a float32 session and a quantised one and runs them in turn: golden
(`fake=False`), entire, single (2.2.0 to 2.5.0). Keeping the sessions as they pass gives an executor in which each
operator is float or int8 as asked. The rules of mixing are those of hybrid_quantization_step2, read from what it
builds (evidence toolkit/outlier_channel): an operator is float when its output tensor is listed; a float tensor read
by an int8 operator is quantised on the way, so it gains nothing until its readers are float as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Mapping

import numpy as np

from rkparity_toolkit_worker.capture import layer_tap_works, replaced, snapshot_tap_works
from rkparity_toolkit_worker.failures import JobFailed, call_toolkit


@dataclass
class SessionOperator:
    """One node of the simulator's graph: the tensors it reads and makes, its two sessions, its cost."""

    index: int
    op_type: str
    reads: list[str]
    makes: list[str]
    float_session: Any
    quant_session: Any = None
    macs: int = 0
    constants: list[str] = field(default_factory=list)
    single: dict[str, dict[str, float]] = field(default_factory=dict)
    entire: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Values:
    """Every tensor of one sample, float32 and int8 (the latter dequantised)."""

    golden: dict[str, Any] = field(default_factory=dict)
    int8: dict[str, Any] = field(default_factory=dict)


class MixedGraph:
    """The operators in execution order, golden and int8 values of every tensor on some samples, and the mixer.

    The first `judged` samples are those whose cosine counts; the others make the squared error less of an accident.
    """

    def __init__(
        self, module: Any, simulator: Any, infer: Any, operators: list[SessionOperator], outputs: list[str]
    ) -> None:
        self.operators = operators
        self.outputs = outputs
        self._module = module
        self._simulator = simulator
        self._infer = infer
        self.table = simulator.quant_tab
        self.samples: list[Values] = []
        self.judged = 1
        self.producer = {name: operator.index for operator in operators for name in operator.makes}
        self.readers: dict[str, list[int]] = {}
        for operator in operators:
            for name in operator.reads:
                self.readers.setdefault(name, []).append(operator.index)

    def quantised(self, name: str) -> bool:
        """Whether the tensor has an integer scale in this model."""
        entry = self.table.get(name)
        return entry is not None and len(np.ravel(entry.get("scale", []))) > 0

    def fused_away(self, name: str) -> bool:
        """Whether the tensor stays float because its operator is fused into the next one."""
        entry = self.table.get(name, {})
        return entry.get("qmode") == "replace" and str(entry.get("qmode_dtype", "")).startswith("float")

    def run_operator(
        self, operator: SessionOperator, values: dict[str, Any], *, weights: bool, storage: bool
    ) -> dict[str, Any]:
        """What one operator makes of `values`, with quantised weights or not, with a quantised output or not."""
        table = dict(values)
        session = operator.quant_session if weights else operator.float_session
        self._infer(self._simulator, session, table, fake=storage)
        return {name: np.asarray(table[name]) for name in operator.makes}

    def fake(self, name: str, value: Any) -> Any:
        """The tensor after a round trip through its integer type.

        `fake_tensor` leaves a tensor that is fused away as it is; where it is stored after all, because its maker and
        its reader differ in precision, step 2 gives it the scale it has in the table (2.3.2, 2.5.0).
        """
        if not self.quantised(name):
            return value
        scales = {key: item for key, item in self.table[name].items() if not key.startswith("qmode")}
        return np.asarray(self._module.fake_tensor(value, scales))

    def read(self, name: str, value: Any, reader_float: bool, floats: set[int]) -> Any:
        """The value as an operator sees it: converted where precision changes between maker and reader."""
        producer = self.producer.get(name)
        if producer is None:
            return value
        if reader_float:
            return self.fake(name, value) if producer not in floats and self.fused_away(name) else value
        return self.fake(name, value) if producer in floats else value

    @property
    def golden(self) -> dict[str, Any]:
        """The float32 tensors of the first sample."""
        return self.samples[0].golden

    def add_sample(self, inputs: Mapping[str, Any], *, judged: bool) -> None:
        """Runs the graph in both precisions on `inputs` and keeps every tensor."""
        values = Values(dict(inputs), dict(inputs))
        for operator in self.operators:
            for table, weights in ((values.golden, False), (values.int8, True)):
                read = {name: table[name] for name in operator.reads}
                table.update(self.run_operator(operator, read, weights=weights, storage=weights))
        self.samples.append(values)
        self.judged += judged

    def mixed_error(self, floats: set[int]) -> dict[str, float]:
        """The outputs' error over all samples with the operators `floats` in float16."""
        return self._error([self.mixed_outputs(floats, sample) for sample in self.samples])

    def injected_error(self, operator: SessionOperator, *, weights: bool) -> float:
        """The squared error over all samples when one operator alone has quantised weights, or a quantised output."""
        found = []
        for sample in self.samples:
            values = {name: sample.golden[name] for name in operator.reads}
            made = self.run_operator(operator, values, weights=weights, storage=not weights)
            same = all(np.array_equal(made[name], sample.golden[name]) for name in operator.makes)
            found.append(
                [sample.golden[name] for name in self.outputs]
                if same
                else self.injected_outputs(operator, made, sample)
            )
        return self._error(found)["squared"]

    def _error(self, found: list[list[Any]]) -> dict[str, float]:
        scores = [
            [relative_error(value, sample.golden[name]) for value, name in zip(outputs, self.outputs)]
            for outputs, sample in zip(found, self.samples)
        ]
        return {
            "squared": float(np.mean([score["relative"] ** 2 for row in scores for score in row])),
            "cosine": float(np.min([score["cosine"] for row in scores[: self.judged] for score in row])),
        }

    def mixed_outputs(self, floats: set[int], sample: Values) -> list[Any]:
        """The outputs with the operators `floats` in float16; only what differs from the int8 run is computed."""
        floats = self.with_conversions(floats)
        changed: dict[str, Any] = {}
        for operator in self.operators:
            is_float = operator.index in floats
            touched = is_float or any(name in changed or self.producer.get(name) in floats for name in operator.reads)
            if not touched:
                continue
            values = {
                name: self.read(name, changed.get(name, sample.int8[name]), is_float, floats) for name in operator.reads
            }
            made = self.run_operator(operator, values, weights=not is_float, storage=not is_float)
            changed.update({name: rounded(value) if is_float else value for name, value in made.items()})
        return [changed.get(name, sample.int8[name]) for name in self.outputs]

    def with_conversions(self, floats: set[int]) -> set[int]:
        """`floats` and the conversions at the graph's ends that fall away with them.

        Step 2 makes the input float16 when every reader of it is float (evidence toolkit/outlier_channel, c0 alone).
        """
        result = set(floats)
        for operator in self.operators:
            if operator.op_type != "exDataConvert":
                continue
            if operator.makes[0] in self.outputs:
                if self.producer.get(operator.reads[0]) in result:
                    result.add(operator.index)
            elif all(reader in result for name in operator.makes for reader in self.readers.get(name, [])):
                result.add(operator.index)
        return result

    def injected_outputs(self, start: SessionOperator, made: Mapping[str, Any], sample: Values) -> list[Any]:
        """The float outputs when `start` made `made` instead of its golden values."""
        changed = dict(made)
        for operator in self.operators[start.index + 1 :]:
            if any(name in changed for name in operator.reads):
                values = {name: changed.get(name, sample.golden[name]) for name in operator.reads}
                changed.update(self.run_operator(operator, values, weights=False, storage=False))
        return [changed.get(name, sample.golden[name]) for name in self.outputs]

    def float_pass(self, inputs: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        """Runs the float32 graph on other inputs; gives each tensor as it comes, keeping only what is still read."""
        last = {name: max(readers) for name, readers in self.readers.items()}
        values = dict(inputs)
        yield from values.items()
        for operator in self.operators:
            made = self.run_operator(
                operator, {name: values[name] for name in operator.reads}, weights=False, storage=False
            )
            yield from made.items()
            values.update(made)
            for name in [name for name in operator.reads if last[name] <= operator.index and name in values]:
                del values[name]


def capture_graph(module: Any, rknn: Any, inputs: list[str], folder: str, outputs: list[str]) -> MixedGraph:
    """Runs accuracy_analysis once, keeping the sessions and the golden and int8 value of every tensor in memory."""
    if not (layer_tap_works(module) and snapshot_tap_works(module)):
        raise JobFailed("argument", "accuracy_analysis", "this version has no known way to give its operators")
    original = module.Simulator._infer_by_sess
    operators: list[SessionOperator] = []
    golden: dict[str, Any] = {}
    int8: dict[str, Any] = {}
    owners: list[Any] = []

    def infer(self: Any, session: Any, table: dict[str, Any], *rest: Any, **more: Any) -> Any:
        reads = list(dict.fromkeys(item.name for item in session.get_inputs()))
        before = set(table)
        values = {name: np.asarray(table[name]) for name in reads if name in table}
        result = original(self, session, table, *rest, **more)
        made = {name: np.asarray(table[name]) for name in table if name not in before}
        if more.get("fake") is False:
            owners.append(self)
            operators.append(_operator(len(operators), session, list(values), list(made)))
            golden.update({name: value for name, value in values.items() if name not in golden})
            golden.update(made)
            int8.update({name: value for name, value in values.items() if name not in int8})
        elif operators and set(made) == set(operators[-1].makes):
            operator = operators[-1]
            column = operator.single if operator.quant_session is not None else operator.entire
            if operator.quant_session is None:
                operator.quant_session = session
                int8.update(made)
            column.update({name: relative_error(value, golden[name]) for name, value in made.items()})
        return result

    with replaced(module, "_snapshot_tensor", lambda *arguments: None), replaced(
        module.Simulator, "_infer_by_sess", infer
    ):
        call_toolkit("accuracy_analysis", rknn.accuracy_analysis, inputs=inputs, output_dir=folder)
    odd = [operator.index for operator in operators if operator.quant_session is None or not operator.single]
    if not operators or odd or not set(outputs) <= set(golden):
        raise JobFailed("argument", "accuracy_analysis", f"ran its operators in an unknown order (operators {odd[:3]})")
    graph = MixedGraph(module, owners[0], original, operators, outputs)
    graph.samples.append(Values(golden, int8))
    for operator in operators:
        operator.macs = _macs(operator, graph)
    return graph


def rounded(value: Any) -> Any:
    """The value as float16 holds it; integers as they are."""
    if value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)


def relative_error(value: Any, expected: Any) -> dict[str, float]:
    """Cosine, euclidean distance, and that over the expected norm; over the whole tensor in float64."""
    a, b = np.ravel(value).astype(np.float64), np.ravel(expected).astype(np.float64)
    if a.size != b.size:
        raise JobFailed("argument", "accuracy_analysis", f"{a.size} values where {b.size} were expected")
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    difference = float(np.linalg.norm(a - b))
    if norm_b == 0.0:
        alike = norm_a == 0.0
        return {"cosine": float(alike), "euclidean": difference, "relative": float(not alike)}
    cosine = float(a @ b) / (norm_a * norm_b) if norm_a else 0.0
    return {"cosine": cosine, "euclidean": difference, "relative": difference / norm_b}


def _operator(index: int, session: Any, reads: list[str], makes: list[str]) -> SessionOperator:
    node = getattr(session, "node", None)
    constants = [str(name) for name in getattr(session, "_consts", None) or []]
    return SessionOperator(index, str(getattr(node, "op_type", "")), reads, makes, session, constants=constants)


def _macs(operator: SessionOperator, graph: MixedGraph) -> int:
    """Multiplications of a convolution or matrix product: output elements times weights per output channel."""
    sizes = [
        int(np.prod(graph.table[name]["shape"]))
        for name in operator.constants
        if name in graph.table and len(graph.table[name].get("shape", [])) >= 2
    ]
    if not sizes:
        return 0
    made = graph.golden[operator.makes[0]]
    channels = made.shape[1] if made.ndim > 1 else 1
    return int(made.size * max(sizes) // max(channels, 1))


def folder_of(path: str) -> Path:
    """`path` as a folder that exists."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder

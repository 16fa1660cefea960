"""The layer-value server: answers the emulated library over a unix-domain socket, one thread per connection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rkparity.emulator.description import describe, graph_views, layer_tensors
from rkparity.emulator.faults import FaultPlan, make_plan, require_alterable
from rkparity.emulator.model_bytes import core_digest
from rkparity.emulator.protocol import (
    MAX_MODEL_NBYTES,
    NO_NODE,
    NO_VALUE,
    PROTOCOL_VERSION,
    TYPE_CODES,
    Closed,
    ComputeRequest,
    Operation,
    Status,
    read_exactly,
    read_head,
    read_run,
    send_answer,
    u32,
    u64,
)
from rkparity.emulator.values import DynamicSource, RunValues, ValueSource
from rkparity.errors import DataError, RkparityError, UsageError
from rkparity.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

OpenModel = Callable[[str], "tuple[Model, ValueSource]"]
# A run's request is little more than its inputs; this stops nonsense before memory is taken for it.
_RUN_OVERHEAD_NBYTES = 1 << 16


class LayerValueServer:
    """Serves models from `open_model` (by SHA-256 of the `.rknn` bytes); a context manager. `socket_path` is where.

    `converse` talks on a connection in place of the emulated library's conversation.
    """

    def __init__(self, open_model: OpenModel, converse: Callable[[socket.socket], None] | None = None) -> None:
        self._converse = converse or (lambda connection: Conversation(connection, open_model).run())
        # Short: the path of a unix-domain socket may have 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="rkp-emu-"))
        self.socket_path = self._folder / "values"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(self.socket_path))
            self._listener.listen(64)
        except OSError as error:
            self._listener.close()
            raise UsageError(
                f"{self.socket_path}: no socket can be made there: {error}",
                hint="set TMPDIR to a folder with a short path",
            ) from error
        self._thread = threading.Thread(target=self._accept, name="layer-values", daemon=True)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = False

    def __enter__(self) -> LayerValueServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops listening and hangs up on everybody."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        with contextlib.suppress(OSError):
            self.socket_path.unlink()
            self._folder.rmdir()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._converse(connection)
        except (Closed, OSError):
            return  # the program has ended or was killed: nothing to answer
        finally:
            with self._lock:
                self._connections.discard(connection)


class InjectedFailure(Exception):
    """A run that was ordered to fail with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Conversation:
    """One connection: greeting, one model, any number of runs."""

    def __init__(self, connection: socket.socket, open_model: OpenModel) -> None:
        self._connection = connection
        self._open_model = open_model
        self._graphs: list[Model] = []
        self._sources: dict[int, ValueSource] = {}
        self._faults = ("", 0, FaultPlan())
        self._held: tuple[int, tuple[NDArray[Any], ...]] = (0, ())

    def run(self) -> None:
        """Answers requests until the other side hangs up (Closed)."""
        while True:
            try:
                operation, length = read_head(self._connection)
                self._check_length(operation, length)
            except DataError as error:
                # What follows cannot be told apart from a new request any more.
                self._refuse(Status.FAIL, error)
                return
            payload = read_exactly(self._connection, length)
            try:
                parts = self._answer(operation, payload)
            except InjectedFailure as failure:
                send_answer(self._connection, failure.code, [b"the fault fail-run was ordered"])
            except UsageError as error:
                self._refuse(Status.MODEL_INVALID if operation is Operation.OPEN else Status.FAIL, error)
            except RkparityError as error:
                self._refuse(Status.MODEL_INVALID if operation is Operation.OPEN else Status.FAIL, error)
            else:
                send_answer(self._connection, Status.OK, parts)

    def _refuse(self, status: Status, error: RkparityError) -> None:
        sentence = f"{error.message} (hint: {error.hint})" if error.hint else error.message
        # The library shows at most 511 bytes.
        send_answer(self._connection, status, [sentence.encode("utf-8")[:511]])

    def _check_length(self, operation: Operation, length: int) -> None:
        limit = _RUN_OVERHEAD_NBYTES
        if operation is Operation.OPEN:
            limit = MAX_MODEL_NBYTES
        elif operation is Operation.RUN:
            sizes = (sum(8 * _count(tensor.shape) for tensor in graph.input_tensors) for graph in self._graphs)
            limit += max(sizes, default=0)
        if length > limit:
            raise DataError(f"emulator protocol: a request of {length} bytes, at most {limit} are expected")

    def _answer(self, operation: Operation, payload: bytearray) -> Iterable[bytes | memoryview]:
        if operation is Operation.HELLO:
            version = int.from_bytes(payload[:4], "little")
            if version != PROTOCOL_VERSION:
                raise DataError(
                    f"the library speaks version {version} of the emulator's protocol, this server {PROTOCOL_VERSION}",
                    hint="use the librknnrt.so of the same rkparity installation",
                )
            return []
        if operation is Operation.OPEN:
            model, source = self._find_model(payload)
            description = describe(model, simulator=source.description)
            self._graphs, self._sources = graph_views(model), {0: source}
            return [description]
        if not self._graphs:
            raise DataError("emulator protocol: a run before a model was opened")
        request = read_run(payload)
        if request.graph >= len(self._graphs):
            raise DataError(
                f"emulator protocol: a run at the set of shapes {request.graph}, there are {len(self._graphs)}"
            )
        return self._run(self._graphs[request.graph], self._source_of(request.graph), request)

    def _find_model(self, payload: bytearray) -> tuple[Model, ValueSource]:
        """The model of these bytes; a file whose end the caller cut off is known by its beginning."""
        try:
            return self._open_model(hashlib.sha256(payload).hexdigest())
        except UsageError as unknown:
            try:
                return self._open_model(core_digest(payload))
            except UsageError:
                raise unknown from None

    def _source_of(self, graph: int) -> ValueSource:
        if graph not in self._sources:
            first = self._sources[0]
            if not isinstance(first, DynamicSource):
                raise DataError("this source of layer values has one set of input shapes")
            self._sources[graph] = first.at_graph(graph)
        return self._sources[graph]

    def _run(self, model: Model, source: ValueSource, request: ComputeRequest) -> list[bytes | memoryview]:
        if (request.faults, request.graph) != self._faults[:2]:
            self._faults = (request.faults, request.graph, make_plan(request.faults, model))
        plan = self._faults[2]
        time.sleep(plan.slow_s)
        if plan.fail_code:
            raise InjectedFailure(plan.fail_code)
        want_layers = request.want_layers
        if plan.alterations:
            values = require_alterable(source).compute_altered(
                request.values, plan.alterations, want_layers=want_layers
            )
        else:
            values = source.compute(request.values, want_layers=want_layers)
        outputs = self._outputs_kept(values, plan, request.graph)
        self._held = (request.graph, outputs)
        answer = encode_run(model, replace(values, outputs=outputs), want_layers=want_layers)
        nodes = (NO_NODE if node is None else node for node in (plan.failing_node, plan.full_node))
        return [*(u32(node) for node in nodes), *answer]

    def _outputs_kept(self, values: RunValues, plan: FaultPlan, graph: int) -> tuple[NDArray[Any], ...]:
        """The outputs; a stuck one, and all when a layer fails, keep what the run before left, at first zeros."""
        import numpy as np

        held_graph, held = self._held
        same = held if held_graph == graph else ()
        before = same or tuple(np.zeros_like(array) for array in values.outputs)
        return tuple(
            before[index] if index in plan.stuck_outputs or plan.failing_node is not None else array
            for index, array in enumerate(values.outputs)
        )


def encode_run(model: Model, values: RunValues, *, want_layers: bool) -> list[bytes | memoryview]:
    """A RUN answer: outputs, then, if wanted, every layer in the order of the dumps."""
    parts: list[bytes | memoryview] = [u32(len(values.outputs))]
    for array in values.outputs:
        parts += [u32(TYPE_CODES[array.dtype.name]), u64(array.nbytes), array.data.cast("B")]
    if not want_layers:
        return parts
    for item in layer_tensors(model):
        layer = values.layers.get(item.tensor.name)
        if layer is None:
            parts.append(u32(item.node) + u32(item.slot) + u32(NO_VALUE) + u64(0))
        else:
            parts += [
                u32(item.node) + u32(item.slot) + u32(TYPE_CODES[layer.dtype.name]) + u64(layer.nbytes),
                layer.data.cast("B"),
            ]
    return parts


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count


def socket_environment(path: Path) -> dict[str, str]:
    """What a program needs in its environment to find the server at `path`, wherever its librknnrt.so lies."""
    return {"RKPARITY_EMULATOR_SOCKET": os.fspath(path)}

"""Where outputs come from (a run, a trace, files of the application), and what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.compare.dumps import DumpSet
from rkparity.compare.source import TensorSource
from rkparity.diagnose.outputs.records import ExpectedOutput, ObservedOutput
from rkparity.errors import DataError, UsageError
from rkparity.model.records import Model
from rkparity.runs import RunReader, open_npy
from rkparity.runs.dump_names import sanitize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rkparity.model.records import ModelTensor
    from rkparity.trace import Trace

_RAW_DTYPES = {".f32": "<f4", ".f16": "<f2", ".i8": "|i1", ".u8": "|u1", ".bin": "|u1"}


def expected_outputs(dumps: DumpSet, reference: TensorSource, model: Model) -> list[ExpectedOutput]:
    """Every output of the model as it should be: its OutputOperator dump, else the simulator's tensor of its name."""
    dumped = {entry.name.tensor: entry for entry in dumps.entries if entry.name.is_output and not entry.name.is_text}
    simulated = {record.name: record for record in reference.manifest.tensors}
    found = []
    for index, tensor in enumerate(model.output_tensors):
        entry = dumped.get(sanitize(tensor.name))
        if entry is not None:
            values = _in_shape(_real(open_npy(dumps.path(entry)), tensor), tensor)
            found.append(_expected(index, tensor, values, f"the OutputOperator dump {entry.file}", True))
            continue
        record = simulated.get(tensor.name)
        if record is not None:
            values = _in_shape(reference.tensor(record), tensor)
            found.append(_expected(index, tensor, values, "the simulator's output", False))
    return found


def _expected(index: int, tensor: ModelTensor, values: NDArray[Any], source: str, exact: bool) -> ExpectedOutput:
    quantized = tensor.is_quantized and len(tensor.scale) == 1 and len(tensor.zero_point) == 1
    return ExpectedOutput(
        index,
        tensor.name,
        values,
        source,
        exact,
        tensor.dtype,
        tensor.scale[0] if quantized else None,
        tensor.zero_point[0] if quantized else 0,
    )


def _real(array: NDArray[Any], tensor: ModelTensor) -> NDArray[Any]:
    """Raw int8 dumps (RKNN_DUMP_QUANT) dequantised; everything else as it is."""
    import numpy as np

    if array.dtype.name == tensor.dtype and tensor.is_quantized and len(tensor.scale) == 1:
        real: NDArray[Any] = (array.astype(np.float32) - np.float32(tensor.zero_point[0])) * np.float32(tensor.scale[0])
        return real
    return array


def _in_shape(array: NDArray[Any], tensor: ModelTensor) -> NDArray[Any]:
    import numpy as np

    if array.size == int(np.prod(tensor.shape, dtype=np.int64)):
        return array.reshape(tensor.shape)
    return array


def run_outputs(run: RunReader) -> list[ObservedOutput]:
    """The outputs a run kept (`outputs/`), as its settings list them."""
    listed = run.manifest.settings.get("outputs")
    found = []
    for item in listed if isinstance(listed, list) else []:
        index, file = (item.get("index"), item.get("file")) if isinstance(item, dict) else (None, None)
        if not isinstance(index, int) or not isinstance(file, str):
            continue
        path = run.file(f"outputs/{file}")
        if not path.is_file():
            continue
        array = open_npy(path)
        layout = str(item.get("layout") or "")
        declared = "float" if array.dtype.kind == "f" else "raw"
        found.append(ObservedOutput(index, array, f"outputs/{file}", f"outputs/{file}", declared, layout))
    return found


def file_outputs(files: Sequence[Path]) -> list[ObservedOutput]:
    """Outputs an application wrote itself, one file per output: .npy, or raw .f32 .f16 .i8 .u8 by extension."""
    import numpy as np

    found = []
    for index, path in enumerate(files):
        if not path.is_file():
            raise UsageError(f"{path}: does not exist", hint="give one file per model output, in the model's order")
        if path.suffix == ".npy":
            array = open_npy(path)
        elif path.suffix in _RAW_DTYPES:
            dtype = np.dtype(_RAW_DTYPES[path.suffix])
            if path.stat().st_size % dtype.itemsize:
                raise DataError(f"{path}: has {path.stat().st_size} bytes, no whole number of {dtype.name} values")
            array = np.fromfile(path, dtype=dtype)
        else:
            raise UsageError(f"{path}: its type is not known", hint="use .npy, or " + " ".join(sorted(_RAW_DTYPES)))
        found.append(ObservedOutput(index, array, path.name, str(path)))
    return found


def trace_outputs(trace: Trace) -> list[list[ObservedOutput]]:
    """The outputs whose buffers a trace kept, one list per rknn_outputs_get or zero-copy run, in order."""
    from rkparity.trace import OutputsGet, Run

    folder = trace.path.parent
    runs: list[list[ObservedOutput]] = []
    for call in trace.calls:
        kept: list[ObservedOutput] = []
        if isinstance(call.details, OutputsGet):
            for output in call.details.outputs:
                if output.content is not None and output.content.file:
                    array = open_npy(beside(folder, output.content.file))
                    declared = "float" if output.want_float else "raw"
                    source = f"output {output.position} of call {call.seq} (rknn_outputs_get)"
                    kept.append(ObservedOutput(output.position, array, source, output.content.file, declared))
        elif isinstance(call.details, Run):
            for bound in call.details.bound:
                if bound.direction == "output" and bound.after is not None and bound.after.file:
                    array = open_npy(beside(folder, bound.after.file))
                    source = f"the memory bound to output {bound.index} after call {call.seq} (rknn_run)"
                    kept.append(ObservedOutput(bound.index, array, source, bound.after.file))
        if kept:
            runs.append(kept)
    return runs


def beside(folder: Path, name: str) -> Path:
    """The file a trace names, which must lie beside it; DataError otherwise."""
    if not name or "/" in name or name.startswith("."):
        raise DataError(f"{folder}: the trace names the file {name!r}, which is not beside it")
    return folder / name

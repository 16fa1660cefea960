"""Unpacks the ONNX backend tests into models and inputs rknn-toolkit2 can be given; run by the toolkit's interpreter.

`python backend_cases.py FOLDER` writes FOLDER/CASE/{model.onnx, input0.npy, ...} and FOLDER/cases.json. A test comes as
it is, and, where it has several inputs, once more with all but the first made constants of the model (`CASE+const`):
the tests feed shapes, axes and weights as inputs, which real models hold as constants. Operator sets newer than the
toolkit reads are converted down where onnx can.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, version_converter
from onnx.backend import test as backend_test

NUMPY_TYPES = {onnx.helper.np_dtype_to_tensor_dtype(np.dtype(code)) for code in "?bBhHiIlLefd"}
# The newest that rknn-toolkit2 2.2.0 to 2.5.0 read.
NEWEST_OPSET = 19


def main() -> None:
    folder = Path(sys.argv[1])
    data = Path(backend_test.__file__).resolve().parent / "data"
    cases: list[dict[str, object]] = []
    left_out: dict[str, str] = {}
    for model in sorted(data.glob("*/*/model.onnx")):
        name = f"{model.parts[-3]}/{model.parts[-2]}"
        proto = lowered(onnx.load(str(model)))
        arrays, reason = read_inputs(model.parent / "test_data_set_0", proto)
        if arrays is None:
            left_out[name] = reason
            continue
        cases.append(write(folder, name, proto, arrays))
        if len(arrays) > 1:
            for array in arrays[1:]:
                fold(proto, *array)
            cases.append(write(folder, name + "+const", proto, arrays[:1]))
    (folder / "cases.json").write_text(json.dumps({"cases": cases, "left_out": left_out}, indent=1))


def lowered(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in an operator set the toolkit reads, where onnx can convert it."""
    opset = next((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), 0)
    if opset <= NEWEST_OPSET:
        return proto
    try:
        return version_converter.convert_version(proto, NEWEST_OPSET)
    except (RuntimeError, onnx.checker.ValidationError):
        return proto


def read_inputs(folder: Path, proto: onnx.ModelProto) -> tuple[list[tuple[str, np.ndarray]] | None, str]:
    """Name and value of every input that is not a constant, or why the test is of no use here."""
    constants = {item.name for item in proto.graph.initializer}
    named = [item for item in proto.graph.input if item.name not in constants]
    found = []
    for index, item in enumerate(named):
        file = folder / f"input_{index}.pb"
        if not item.type.HasField("tensor_type"):
            return None, f"input {item.name} is no tensor but a {item.type.WhichOneof('value')}"
        if not file.is_file():
            return None, f"there is no value for input {item.name}"
        tensor = onnx.TensorProto()
        tensor.ParseFromString(file.read_bytes())
        if tensor.data_type not in NUMPY_TYPES:
            return None, f"input {item.name} is of type {onnx.TensorProto.DataType.Name(tensor.data_type)}"
        found.append((item.name, numpy_helper.to_array(tensor)))
    return (found, "") if found else (None, "it has no input")


def fold(proto: onnx.ModelProto, name: str, array: np.ndarray) -> None:
    """Makes the input `name` a constant."""
    graph = proto.graph
    graph.initializer.append(numpy_helper.from_array(array, name))
    kept = [item for item in graph.input if item.name != name]
    del graph.input[:]
    graph.input.extend(kept)


def write(folder: Path, name: str, proto: onnx.ModelProto, arrays: list[tuple[str, np.ndarray]]) -> dict[str, object]:
    """Writes one case and describes it."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(home / "model.onnx"))
    for index, (_, array) in enumerate(arrays):
        np.save(home / f"input{index}.npy", array)
    (home / "dataset.txt").write_text(" ".join(f"input{index}.npy" for index in range(len(arrays))) + "\n")
    return {"name": name, "inputs": [[item, list(array.shape)] for item, array in arrays]}


if __name__ == "__main__":
    main()

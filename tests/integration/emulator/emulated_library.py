"""librknnrt's interface through ctypes, and a player for recorded experiments."""

from __future__ import annotations

import ctypes as c
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

TYPES = {"f32": 0, "f16": 1, "i8": 2, "u8": 3, "int16": 4, "uint16": 5, "int32": 6, "uint32": 7, "int64": 8, "bool": 9}
TYPE_NAMES = ["FP32", "FP16", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "BOOL"]
TYPE_NBYTES = [4, 2, 1, 1, 2, 2, 4, 4, 8, 1]
FORMATS = {"nchw": 0, "nhwc": 1, "nc1hwc2": 2, "undefined": 3}
FORMAT_NAMES = ["NCHW", "NHWC", "NC1HWC2", "UNDEFINED"]
QUERIES = {
    1: "INPUT_ATTR",
    2: "OUTPUT_ATTR",
    8: "NATIVE_INPUT_ATTR(8)",
    9: "NATIVE_OUTPUT_ATTR(9)",
    10: "NATIVE_NHWC_INPUT_ATTR(10)",
    11: "NATIVE_NHWC_OUTPUT_ATTR(11)",
}


class TensorAttr(c.Structure):
    _fields_ = [
        ("index", c.c_uint32),
        ("n_dims", c.c_uint32),
        ("dims", c.c_uint32 * 16),
        ("name", c.c_char * 256),
        ("n_elems", c.c_uint32),
        ("size", c.c_uint32),
        ("fmt", c.c_int),
        ("type", c.c_int),
        ("qnt_type", c.c_int),
        ("fl", c.c_int8),
        ("zp", c.c_int32),
        ("scale", c.c_float),
        ("w_stride", c.c_uint32),
        ("size_with_stride", c.c_uint32),
        ("pass_through", c.c_uint8),
        ("h_stride", c.c_uint32),
    ]


class Input(c.Structure):
    _fields_ = [
        ("index", c.c_uint32),
        ("buf", c.c_void_p),
        ("size", c.c_uint32),
        ("pass_through", c.c_uint8),
        ("type", c.c_int),
        ("fmt", c.c_int),
    ]


class Output(c.Structure):
    _fields_ = [
        ("want_float", c.c_uint8),
        ("is_prealloc", c.c_uint8),
        ("index", c.c_uint32),
        ("buf", c.c_void_p),
        ("size", c.c_uint32),
    ]


class TensorMem(c.Structure):
    _fields_ = [
        ("virt_addr", c.c_void_p),
        ("phys_addr", c.c_uint64),
        ("fd", c.c_int32),
        ("offset", c.c_int32),
        ("size", c.c_uint32),
        ("flags", c.c_uint32),
        ("priv_data", c.c_void_p),
    ]


class Version(c.Structure):
    _fields_ = [("api", c.c_char * 256), ("driver", c.c_char * 256)]


assert c.sizeof(TensorAttr) == 376


def load(path: Path) -> c.CDLL:
    """The library with its prototypes."""
    library = c.CDLL(str(path))
    context = c.c_uint64
    library.rknn_init.argtypes = [c.POINTER(context), c.c_void_p, c.c_uint32, c.c_uint32, c.c_void_p]
    library.rknn_dup_context.argtypes = [c.POINTER(context), c.POINTER(context)]
    library.rknn_destroy.argtypes = [context]
    library.rknn_query.argtypes = [context, c.c_int, c.c_void_p, c.c_uint32]
    library.rknn_inputs_set.argtypes = [context, c.c_uint32, c.c_void_p]
    library.rknn_run.argtypes = [context, c.c_void_p]
    library.rknn_outputs_get.argtypes = [context, c.c_uint32, c.c_void_p, c.c_void_p]
    library.rknn_outputs_release.argtypes = [context, c.c_uint32, c.c_void_p]
    library.rknn_create_mem.argtypes = [context, c.c_uint32]
    library.rknn_create_mem.restype = c.POINTER(TensorMem)
    library.rknn_destroy_mem.argtypes = [context, c.POINTER(TensorMem)]
    library.rknn_set_io_mem.argtypes = [context, c.POINTER(TensorMem), c.POINTER(TensorAttr)]
    library.rknn_mem_sync.argtypes = [context, c.POINTER(TensorMem), c.c_int]
    return library


class Runtime:
    """One context, its calls as methods that return what the library returned."""

    def __init__(self, library: c.CDLL) -> None:
        self.library = library
        self.context = c.c_uint64(0)
        self._alive: list[object] = []

    def init(self, model: bytes, *, flags: int = 0, size: int | None = None) -> int:
        return self.library.rknn_init(
            c.byref(self.context),
            c.create_string_buffer(model, len(model)),
            len(model) if size is None else size,
            flags,
            None,
        )

    def init_path(self, path: Path) -> int:
        return self.library.rknn_init(c.byref(self.context), c.c_char_p(os.fsencode(path)), 0, 0, None)

    def attr(self, command: int, index: int) -> tuple[int, TensorAttr]:
        attr = TensorAttr(index=index)
        return self.library.rknn_query(self.context, command, c.byref(attr), c.sizeof(attr)), attr

    def count(self) -> tuple[int, int]:
        numbers = (c.c_uint32 * 2)()
        assert self.library.rknn_query(self.context, 0, c.byref(numbers), 8) == 0
        return numbers[0], numbers[1]

    def version(self) -> str:
        version = Version()
        assert self.library.rknn_query(self.context, 5, c.byref(version), c.sizeof(version)) == 0
        return version.api.decode()

    def inputs_set(self, inputs: list[tuple[bytes, int, int, int]], *, sizes: list[int] | None = None) -> int:
        """`inputs`: (bytes, type, fmt, pass_through) each."""
        array = (Input * max(len(inputs), 1))()
        for i, (data, type_code, fmt, pass_through) in enumerate(inputs):
            buffer = c.create_string_buffer(data, len(data))
            self._alive.append(buffer)
            array[i] = Input(
                i, c.cast(buffer, c.c_void_p), sizes[i] if sizes else len(data), pass_through, type_code, fmt
            )
        return self.library.rknn_inputs_set(self.context, len(inputs), array)

    def run(self) -> int:
        return self.library.rknn_run(self.context, None)

    def outputs_get(self, want: list[bool], *, indices: list[int] | None = None) -> tuple[int, list[bytes]]:
        array = (Output * max(len(want), 1))()
        for i, wanted in enumerate(want):
            array[i] = Output(wanted, 0, indices[i] if indices else i, None, 0)
        status = self.library.rknn_outputs_get(self.context, len(want), array, None)
        values = [c.string_at(item.buf, item.size) for item in array] if status == 0 else []
        self.library.rknn_outputs_release(self.context, len(want), array)
        return status, values

    def bind(self, attr: TensorAttr, size: int, data: bytes = b"") -> tuple[int, c.Array | None]:
        mem = self.library.rknn_create_mem(self.context, size)
        if data:
            c.memmove(mem.contents.virt_addr, data, min(len(data), size))
        return self.library.rknn_set_io_mem(self.context, mem, c.byref(attr)), mem

    def destroy(self) -> int:
        return self.library.rknn_destroy(self.context)


def attr_text(command: int, status: int, attr: TensorAttr) -> str:
    """An attribute as the recorded logs print it."""
    dims = ",".join(str(dim) for dim in attr.dims[: attr.n_dims])
    type_name = TYPE_NAMES[attr.type]
    return (
        f"{QUERIES[command]} rc={status} index={attr.index} name={attr.name.decode()} n_dims={attr.n_dims} "
        f"dims=[{dims}] n_elems={attr.n_elems} size={attr.size} fmt={attr.fmt}({FORMAT_NAMES[attr.fmt]}) "
        f"type={attr.type}({type_name}) qnt_type={attr.qnt_type} fl={attr.fl} zp={attr.zp} scale={attr.scale:.9g} "
        f"w_stride={attr.w_stride} size_with_stride={attr.size_with_stride} pass_through={attr.pass_through} "
        f"h_stride={attr.h_stride}"
    )


@dataclass
class Played:
    """What came of an experiment: return codes by call, attribute lines, output buffers, memories read."""

    codes: list[tuple[str, int]] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    memories: list[bytes] = field(default_factory=list)


def play(library: c.CDLL, folder: Path, model: bytes) -> Played:
    """Plays the calls of `folder`/experiment.json with the recorded input buffers."""
    calls = json.loads((folder / "experiment.json").read_text())["calls"]
    runtime, played = Runtime(library), Played()
    inputs: list[tuple[bytes, int, int, int]] = []
    wants: list[bool] = []
    indices: list[int] = []
    memories: dict[tuple[str, int], object] = {}
    for call in calls:
        name, _, rest = call.partition(":")
        options = dict(item.split("=", 1) for item in rest.split(",")) if rest else {}
        index = int(options.get("i", 0))
        if name == "init":
            played.codes.append(("rknn_init", runtime.init(model, flags=int(options.get("flags", 0)))))
        elif name == "q":
            played.attributes += query_all(runtime)
        elif name == "in":
            file = next((folder / "io").glob(f"input{index}_*.bin"))
            type_code = TYPES[options["type"]]
            inputs.append((file.read_bytes(), type_code, FORMATS[options["fmt"]], int(options.get("pt", 0))))
        elif name == "set":
            played.codes.append(("rknn_inputs_set", runtime.inputs_set(inputs)))
            inputs = []
        elif name == "run":
            played.codes.append(("rknn_run", runtime.run()))
        elif name == "out":
            wants.append(options["wf"] == "1")
            indices.append(index)
        elif name == "get":
            status, played.outputs = runtime.outputs_get(wants, indices=indices)
            played.codes.append(("rknn_outputs_get", status))
        elif name == "io":
            direction = options["dir"]
            command = (
                (8 if direction == "in" else 9) if options.get("src") == "native" else (1 if direction == "in" else 2)
            )
            _, attr = runtime.attr(command, index)
            attr.type = TYPES[options["type"]] if "type" in options else attr.type
            attr.fmt = FORMATS[options["fmt"]] if "fmt" in options else attr.fmt
            attr.pass_through = int(options.get("pt", 0))
            file = next((folder / "io").glob(f"iomem_in{index}_*.bin"), None) if direction == "in" else None
            data = file.read_bytes() if file else b""
            status, memories[direction, index] = runtime.bind(attr, len(data) or recorded_size(folder, index), data)
            played.codes.append(("rknn_set_io_mem", status))
        elif name == "rd":
            mem = memories["out", index].contents
            played.memories.append(c.string_at(mem.virt_addr, mem.size))
        elif name == "destroy":
            for mem in memories.values():
                runtime.library.rknn_destroy_mem(runtime.context, mem)
            played.codes.append(("rknn_destroy", runtime.destroy()))
        elif name != "rel":
            raise NotImplementedError(call)
    return played


def recorded_size(folder: Path, index: int) -> int:
    """The size of an output memory, from what the experiment read back."""
    return (folder / "io" / f"iomem_out{index}_read0.bin").stat().st_size


def query_all(runtime: Runtime) -> list[str]:
    """The attribute lines in the order of the recorded logs."""
    n_inputs, n_outputs = runtime.count()
    lines = []
    for command in (1, 2, 8, 9, 10, 11):
        for index in range(n_inputs if command in (1, 8, 10) else n_outputs):
            lines.append(attr_text(command, *runtime.attr(command, index)))
    return lines

"""librknnrt's interface through ctypes."""

from __future__ import annotations

import ctypes as c
import os
from pathlib import Path


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


class InputRange(c.Structure):
    _fields_ = [
        ("index", c.c_uint32),
        ("shape_number", c.c_uint32),
        ("fmt", c.c_int),
        ("name", c.c_char * 256),
        ("dyn_range", (c.c_uint32 * 16) * 512),
        ("n_dims", c.c_uint32),
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
    library.rknn_set_input_shape.argtypes = [context, c.POINTER(TensorAttr)]
    library.rknn_set_input_shapes.argtypes = [context, c.c_uint32, c.c_void_p]
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

    def input_range(self, index: int) -> tuple[int, InputRange]:
        found = InputRange(index=index)
        return self.library.rknn_query(self.context, 13, c.byref(found), c.sizeof(found)), found

    def set_shapes(self, shapes: list[list[int]], *, fmts: list[int] | None = None) -> int:
        """rknn_set_input_shapes as the vendor's demo calls it: the plain attributes with other dimensions."""
        array = (TensorAttr * max(len(shapes), 1))()
        for i, shape in enumerate(shapes):
            array[i] = self.attr(1, i)[1]
            array[i].n_dims = len(shape)
            array[i].dims[: len(shape)] = shape
            if fmts is not None:
                array[i].fmt = fmts[i]
        return self.library.rknn_set_input_shapes(self.context, len(shapes), array)

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

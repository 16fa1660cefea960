"""What the user asks of a run, and the job the device agent gets for it; its fields: docs/agent.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rkparity.errors import DataError, UsageError
from rkparity.runs import read_npy_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JOB_SCHEMA = "rkparity.job/1"
APIS = ("general", "zero-copy")
_ZERO_COPY_ONLY = ("rv1103", "rv1106")
FORMATS = ("NHWC", "NCHW", "NC1HWC2", "UNDEFINED")
CORE_MASKS = ("AUTO", "0", "1", "2", "0_1", "0_1_2", "ALL")
# The ABI's names of element types (evidence *_rawq); FLOAT16 and BFLOAT16 raw files hold two bytes per element.
TYPES: Mapping[str, str] = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "UINT16": "uint16",
    "INT32": "int32",
    "UINT32": "uint32",
    "INT64": "int64",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class InputFile:
    """One model input: an .npy file, or raw bytes with `type`. None leaves `type` and `fmt` to the agent.

    `data_layout` is how the file's 4-D values lie, "NHWC" or "NCHW"; None where the shape says it. `fmt` is what the
    runtime is told, see `samples.for_runtime`.
    """

    path: Path
    type: str | None = None
    fmt: str | None = None
    pass_through: bool = False
    data_layout: str | None = None

    @property
    def is_npy(self) -> bool:
        """Whether the file says its own type and shape."""
        return self.path.suffix == ".npy"

    def check(self) -> None:
        """UsageError when the file cannot be an input, DataError when an .npy is damaged."""
        if not self.path.is_file():
            raise UsageError(f"--input {self.path}: no such file")
        if self.is_npy:
            header = read_npy_header(self.path)
            if header.nbytes == 0:
                raise UsageError(f"--input {self.path}: is empty, shape {header.shape}")
            return
        if self.path.suffix != ".bin":
            raise UsageError(
                f"--input {self.path}: is neither .npy nor .bin",
                hint="save the picture's pixels as the model gets them: "
                "numpy.save('x.npy', numpy.asarray(picture)[numpy.newaxis])",
            )
        if self.type is None:
            raise UsageError(
                f"--input {self.path}: a raw file does not say its type", hint="add --type UINT8 (or another)"
            )
        itemsize = self.load_dtype().itemsize
        if self.path.stat().st_size == 0 or self.path.stat().st_size % itemsize:
            raise DataError(
                f"--input {self.path}: {self.path.stat().st_size} bytes are no whole number of {self.type} elements"
            )

    def shape(self) -> tuple[int, ...]:
        """The shape an .npy says; UsageError for a raw file, which says none."""
        if not self.is_npy:
            raise UsageError(
                f"--input {self.path}: a raw file does not say which of the model's shapes it has",
                hint="save it as .npy: the model was built with dynamic_input",
            )
        return read_npy_header(self.path).shape

    def load_dtype(self) -> np.dtype[Any]:
        """The NumPy type of a raw file."""
        import numpy as np

        return np.dtype(TYPES[self.type or "UINT8"])

    def load(self) -> NDArray[Any]:
        """The values; a raw file is one-dimensional."""
        import numpy as np

        if self.is_npy:
            from rkparity.runs import open_npy

            return open_npy(self.path)
        return np.fromfile(self.path, dtype=self.load_dtype())

    def layout(self) -> str:
        """How the run's manifest names the layout: what was given, else as the agent chooses (NHWC for 4-D)."""
        if self.fmt is not None:
            return self.fmt
        return "NHWC" if self.is_npy and len(read_npy_header(self.path).shape) == 4 else "UNDEFINED"


def api_of(platform: str) -> str:
    """The API for a chip: the runtime of RV1103 and RV1106 answers -5 to rknn_inputs_set, others have both."""
    return "zero-copy" if platform.lower() in _ZERO_COPY_ONLY else "general"


@dataclass(frozen=True)
class RunSettings:
    """How the model is run; the defaults are the agent's."""

    api: str = "general"
    want_float: tuple[bool, ...] = (True,)
    prealloc: bool = False
    native_outputs: bool = False
    output_fmt: str | None = None
    output_type: str | None = None
    dump_quant: int = 0
    repeat: int = 1
    core_mask: str = "AUTO"
    perf: bool = False
    library: str | None = None
    timeout_s: float | None = None

    def job(
        self,
        model: str,
        inputs: list[tuple[str, InputFile]],
        folder: str,
        input_shapes: Sequence[Sequence[int]] | None = None,
    ) -> dict[str, Any]:
        """The agent's job: `inputs` pairs each file's path on the board with what it is; results go into `folder`.

        `input_shapes` (NHWC for 4-D) are for a model built with dynamic_input.
        """
        return {
            "schema": JOB_SCHEMA,
            "library": self.library,
            "model": model,
            "api": self.api,
            "inputs": [
                {"file": path, "type": given.type, "fmt": given.fmt, "pass_through": given.pass_through}
                for path, given in inputs
            ],
            "want_float": list(self.want_float) if len(self.want_float) > 1 else self.want_float[0],
            "prealloc": self.prealloc,
            "native_outputs": self.native_outputs,
            "output_fmt": self.output_fmt,
            "output_type": self.output_type,
            "dump_dir": f"{folder}/dumps",
            "dump_quant": self.dump_quant,
            "dump_text": False,
            "log_level": 5,
            "repeat": self.repeat,
            "core_mask": self.core_mask,
            "perf": self.perf,
            "output_dir": f"{folder}/outputs",
            "timeout_s": self.timeout_s,
            "input_shapes": None if input_shapes is None else [list(shape) for shape in input_shapes],
        }

    def for_manifest(self) -> dict[str, Any]:
        """What the run's manifest keeps of this."""
        return {
            "api": self.api,
            "want_float": list(self.want_float),
            "prealloc": self.prealloc,
            "native_outputs": self.native_outputs,
            "output_fmt": self.output_fmt,
            "output_type": self.output_type,
            "dump_quant": self.dump_quant,
            "repeat": self.repeat,
            "core_mask": self.core_mask,
            "perf": self.perf,
        }

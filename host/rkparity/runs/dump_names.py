"""Names of the files librknnrt dumps: `INDEX_OPTYPE_TENSOR_shape_D0_D1.._SUFFIX.npy`.

Source of the rules: evidence 160_c25_*, 160_b25_*, 160_dumpquant_*, 160_dumptxt_1, mrt232_dumptxt_1 and 120_3588_*
(what the real runtime wrote).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rkparity.errors import DataError

INPUT_OPERATOR = "InputOperator"
OUTPUT_OPERATOR = "OutputOperator"

# Exactly these four become "_"; spaces, quotes, | < > * ? \ + - # and UTF-8 stay (evidence 160_c25_odd_names_fp16). The
# toolkit's snapshot files follow the same rule (evidence toolkit/odd_names).
_SANITIZED = str.maketrans({"/": "_", ":": "_", ".": "_", ";": "_"})

# Longest name a Linux file system takes, in bytes; anything longer never was a file name.
_MAX_NAME_NBYTES = 255

# The greedy first group makes this parse from the right: the last `_shape` followed by nothing but sizes counts, so a
# tensor whose own name holds `_shape_` is read correctly. The mini runtime's .tensor files lack the `_to_` part.
_PATTERN = re.compile(
    r"(?P<index>[0-9]{3,9})_(?P<body>.+)_shape(?P<shape>(?:_[0-9]{1,15})*)"
    r"(?:_to(?P<native>(?:_[0-9]{1,15})+)_sa(?P<sa>[0-9]{1,9}))?"
    r"_(?P<suffix>float16|float|uint8|int8|int32|int64)\.(?P<extension>npy|tensor)",
    re.DOTALL,
)


class DumpSuffix(str, enum.Enum):
    """The last word of a dump's name: the type of the values in the file."""

    FLOAT = "float"
    FLOAT16 = "float16"
    UINT8 = "uint8"
    INT8 = "int8"
    INT32 = "int32"
    INT64 = "int64"

    @property
    def dtype(self) -> str:
        """The NumPy name of the type the file holds."""
        return "float32" if self is DumpSuffix.FLOAT else str(self.value)


@dataclass(frozen=True)
class DumpName:
    """What a dump's file name says.

    `index` is the operator's 0-based number in execution order. `tensor` is the output tensor's sanitised name.
    `shape` is logical: NCHW for 4-D, as in the model otherwise. `native` is the memory layout a `.tensor` text file
    gives (empty for `.npy`). `raw` is the whole file name.
    """

    index: int
    op_type: str
    tensor: str
    shape: tuple[int, ...]
    suffix: DumpSuffix
    raw: str
    is_text: bool = False
    native: tuple[int, ...] = ()

    @property
    def is_input(self) -> bool:
        """Whether this is a model input as the runtime holds it."""
        return self.op_type == INPUT_OPERATOR

    @property
    def is_output(self) -> bool:
        """Whether this is a model output as the application gets it."""
        return self.op_type == OUTPUT_OPERATOR

    @property
    def body(self) -> str:
        """OPTYPE_TENSOR, the part whose boundary the name alone does not always give."""
        return f"{self.op_type}_{self.tensor}"

    def candidates(self) -> tuple[tuple[str, str], ...]:
        """Every (op_type, tensor) the name may mean, the likeliest first.

        The runtime's own operator types hold no underscore, so there is one reading. Custom operators (`cst...`)
        may hold underscores: then every underscore may be the boundary.
        """
        if not self.op_type.startswith("cst"):
            return ((self.op_type, self.tensor),)
        readings = [(self.op_type, self.tensor)]
        for match in re.finditer("_", self.body):
            reading = (self.body[: match.start()], self.body[match.end() :])
            if all(reading) and reading not in readings:
                readings.append(reading)
        return tuple(readings)

    def resolved(self, op_type: str, tensor: str) -> DumpName | None:
        """This name read as operator `op_type` writing `tensor` (real or sanitised name); None if it does not fit."""
        sanitized = sanitize(tensor)
        if self.body != f"{op_type}_{sanitized}":
            return None
        return replace(self, op_type=op_type, tensor=sanitized)


def sanitize(tensor_name: str) -> str:
    """A tensor's name as librknnrt and the toolkit's snapshot put it into file names."""
    return tensor_name.translate(_SANITIZED)


def compose_dump_stem(index: int, op_type: str, tensor: str, shape: Sequence[int]) -> str:
    """The dump's file name up to its suffix, for when the type the runtime will choose is not known."""
    sizes = "".join(f"_{size}" for size in shape)
    return f"{index:03d}_{op_type}_{sanitize(tensor)}_shape{sizes}"


def parse_dump_name(filename: str) -> DumpName:
    """Reads a dump's file name (no directory). Raises DataError when it is not one."""
    match = None
    if "/" not in filename and "\0" not in filename and len(filename.encode("utf-8", "replace")) <= _MAX_NAME_NBYTES:
        match = _PATTERN.fullmatch(filename)
    op_type, _, tensor = match["body"].partition("_") if match else ("", "", "")
    if match is None or not op_type or not tensor:
        raise DataError(
            f"{filename[:300]!r} is not the name of a librknnrt dump",
            hint="a dump is named INDEX_OPTYPE_TENSOR_shape_D0_D1.._TYPE.npy, such as "
            "001_ConvRelu_317_shape_1_32_112_112_float.npy",
        )
    is_text = match["extension"] == "tensor"
    return DumpName(
        int(match["index"]),
        op_type,
        tensor,
        _sizes(match["shape"]),
        DumpSuffix(match["suffix"]),
        filename,
        is_text,
        _sizes(match["native"] or ""),
    )


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("_")[1:])

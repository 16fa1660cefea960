"""The OutputOperator dumps that a played experiment left."""

from __future__ import annotations

from typing import Any

import numpy as np

from fidelity.player import Played
from rkparity.model import ModelTensor
from rkparity.runs.dump_names import OUTPUT_OPERATOR, parse_dump_name, sanitize

# Where the data of every recorded npy file begins.
DATA_OFFSET = 80


def output_dump(played: Played, tensor: ModelTensor) -> np.ndarray[Any, Any] | None:
    """The OutputOperator dump of `tensor` that the last run left, float32 or int64 and flat."""
    folders = [played.folder / name for name in ("dumps", "dd1")]
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.glob("*.npy")):
        name = parse_dump_name(path.name)
        if (
            name.op_type == OUTPUT_OPERATOR
            and name.tensor == sanitize(tensor.name)
            and name.suffix.value in ("float", "int64")
        ):
            return np.frombuffer(path.read_bytes()[DATA_OFFSET:], dtype=name.suffix.dtype)
    return None

"""The toolkit's TensorFlow converter gives the same model the same names every time.

On its own it does not (2.2.0 to 2.5.0): names are numbered by a counter that lives as long as the process, and of
operators that do the same it keeps the one a set gives first, which is decided by addresses in memory. A model
built again could then not be compared with the first build. The other half is PYTHONHASHSEED, with which the worker is
started.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from typing import Any

_CONVERTER = "rknn.base.convertor.tensorflow2onnx.tf2onnx"
_COUNTER = "INTERNAL_NAME"


def make_names_repeat() -> None:
    """Call before each TensorFlow or TFLite model is loaded. Does nothing where the converter cannot be imported."""
    try:
        for part in ("utils", "graph"):
            importlib.import_module(f"{_CONVERTER}.{part}")
    except ImportError:
        # Without TensorFlow; loading the model says so.
        return
    numbers = itertools.count(1)

    def numbered(node: Any) -> int:
        """A hash that follows the order of use; operators are still equal only to themselves."""
        number: int = node.__dict__.setdefault("_rkparity_number", 0) or next(numbers)
        node.__dict__["_rkparity_number"] = number
        return number

    # The converter is imported under two names.
    for name, module in list(sys.modules.items()):
        if name.endswith("tf2onnx.utils") and isinstance(getattr(module, _COUNTER, None), int):
            setattr(module, _COUNTER, 1)
        if name.endswith("tf2onnx.graph") and isinstance(getattr(module, "Node", None), type):
            module.Node.__hash__ = numbered

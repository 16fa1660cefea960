"""The toolkit's TensorFlow converter names what it makes by a counter that lives as long as the process."""

from __future__ import annotations

import importlib
import sys

_COUNTER = "INTERNAL_NAME"
_MODULE = "rknn.base.convertor.tensorflow2onnx.tf2onnx.utils"


def restart_name_counter() -> None:
    """Makes the next TensorFlow or TFLite model get the names it would get in a process of its own.

    Without this a model built again in the same worker has other operator and tensor names (`pool2__18`, then
    `pool2__36`; 2.2.0 to 2.5.0), and nothing of the first build is found in the second.
    """
    try:
        importlib.import_module(_MODULE)
    except ImportError:
        # Without TensorFlow the converter cannot be imported; loading the model says so.
        return
    # The converter is imported under two names.
    for name, module in list(sys.modules.items()):
        if name.endswith("tf2onnx.utils") and isinstance(getattr(module, _COUNTER, None), int):
            setattr(module, _COUNTER, 1)

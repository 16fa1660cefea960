from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulator_bench import models, toolkit_python
from npu_bench import arm_stub, drivers, rkrun, vendor_library

__all__ = ["arm_stub", "drivers", "models", "rkrun", "toolkit_python", "vendor_library"]

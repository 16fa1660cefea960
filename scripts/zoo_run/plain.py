"""The toolkit alone, without rkparity: `python plain.py BUILD.json`. Tells whether a refusal is the toolkit's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rknn.api import RKNN


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text())
    rknn = RKNN()
    rknn.config(target_platform=spec["target"], **spec["config"])
    if getattr(rknn, f"load_{spec['framework']}")(**spec["load"]) != 0:
        return 1
    return int(rknn.build(do_quantization=spec["int8"], dataset=spec["dataset"]) != 0)


if __name__ == "__main__":
    sys.exit(main())

"""docs/diagnose.md names findings that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FINDING = re.compile(r"`((?:input|output|layer|quantization|log|repeat|versions)\.[a-z0-9_.]+)`")


def test_findings_named_are_findings_that_exist() -> None:
    text = (ROOT / "docs" / "diagnose.md").read_text(encoding="utf-8")
    folder = ROOT / "host" / "rkparity" / "diagnose"
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    named = set(FINDING.findall(text))
    assert len(named) > 35
    # Findings about layers' patterns and outputs' readings are put together from parts.
    built = {"layer.zero", "output.want_float.raw_as_float", "output.want_float.float_as_raw"}
    missing = {
        name
        for name in named - built
        if f'"{name}"' not in sources
        and f'"{name.split(".", 1)[1]}"' not in sources
        and f'"{name.rsplit(".", 1)[1]}"' not in sources
    }
    assert missing == set()

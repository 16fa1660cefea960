"""`rkparity --help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench_rows.row import Row, fastest


def measure(work: Path) -> list[Row]:
    """The shortest of ten runs, and the bare interpreter's."""
    bare, help_s = fastest(
        lambda: subprocess.run([sys.executable, "-c", ""], check=True, cwd=work),
        lambda: subprocess.run([sys.executable, "-m", "rkparity", "--help"], check=True, capture_output=True, cwd=work),
        rounds=10,
    )
    return [Row("rkparity --help", f"{help_s:.3f} s (python alone {bare:.3f} s)", "<= 0.15 s", help_s <= 0.15)]

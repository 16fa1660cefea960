"""The PP-OCR models of the PyPI package rapidocr-onnxruntime 1.4.4: published models for tests, never committed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from support import require

PACKAGE = "rapidocr-onnxruntime==1.4.4"
WHEEL = "rapidocr_onnxruntime-1.4.4-py3-none-any.whl"
ROOT = Path(__file__).resolve().parents[3]


def ppocr_model(name: str, folder: Path) -> Path:
    """The model file `name` of the package, unpacked into `folder`; the demo's download is used where there is one."""
    wheel = ROOT / ".demo" / WHEEL
    if not wheel.is_file():
        wheel = folder / WHEEL
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        require(done.returncode == 0 and wheel.is_file(), f"{PACKAGE} cannot be downloaded: {done.stderr[-200:]}")
    with zipfile.ZipFile(wheel) as archive:
        target = folder / name
        target.write_bytes(archive.read(f"rapidocr_onnxruntime/models/{name}"))
    return target

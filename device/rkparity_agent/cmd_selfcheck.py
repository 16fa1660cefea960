"""`selfcheck`: what this board is and has, without opening librknnrt."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

from rkparity_agent import __version__
from rkparity_agent.events import EventStream
from rkparity_agent.folders import free_nbytes
from rkparity_agent.libraries import candidates, version_text

VIRTUAL_BOARD_ENVIRONMENT = "RKPARITY_VIRTUAL_BOARD"
_DRIVER_FILES = ("/sys/kernel/debug/rknpu/version", "/proc/rknpu/version", "/sys/module/rknpu/version")
_NPU_NODES = ("/dev/dri/renderD129", "/dev/dri/renderD128", "/dev/rknpu", "/dev/rknpu_service")
_CHIP = re.compile(r"rockchip,(r[kv]\d+\w*)")
_DRIVER = re.compile(r"v?(\d+\.\d+\.\d+)")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--path", default=".", metavar="FOLDER", help="folder whose free space is reported (default: here)"
    )


def run(arguments: argparse.Namespace, events: EventStream) -> dict[str, Any]:
    """Returns the result's fields; what cannot be found out is null."""
    libraries = [{"path": str(path), "version": version_text(path)} for path in candidates()]
    return {
        "agent_version": __version__,
        "arch": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_path": sys.executable,
        "glibc": platform.libc_ver()[1] or None,
        "library": libraries[0] if libraries else None,
        "libraries": libraries,
        "driver": _driver(),
        "chip": chip(),
        "npu_nodes": [node for node in _NPU_NODES if Path(node).exists()],
        "free_nbytes": _free(arguments.path),
        "memory": _memory(),
        "clock": time.time(),
        "uid": os.getuid(),
    }


def chip() -> str | None:
    """The SoC ("rk3588"); "emulated rk3588" on the virtual board; None when the device tree does not say."""
    virtual = os.environ.get(VIRTUAL_BOARD_ENVIRONMENT)
    if virtual:
        return f"emulated {virtual}"
    compatible = _text("/proc/device-tree/compatible") or _text("/sys/firmware/devicetree/base/compatible") or ""
    # The list goes from the board to the SoC: the last rockchip entry is the SoC.
    found = _CHIP.findall(compatible)
    return found[-1] if found else None


def _driver() -> str | None:
    for path in _DRIVER_FILES:
        found = _DRIVER.search(_text(path) or "")
        if found:
            return found.group(1)
    return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_bytes()[:4096].decode("utf-8", "replace")
    except OSError:
        return None


def _free(path: str) -> int | None:
    folder = Path(path)
    return free_nbytes(folder) if folder.is_dir() else None


def _memory() -> dict[str, int | None]:
    values = dict(re.findall(r"^(\w+): +(\d+) kB", _text("/proc/meminfo") or "", re.MULTILINE))
    return {
        name: int(values[key]) * 1024 if key in values else None
        for name, key in (("total_nbytes", "MemTotal"), ("available_nbytes", "MemAvailable"))
    }

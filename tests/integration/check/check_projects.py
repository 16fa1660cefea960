"""Projects for tests of `rkparity check`: a small model, a sample, and what the original was fed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rkparity.errors import RkparityError
from rkparity.flow.context import Context
from rkparity.flow.registry import module_of
from rkparity.flow.result import Stage, StageResult
from rkparity.flow.store import Store
from rkparity.project import read_project
from rkparity.toolkit.bootstrap import find_toolkit_python
from support import require

MODELS = Path(__file__).resolve().parents[2] / "data" / "check"
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def toolkit_python() -> Path:
    """The interpreter with the toolkit; without one the test is skipped (in CI it fails)."""
    try:
        return find_toolkit_python(None)
    except RkparityError as error:
        require(False, f"{error.message}; {error.hint}")
        raise


def other_toolkits() -> list[Path]:
    """Those named in RKPARITY_TEST_TOOLKITS (a list as in PATH), as scripts/test does with 2.3.2."""
    more = os.environ.get("RKPARITY_TEST_TOOLKITS", "")
    cached = Path.home() / ".cache" / "rkparity" / "toolkit" / "2.3.2" / "bin" / "python"
    return [Path(name) for name in more.split(os.pathsep) if name] or [path for path in [cached] if path.exists()]


def picture(shape: tuple[int, ...] = (1, 12, 16, 3), seed: int = 1) -> NDArray[np.uint8]:
    """Pixels whose channels differ in mean and content."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 120, shape[-1])
    return np.clip(rng.integers(0, 130, shape) + ramp, 0, 255).astype(np.uint8)


def fed(pixels: NDArray[Any], mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> NDArray[np.float32]:
    """What a training script feeds: (x - mean) / std as NCHW float32."""
    array = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)).astype(np.float32)


def write_project(
    folder: Path,
    *,
    model: str = "pixels",
    sample: NDArray[Any] | None = None,
    original: NDArray[Any] | None = None,
    text: str = "",
    mean: object = None,
    std: object = None,
    layout: str = "nhwc",
    build: str = "",
    model_lines: str = "",
    outputs: list[NDArray[Any]] | None = None,
) -> Path:
    """Writes sample, references and rkparity.toml; returns the project file."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "sample.npy", picture() if sample is None else sample)
    reference = ""
    if original is not None:
        np.save(folder / "fed.npy", original)
        reference += 'inputs = ["fed.npy"]\n'
    for index, array in enumerate(outputs or []):
        np.save(folder / f"answer{index}.npy", array)
    if outputs:
        reference += "outputs = [" + ", ".join(f'"answer{index}.npy"' for index in range(len(outputs))) + "]\n"
    lines = [f'[model]\nfile = "{MODELS / model}.onnx"', model_lines, "[build]"]
    if mean is not None:
        lines.append(f"mean_values = [{list(mean)}]")  # type: ignore[call-overload]
    if std is not None:
        lines.append(f"std_values = [{list(std)}]")  # type: ignore[call-overload]
    lines += [build, '[input]\nfiles = ["sample.npy"]', f'layout = "{layout}"' if layout else "", "[original]"]
    lines += [reference, text]
    path = folder / "rkparity.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run_stage(project: Path, stage: Stage, python: Path, use: Callable[[Context], None] | None = None) -> StageResult:
    """One stage by itself."""
    read = read_project(project)
    with Context(read, Store(read.output), toolkit_python=python) as context:
        if use is not None:
            use(context)
        return module_of(stage).run(context)

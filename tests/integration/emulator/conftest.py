from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from emulator_bench import counting_models, library, library_path, models, served, toolkit_python

from rkparity.emulator.catalogue import ModelCatalogue

__all__ = ["counting_models", "library", "library_path", "models", "served", "toolkit_python"]


@pytest.fixture
def emulated(
    library_path: Path, toolkit_python: Path, served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], None]]:
    """Makes this machine a board that runs a model on the emulated library."""
    monkeypatch.setenv("RKPARITY_LIBRKNNRT", str(library_path))
    monkeypatch.setenv("RKPARITY_TOOLKIT_PYTHON", str(toolkit_python))
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def start(rknn: Path) -> None:
            catalogue = ModelCatalogue(toolkit_python, [rknn])
            stack.callback(catalogue.close)
            catalogue.prepare()
            stack.enter_context(served(catalogue.open))

        yield start

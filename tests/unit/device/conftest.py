from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double, build_double
from support import require


@pytest.fixture(scope="session")
def double_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_double(tmp_path_factory.mktemp("double"))


@pytest.fixture(scope="session")
def minimal_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_double(tmp_path_factory.mktemp("minimal"), minimal=True)


@pytest.fixture(autouse=True)
def _native() -> None:
    require(find_spec("rkparity_agent._native"), "the compiled module is not built (scripts/setup)")


@pytest.fixture
def double(double_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    """A double with the image model, used by this process."""
    made = Double(double_library, tmp_path)
    made.configure(IMAGE_INPUT, IMAGE_OUTPUT)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made

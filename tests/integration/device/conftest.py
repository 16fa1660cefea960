from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from agent_bench import DUMPS, Bench
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double, build_double
from support import require


@pytest.fixture(scope="session")
def shared_double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_double(tmp_path_factory.mktemp("double"))


@pytest.fixture
def bench(shared_double: Path, tmp_path: Path) -> Bench:
    require(find_spec("rkparity_agent._native"), "the compiled module is not built (scripts/setup)")
    made = Bench(Double(shared_double, tmp_path))
    made.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, *DUMPS)
    return made

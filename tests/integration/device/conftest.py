from __future__ import annotations

from pathlib import Path

import pytest

from agent_bench import DEVICE, DUMPS, Bench
from runtime_double import IMAGE_INPUT, IMAGE_OUTPUT, Double, build_double
from support import require


@pytest.fixture(scope="session")
def shared_double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_double(tmp_path_factory.mktemp("double"))


@pytest.fixture
def bench(shared_double: Path, tmp_path: Path) -> Bench:
    require(list((DEVICE / "rkparity_agent").glob("_native*.so")), "the compiled module is not built (scripts/setup)")
    made = Bench(Double(shared_double, tmp_path))
    made.double.configure(IMAGE_INPUT, IMAGE_OUTPUT, *DUMPS)
    return made

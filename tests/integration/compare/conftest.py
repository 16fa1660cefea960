from __future__ import annotations

from pathlib import Path

import pytest
from compare_cases import CNN, MULTI, Case


@pytest.fixture
def cnn(tmp_path: Path) -> Case:
    return Case(tmp_path, CNN)


@pytest.fixture
def multi(tmp_path: Path) -> Case:
    return Case(tmp_path, MULTI)

"""One kit of layer, runtime and programs per target, built when first needed."""

from __future__ import annotations

import layer_programs
import pytest


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> layer_programs.Kit:
    """Built for this machine."""
    return layer_programs.build_kit(layer_programs.NATIVE, tmp_path_factory.mktemp("native"))

"""The traced application and a server of layer values, as in the tests of the lint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import traced_app


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> traced_app.Built:
    return traced_app.build(traced_app.NATIVE, tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return traced_app.unpack_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def socket(models: dict[str, Path]) -> Iterator[str]:
    with traced_app.serve(list(models.values())) as path:
        yield path

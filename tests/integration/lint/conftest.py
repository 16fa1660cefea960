"""The traced application, built once, and a server of layer values for all tests of the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import traced_app
from rkparity.lint import Lint, lint
from rkparity.model import read_model

Check = Callable[..., Lint]


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


@pytest.fixture
def check(built: traced_app.Built, socket: str, models: dict[str, Path], tmp_path: Path) -> Check:
    """Runs the application with a mistake and lints its trace."""

    def run(model: str, *arguments: str, with_model: bool = False, **options: dict[str, str]) -> Lint:
        trace = traced_app.trace_app(built, socket, models[model], tmp_path, *arguments, **options)
        return lint(trace, model=read_model(models[model]) if with_model else None)

    return run

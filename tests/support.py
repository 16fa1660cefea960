"""What several test folders share."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def require(condition: object, reason: str) -> None:
    """Skips the test with `reason` when `condition` is false; fails it in CI, where everything must be installed."""
    if not condition:
        _unavailable(reason)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"required in CI: {reason}", pytrace=False)
    pytest.skip(reason)

"""The part of `torch.nn` that rknn-toolkit2 needs to be imported."""

from __future__ import annotations

from typing import NoReturn

from torch import _HINT, Module

__all__ = ["Module"]


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(name)
    raise AttributeError(f"torch.nn.{name}: {_HINT}")

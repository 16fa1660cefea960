"""The part of `torch.nn` that rknn-toolkit2 needs to be imported."""

from __future__ import annotations

from typing import NoReturn

from torch import Module
from torch._missing import missing

__all__ = ["Module"]


def __getattr__(name: str) -> NoReturn:
    raise missing(f"torch.nn.{name}")

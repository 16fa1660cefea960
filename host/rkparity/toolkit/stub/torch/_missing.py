"""The one message for what the stand-in does not have."""

from __future__ import annotations

import sys


class MissingTorchError(AttributeError):
    """Something of PyTorch was asked for that the stand-in cannot serve; an AttributeError, so `hasattr` is false."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was asked for, and this toolkit environment has rkparity's small stand-in for PyTorch, which does "
            f"not have it: run `rkparity setup-toolkit --with-torch --dest {sys.prefix}`"
        )


def missing(name: str) -> MissingTorchError:
    """The error for `name` (such as `torch.einsum`); Python's own look-ups of `__x__` names get a plain one."""
    if name.rsplit(".", 1)[-1].startswith("__"):
        raise AttributeError(name)
    return MissingTorchError(name)

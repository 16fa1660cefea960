"""The part of `torch.nn` that rknn-toolkit2 needs to be imported."""

from torch import _HINT, Module

__all__ = ["Module"]


def __getattr__(name):
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(name)
    raise AttributeError("torch.nn.{}: {}".format(name, _HINT))

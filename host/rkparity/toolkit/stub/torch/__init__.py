"""A stand-in for PyTorch, just large enough for rknn-toolkit2 to work on models that are not PyTorch's.

rknn-toolkit2 imports torch at start and asks for 5 GB of it; from all of it the other frameworks' paths touch a few
names. Anything else is refused by name, so a missing PyTorch is never mistaken for a fault of the model. Written by
rkparity.
"""

from __future__ import annotations

from typing import Any, NoReturn

from torch._missing import missing
from torch._tensor import Tensor, arange, cat, concat, split

__all__ = ["Module", "Tensor", "arange", "cat", "concat", "no_grad", "split"]
__version__ = "0.0.0+rkparity.standin"


class Module:
    """What `torch.nn.Module` is subclassed from; making one is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise missing("torch.nn.Module")


class no_grad:
    """Decorator and context manager that does nothing, since nothing here has a gradient."""

    def __call__(self, function: Any) -> Any:
        return function

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        return None


def __getattr__(name: str) -> NoReturn:
    raise missing(f"torch.{name}")


from torch import nn  # noqa: E402, F401  `import torch` alone makes `torch.nn` usable in the real package too

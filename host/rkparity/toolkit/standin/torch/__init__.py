"""A stand-in for PyTorch, just large enough for rknn-toolkit2 to load, build and simulate models that are not PyTorch's.

rknn-toolkit2 imports torch at start and asks for 5 GB of it; from all of it the other frameworks' paths touch three names.
Anything else is refused by name, so a missing PyTorch is never mistaken for a fault of the model. Written by rkparity.
"""

__version__ = "0.0.0+rkparity.standin"

_HINT = (
    "this toolkit environment has no PyTorch: it holds rkparity's small stand-in, which cannot serve load_pytorch or"
    " quantized_algorithm='gdq'; make it again with `rkparity setup-toolkit --with-torch`"
)


class Module:
    """What `torch.nn.Module` is subclassed from; making one is refused."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("torch.nn.Module: " + _HINT)


class Tensor:
    """What isinstance checks compare with; nothing is one."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError("torch.Tensor: " + _HINT)


class no_grad:
    """Decorator and context manager that does nothing, since nothing here has a gradient."""

    def __call__(self, function):
        return function

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return False


def __getattr__(name):
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(name)
    raise AttributeError("torch.{}: {}".format(name, _HINT))


from torch import nn  # noqa: E402, F401  `import torch` makes `torch.nn` usable in the real package too

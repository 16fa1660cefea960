"""Index arithmetic of rknn-toolkit2's graph rules: integer tensors as thin shells of NumPy arrays.

Only what the rules call exists, with PyTorch's meaning, which differs from NumPy's in places (`transpose` swaps two
axes, `split` takes sizes and not positions). Every other name is refused by `missing`.
"""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from torch._missing import missing


class Tensor:
    """A tensor of whole numbers; made by `arange` only."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, np.ndarray):
            raise missing("torch.Tensor()")
        self._values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return tuple(self._values.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self._values.ndim)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one dimension of it."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape, given as numbers or as one sequence; one may be -1."""
        return Tensor(self._values.reshape(_dims(shape)))

    view = reshape

    def permute(self, *axes: Any) -> Tensor:
        """The axes in another order."""
        return Tensor(self._values.transpose(_dims(axes)))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two axes swapped."""
        return Tensor(np.swapaxes(self._values, dim0, dim1))

    def flatten(self) -> Tensor:
        """One dimension."""
        return Tensor(self._values.reshape(-1))

    def contiguous(self) -> Tensor:
        """The elements in memory in the order of the axes."""
        return Tensor(np.ascontiguousarray(self._values))

    def numpy(self) -> Any:
        """The array itself."""
        return self._values

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._values.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._values if dtype is None else self._values.astype(dtype)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        return (Tensor(np.asarray(item)) for item in self._values)

    def __getattr__(self, name: str) -> Any:
        raise missing(f"torch.Tensor.{name}")


def arange(*bounds: int) -> Tensor:
    """int64 from `start` (0) to before `end` by `step` (1), given as in `range`; whole numbers only."""
    if not all(isinstance(bound, (int, np.integer)) for bound in bounds):
        raise missing("torch.arange of other than whole numbers")
    return Tensor(np.arange(*bounds, dtype=np.int64))


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of `tensor` along `dim`: all of one size but the last, or of the sizes given, which must add up."""
    length = tensor.shape[dim]
    if isinstance(split_size_or_sections, (int, np.integer)):
        positions = list(range(int(split_size_or_sections), length, int(split_size_or_sections)))
    else:
        sizes = [int(size) for size in split_size_or_sections]
        if sum(sizes) != length:
            raise RuntimeError(f"split: the sizes {sizes} do not add up to {length}")
        positions = [sum(sizes[: index + 1]) for index in range(len(sizes) - 1)]
    return tuple(Tensor(part) for part in np.split(tensor.numpy(), positions, axis=dim))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along `dim`."""
    return Tensor(np.concatenate([tensor.numpy() for tensor in tensors], axis=dim))


concat = cat


def _dims(given: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in (given[0] if len(given) == 1 and np.iterable(given[0]) else given))

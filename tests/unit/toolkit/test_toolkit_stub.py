"""The stand-in for PyTorch: what it has means what PyTorch means by it, and everything else is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "host" / "rkparity" / "toolkit" / "stub"))
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "torch"}
    import torch as stub

    yield stub
    for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
        del sys.modules[name]
    sys.modules.update(real)


def test_what_only_has_to_be_there(torch: Any) -> None:
    @torch.no_grad()
    def decorated() -> int:
        return 3

    assert decorated() == 3
    assert torch.nn.Module is torch.Module
    assert not isinstance(np.zeros(2), torch.Tensor)


def test_index_arithmetic_has_pytorchs_meaning(torch: Any) -> None:
    cube = torch.arange(24).reshape(2, 3, 4)
    assert cube.numpy().dtype == np.int64
    # PyTorch's split takes sizes, one size meaning equal parts with a shorter last one; NumPy's takes positions.
    assert [part.shape for part in torch.split(cube, [1, 2], dim=1)] == [(2, 1, 4), (2, 2, 4)]
    assert [part.shape for part in torch.split(cube, 3, dim=2)] == [(2, 3, 3), (2, 3, 1)]
    assert torch.split(cube, [1, 2], 1)[1].tolist() == [
        [[4, 5, 6, 7], [8, 9, 10, 11]],
        [[16, 17, 18, 19], [20, 21, 22, 23]],
    ]
    # PyTorch's transpose swaps two axes, NumPy's takes all of them.
    assert cube.transpose(0, 2).shape == (4, 3, 2)
    assert cube.permute(2, 0, 1).numpy()[3, 1, 2] == 23
    assert torch.cat(torch.split(cube, [1, 2], 1), dim=1).tolist() == cube.tolist()
    assert cube.reshape([6, -1]).shape == (6, 4)
    assert cube.flatten().tolist() == list(range(24))
    assert torch.arange(2, 9, 3).tolist() == [2, 5, 8]
    with pytest.raises(RuntimeError, match="do not add up to 3"):
        torch.split(cube, [1, 1], dim=1)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("torch.jit", lambda torch: torch.jit),
        ("torch.einsum", lambda torch: torch.einsum("i,i", 1, 2)),
        ("torch.nn.LSTM", lambda torch: torch.nn.LSTM(3, 4)),
        ("torch.nn.Module", lambda torch: torch.nn.Module()),
        ("torch.Tensor()", lambda torch: torch.Tensor(3)),
        ("torch.Tensor.masked_fill", lambda torch: torch.arange(3).masked_fill(1, 2)),
        ("torch.arange of other than whole numbers", lambda torch: torch.arange(0.5)),
    ],
)
def test_anything_else_is_refused_by_name_with_the_way_out(torch: Any, name: str, use: Any) -> None:
    with pytest.raises(AttributeError) as caught:
        use(torch)
    message = str(caught.value)
    assert message.startswith(f"{name} was asked for")
    assert "rkparity setup-toolkit --with-torch" in message
    assert "load_pytorch" not in message
    assert "gdq" not in message


def test_probing_for_a_name_is_no_error(torch: Any) -> None:
    assert not hasattr(torch, "compile")
    assert not hasattr(torch, "__path_of_nothing__")

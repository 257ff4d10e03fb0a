"""What a pass writes is seen, and what it leaves alone is not taken for written."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing._internal.two_tensor import TwoTensor

from warmstart.estimates.types import CannotLookThrough
from warmstart.problem.doubts import Before


class Net(nn.Module):
    """A trained layer behind a frozen one, with a buffer that is not all numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(2, 2, bias=False).requires_grad_(False)
        self.trained = nn.Linear(2, 1)
        self.register_buffer("limits", torch.tensor([-math.inf, math.nan, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.trained(x)
        return found


def doubted(net: Net, meanwhile: Callable[[], object]) -> str | None:
    """Why a pass in which this is done cannot be looked through; None: it can."""
    leaves = dict(net.trained.named_parameters())
    before = Before(leaves, list(net.modules()))
    loss = net(torch.ones(3, 2)).sum()
    meanwhile()
    try:
        before.check(loss, leaves, 2, alone=False)
    except CannotLookThrough as error:
        return error.why
    return None


def other_class(net: Net) -> None:
    """As quantised weights are."""
    net.frozen.weight = nn.Parameter(TwoTensor(torch.ones(2, 2), torch.zeros(2, 2)), requires_grad=False)


@pytest.mark.parametrize("change", [lambda net: None, other_class, lambda net: net.bfloat16().float()])
def test_what_is_left_alone_is_no_reason(change: Callable[[Net], object]) -> None:
    net = Net()
    change(net)
    assert doubted(net, lambda: None) is None


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("Net.limits", lambda net: net.limits.data.__setitem__(2, 2.0)),
        ("Net.limits", lambda net: net.limits.data.__setitem__(1, 2.0)),
        ("Net.limits", lambda net: setattr(net, "limits", torch.zeros(3))),
        ("Linear.weight", lambda net: net.frozen.weight.data.mul_(2)),
        ("Linear.weight", lambda net: setattr(net.frozen, "weight", nn.Parameter(torch.zeros(2, 2)))),
    ],
)
def test_what_is_written_is_named(name: str, write: Callable[[Net], object]) -> None:
    net = Net()
    assert (
        doubted(net, lambda: write(net)) == f"the forward pass writes to {name}, which later passes may read"
    )


def test_trained_weights_are_watched_too() -> None:
    net = Net()
    assert doubted(net, lambda: net.trained.bias.data.add_(1)) == (
        "the forward pass writes to weights that are trained"
    )

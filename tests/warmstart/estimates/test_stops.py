"""What stops gradients is seen, and what only looks like it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from warmstart.estimates.stops import Stops
from warmstart.estimates.types import CannotLookThrough

W = torch.linspace(0.1, 1.0, 6).view(2, 3).requires_grad_()


def under_no_grad(w: Tensor) -> Any:
    with torch.no_grad():
        return w * 2


STOPS: dict[str, Callable[[Tensor], Any]] = {
    "detach": lambda w: w - w.mean().detach(),
    ".data": lambda w: w * w.data,
    "item": lambda w: w / w.std().item(),
    "tolist": lambda w: w * torch.tensor(w[0].tolist()),
    "mul under torch.no_grad()": under_no_grad,
    "gumbel_softmax": lambda w: F.gumbel_softmax(w, hard=True),
}
NONE: dict[str, Callable[[Tensor], Any]] = {
    "like": lambda w: w + torch.zeros_like(w) + torch.randn_like(w) + w.new_ones(3),
    "whole numbers": lambda w: w[w.argmax(0)[:2].tolist()],
    "masks": lambda w: w[(w > 0.5).detach()],
    "data": lambda w: w @ torch.ones(3, requires_grad=False).detach(),
    "a shape": lambda w: w.view(w.shape[::-1]) / w.numel(),
    "gumbel": F.gumbel_softmax,
    "rounded": torch.round,
}


@pytest.mark.parametrize("name", STOPS)
def test_a_stop_is_seen_and_named(name: str) -> None:
    with Stops() as stops:
        STOPS[name](W)
    with pytest.raises(CannotLookThrough) as caught:
        stops.refuse()
    assert name in caught.value.why


@pytest.mark.parametrize("name", NONE)
def test_what_has_no_derivative_stops_none(name: str) -> None:
    with Stops() as stops:
        NONE[name](W)
    stops.refuse()

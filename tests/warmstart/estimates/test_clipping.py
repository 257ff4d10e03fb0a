"""Hyper-gradients go through the clipping of the gradient: checked against PyTorch's own, by differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import AshaError, Configuration, Float, SearchSpace
from warmstart import ModelProblem
from warmstart.estimates.estimate import estimate
from warmstart.estimates.stencils import stencil

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(0.0, 0.5),
        "momentum": Float(0.0, 0.9),
        "smoothing": Float(0.0, 0.3),
        "noise": Float(0.0, 1.0),
        "limit": Float(0.01, 10.0, log=True),
    }
)
VALUES = {"lr": 0.2, "weight_decay": 0.1, "momentum": 0.6, "smoothing": 0.1, "noise": 0.3}


class Frozen(nn.Module):
    """One layer is of no group of the optimiser: its gradient counts for no norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.other = nn.Linear(3, 4), nn.Linear(3, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.tanh(self.first(x) + self.other(x)))
        return found


def problem(kind: str) -> ModelProblem:
    torch.manual_seed(0)
    model = Frozen().double()
    x, y = torch.randn(12, 3, dtype=torch.float64), torch.arange(12) % 3

    def optimizer(model: Any, config: Configuration) -> torch.optim.Optimizer:
        groups = [
            {"params": list(model.first.parameters())},
            {"params": list(model.last.parameters()), "lr": 0.3 * config["lr"]},
        ]
        settings = {"lr": config["lr"], "weight_decay": config["weight_decay"]}
        if kind == "adamw":
            return torch.optim.AdamW(groups, eps=1e-3, **settings)
        return torch.optim.SGD(groups, momentum=config["momentum"], nesterov=True, **settings)

    return ModelProblem(
        SPACE,
        model=model,
        optimizer=optimizer,
        data=(x, y),
        loss=lambda o, t, c: nn.functional.cross_entropy(o, t, label_smoothing=c["smoothing"]),
        heldout_loss=nn.functional.cross_entropy,
        augment=lambda x, c, g: x + c["noise"] * torch.sin(x) ** 2,
        max_grad_norm=lambda c: c["limit"],
    )


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("limit", [0.05, 8.0])
@pytest.mark.parametrize(("route", "ahead"), [("closed", 1), ("tangents", 1), ("tangents", 3)])
def test_every_coordinate_has_the_slope_of_pytorchs_own_clipped_steps(
    kind: str, limit: float, route: Any, ahead: int
) -> None:
    config = SPACE.configuration({**VALUES, "limit": limit})
    losses = problem(kind).losses(config)
    train, heldout = losses.samples(0, ahead, "half")
    found = estimate(losses, SPACE, config, train, heldout, route=route)
    assert found.final == pytest.approx(losses.after(config, train, heldout), rel=1e-9)
    for name in SPACE:
        dimension = SPACE[name]
        assert isinstance(dimension, Float)
        _, points = stencil(dimension, config, name, 1e-4)
        expected = sum(weight * losses.after(there, train, heldout) for weight, there in points)
        assert found.gradient[name] == pytest.approx(expected, rel=2e-4, abs=2e-7), name
    assert (found.gradient["limit"] != 0.0) == (limit < 1.0)
    assert not found.ignored or found.ignored == ("momentum",)


def test_without_second_derivatives_the_first_step_is_exact() -> None:
    config = SPACE.configuration({**VALUES, "limit": 0.05})
    losses = problem("sgd").losses(config)
    batches = losses.samples(0, 1, "half")
    exact, first = (
        estimate(losses, SPACE, config, *batches, route=route) for route in ("tangents", "first-order")
    )
    assert first.gradient == pytest.approx(exact.gradient, rel=1e-9, abs=1e-12)
    three = estimate(losses, SPACE, config, *losses.samples(0, 3, "half"), route="first-order", only=["lr"])
    assert three.gradient["lr"] != 0.0


def test_a_limit_that_is_no_norm_is_refused() -> None:
    with pytest.raises(AshaError, match="max_grad_norm is 0: it must be a finite number above 0"):
        ModelProblem(
            SPACE,
            model=nn.Linear(1, 1),
            optimizer=lambda m, c: torch.optim.SGD(m.parameters(), c["lr"]),
            data=(torch.zeros(4, 1), torch.zeros(4, 1)),
            loss=lambda o, t, c: ((o - t) ** 2).mean(),
            max_grad_norm=0,
        )

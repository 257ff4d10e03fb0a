"""Hyper-gradients go through the clipping of the gradient: checked against loops with PyTorch's own."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import AshaError, Configuration, Float, SearchSpace
from tests.warmstart.networks import central
from warmstart import ModelProblem
from warmstart.estimates.estimate import estimate

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


def problem(kind: str, how: str = "norm", norm_type: float = 2.0) -> ModelProblem:
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
        norm_type=norm_type,
        **{f"max_grad_{how}": lambda c: c["limit"]},
    )


WAYS: list[tuple[str, float, tuple[float, ...]]] = [
    ("norm", 2.0, (0.05, 8.0)),
    ("norm", 1.0, (0.2,)),
    ("norm", 3.0, (0.05,)),
    ("norm", math.inf, (0.02,)),
    ("value", 2.0, (0.01, 8.0)),
]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize(("how", "norm_type", "limits"), WAYS)
@pytest.mark.parametrize(
    ("route", "ahead"),
    [("closed", 1), pytest.param("tangents", 1, marks=pytest.mark.slow), ("tangents", 3)],
)
def test_every_coordinate_has_the_slope_of_a_loop_that_clips_as_pytorch_does(
    kind: str, how: str, norm_type: float, limits: tuple[float, ...], route: Any, ahead: int
) -> None:
    for limit in limits:
        config = SPACE.configuration({**VALUES, "limit": limit})
        given = problem(kind, how, norm_type)
        losses = given.losses(config)
        train, heldout = losses.samples(0, ahead, "half")
        found = estimate(losses, SPACE, config, train, heldout, route=route)

        def loop(c: Configuration) -> float:
            return looped(given, c, train, heldout, how, norm_type)  # noqa: B023 - used at once

        assert found.final == pytest.approx(losses.after(config, train, heldout), rel=1e-9)
        assert found.final == pytest.approx(loop(config), rel=1e-9)
        for name in SPACE:
            expected = central(loop, SPACE, config, name, 1e-4)
            assert found.gradient[name] == pytest.approx(expected, rel=2e-4, abs=2e-7), name
        assert (found.gradient["limit"] != 0.0) == (limit < 1.0)
        assert not found.ignored or found.ignored == ("momentum",)


def looped(
    given: ModelProblem, c: Configuration, train: Any, heldout: Any, how: str, norm_type: float
) -> float:
    """The held-out loss after a user's own loop; of the problem, what it was made of, and the samples."""
    made = given.ingredients(c)
    assert isinstance(made.model, nn.Module)
    assert made.augment is not None
    assert made.heldout_loss is not None
    net = copy.deepcopy(made.model)
    optimizer = made.optimizer(net, c)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    for samples in train:
        optimizer.zero_grad()
        outputs = net(made.augment(samples.inputs, c, torch.Generator()))
        made.loss(outputs, samples.targets, c).backward()
        if how == "norm":
            nn.utils.clip_grad_norm_(held, c["limit"], norm_type)
        else:
            nn.utils.clip_grad_value_(held, c["limit"])
        optimizer.step()
    with torch.no_grad():
        return float(made.heldout_loss(net(heldout.inputs), heldout.targets))


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_grad_norm": 0}, "max_grad_norm is 0: it must be a finite number above 0"),
        ({"max_grad_value": -1.0}, "max_grad_value is -1.0: it must be a finite number above 0"),
        (
            {"max_grad_norm": 1.0, "norm_type": 0.5},
            "norm_type is 0.5: it must be a finite number of at least 1",
        ),
        ({"max_grad_norm": 1.0, "max_grad_value": 2.0}, "give the one by which the training loop clips"),
    ],
)
def test_a_limit_that_is_none_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AshaError, match=message):
        clipped_problem(**options)


def test_a_limit_of_a_function_is_refused_as_well() -> None:
    config = LINE.configuration({"lr": 0.1})
    for options in (
        {"max_grad_norm": lambda c: 0.0},
        {"max_grad_value": lambda c: "much"},
        {"max_grad_norm": 1.0, "max_grad_value": lambda c: 1.0},
    ):
        losses = clipped_problem(**options).losses(config)
        samples = losses.samples(0, 1, "half")
        with pytest.raises(AshaError, match=r"max_grad_(norm|value) is "):
            estimate(losses, LINE, config, *samples)
        with pytest.raises(AshaError, match=r"max_grad_(norm|value) is "):
            losses.after(config, *samples)


LINE = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})


def clipped_problem(**options: Any) -> ModelProblem:
    return ModelProblem(
        LINE,
        model=nn.Linear(1, 1),
        optimizer=lambda m, c: torch.optim.SGD(m.parameters(), c["lr"]),
        data=(torch.zeros(4, 1), torch.zeros(4, 1)),
        loss=lambda o, t, c: ((o - t) ** 2).mean(),
        **options,
    )

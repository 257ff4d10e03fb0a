"""Hyper-gradients against float64 central differences through PyTorch's own optimiser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from asha_core import Choice, Configuration, Float, Int, SearchSpace
from warmstart.base import GroupSettings, Losses
from warmstart.lookahead import HyperGradient, one_step, unrolled

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-4, 1.0, log=True),
        "momentum": Float(0.1, 0.95),
        "label_smoothing": Float(0.0, 0.5),
        "ignored": Float(0.0, 1.0),
        "width": Int(1, 8),
        "activation": Choice(["tanh", "relu"]),
    }
)
MOVABLE = ("lr", "weight_decay", "momentum", "label_smoothing", "ignored")
PSI = SPACE.configuration(
    {
        "lr": 0.07,
        "weight_decay": 0.02,
        "momentum": 0.8,
        "label_smoothing": 0.1,
        "ignored": 0.3,
        "width": 3,
        "activation": "tanh",
    }
)
Batch = tuple[Tensor, Tensor]


class Setup:
    """A small float64 network, batches, and one kind of SGD."""

    def __init__(self, *, nesterov: bool = False, dampening: float = 0.0, decoupled: bool = False) -> None:
        generator = torch.Generator().manual_seed(3)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
        x = torch.randn(6, 10, 6, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 4, (6, 10), generator=generator)
        self.batches: list[Batch] = list(zip(x, y, strict=True))
        self.nesterov, self.dampening, self.decoupled = nesterov, dampening, decoupled

    def settings(self, config: Mapping[str, Any]) -> list[GroupSettings]:
        # two groups: no decay on the biases, and another rate for them
        groups = []
        for kind, factor, decay in (("weight", 1.0, config["weight_decay"]), ("bias", 2.0, 0.0)):
            names = tuple(n for n, _ in self.model.named_parameters() if n.endswith(kind))
            groups.append(
                GroupSettings(
                    names,
                    lr=factor * config["lr"],
                    momentum=config["momentum"],
                    dampening=self.dampening,
                    weight_decay=decay,
                    nesterov=self.nesterov,
                    decoupled=self.decoupled,
                )
            )
        return groups

    def train_loss(self, theta: Mapping[str, Tensor], batch: Batch, config: Mapping[str, Any]) -> Tensor:
        outputs = functional_call(self.model, dict(theta), (batch[0],))
        return functional.cross_entropy(outputs, batch[1], label_smoothing=config["label_smoothing"])

    def heldout_loss(self, theta: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return functional.cross_entropy(functional_call(self.model, dict(theta), (batch[0],)), batch[1])

    def losses(self) -> Losses:
        return Losses(
            dict(self.model.named_parameters()),
            self.train_loss,
            self.heldout_loss,
            lambda draw: (self.batches[draw], self.batches[5]),
            self.settings,
        )

    def heldout_after(self, config: Configuration, steps: int) -> float:
        """The held-out loss after real steps of ``torch.optim.SGD``."""
        theta = {n: p.detach().clone().requires_grad_() for n, p in self.model.named_parameters()}
        groups = self.settings(config)
        optimizer = torch.optim.SGD(
            [
                {
                    "params": [theta[name] for name in group.parameters],
                    "lr": group.lr,
                    "weight_decay": 0.0 if group.decoupled else group.weight_decay,
                }
                for group in groups
            ],
            momentum=groups[0].momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
        )
        for step in range(steps):
            optimizer.zero_grad()
            self.train_loss(theta, self.batches[step], config).backward()
            if self.decoupled:
                with torch.no_grad():
                    for group in groups:
                        for name in group.parameters:
                            theta[name].mul_(1 - group.lr * group.weight_decay)
            optimizer.step()
        return self.heldout_loss(theta, self.batches[5]).item()

    def by_differences(self, name: str, steps: int) -> float:
        """d(held-out loss)/d(search coordinate), by a fourth-order central difference."""
        dimension = SPACE[name]
        assert isinstance(dimension, Float)
        centre, h = dimension.to_search(PSI[name]), 1e-3

        def at(offset: float) -> float:
            values = {**PSI, name: dimension.from_search(centre + offset * h)}
            return self.heldout_after(SPACE.configuration(values), steps)

        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


KINDS = [
    {"nesterov": nesterov, "dampening": dampening, "decoupled": decoupled}
    for nesterov, dampening, decoupled in product((False, True), (0.0, 0.3), (False, True))
    if not (nesterov and dampening)  # PyTorch refuses it
]


def estimate(setup: Setup, steps: int, *, closed: bool) -> HyperGradient:
    if closed:
        return one_step(setup.losses(), SPACE, PSI, setup.batches[0], setup.batches[5])
    return unrolled(setup.losses(), SPACE, PSI, setup.batches[:steps], setup.batches[5])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("steps", "closed"), [(1, True), (1, False), (2, False), (3, False)])
def test_agrees_with_differences_through_the_real_optimiser(
    kind: dict[str, Any], steps: int, closed: bool
) -> None:
    setup = Setup(**kind)
    found = estimate(setup, steps, closed=closed)
    assert found.final == pytest.approx(setup.heldout_after(PSI, steps), rel=1e-12)
    assert set(found.gradient) == set(MOVABLE)  # Int and Choice are left alone
    for name in MOVABLE:
        assert found.gradient[name] == pytest.approx(
            setup.by_differences(name, steps), rel=1e-6, abs=1e-10
        ), name


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_dimension_that_nothing_depends_on_gets_exactly_zero(kind: dict[str, Any]) -> None:
    for steps, closed in ((1, True), (3, False)):
        assert estimate(Setup(**kind), steps, closed=closed).gradient["ignored"] == 0.0


def test_no_other_dimension_gets_zero() -> None:
    """The classic mistakes: a loss that only mentions its hyper-parameters, a smoothing given as a float."""
    gradient = estimate(Setup(nesterov=True), 1, closed=True).gradient
    assert all(abs(gradient[name]) > 1e-6 for name in MOVABLE if name != "ignored")


def test_momentum_acts_at_the_first_step_with_nesterov_alone() -> None:
    assert estimate(Setup(), 1, closed=True).gradient["momentum"] == 0.0
    assert estimate(Setup(), 1, closed=False).gradient["momentum"] == 0.0
    assert estimate(Setup(), 2, closed=False).gradient["momentum"] != 0.0
    assert estimate(Setup(nesterov=True), 1, closed=True).gradient["momentum"] != 0.0


def test_parameters_are_left_as_they_were() -> None:
    setup = Setup()
    before = {name: p.detach().clone() for name, p in setup.model.named_parameters()}
    for steps, closed in ((1, True), (3, False)):
        estimate(setup, steps, closed=closed)
    for name, parameter in setup.model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None


def test_a_parameter_outside_every_group_stays_put() -> None:
    setup = Setup()
    inner = setup.settings

    def only_weights(config: Mapping[str, Any]) -> list[GroupSettings]:
        return inner(config)[:1]

    setup.settings = only_weights  # type: ignore[method-assign]
    closed, tangents = estimate(setup, 1, closed=True), estimate(setup, 1, closed=False)
    for name in MOVABLE:
        assert closed.gradient[name] == pytest.approx(tangents.gradient[name], rel=1e-9, abs=1e-12)
        assert closed.gradient[name] == pytest.approx(setup.by_differences(name, 1), rel=1e-6, abs=1e-10)


LR_ONLY = SearchSpace({"lr": Float(1e-3, 10.0)})


def quadratic(matrix: Tensor, theta: Tensor) -> Losses:
    def loss(parameters: Mapping[str, Tensor], batch: Batch, config: Any = None) -> Tensor:
        t = parameters["theta"]
        return 0.5 * t @ matrix @ t

    def settings(config: Mapping[str, Any]) -> Sequence[GroupSettings]:
        return [GroupSettings(("theta",), lr=config["lr"])]

    return Losses({"theta": theta}, loss, loss, lambda draw: (None, None), settings)


def test_quadratic_has_its_textbook_value() -> None:
    """L = t'At/2: dL/dlr = -g_v'g with g = A t and g_v = A (t - lr A t)."""
    root = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix, theta = root @ root.T, torch.arange(1.0, 6.0, dtype=torch.float64)
    config = LR_ONLY.configuration({"lr": 0.05})
    g = matrix @ theta
    g_v = matrix @ (theta - 0.05 * g)
    found = one_step(quadratic(matrix, theta), LR_ONLY, config, None, None)
    assert found.gradient["lr"] == pytest.approx(-(g_v @ g).item(), rel=1e-8)


def noisy(theta: float, centres: Tensor) -> Losses:
    """L(t; batch) = (t - mean of the batch)^2 / 2, with batches around 0."""

    def loss(parameters: Mapping[str, Tensor], batch: Tensor, config: Any = None) -> Tensor:
        return 0.5 * (parameters["theta"] - batch.mean()) ** 2

    def settings(config: Mapping[str, Any]) -> Sequence[GroupSettings]:
        return [GroupSettings(("theta",), lr=config["lr"])]

    start = torch.tensor(theta, dtype=torch.float64)
    return Losses({"theta": start}, loss, loss, lambda draw: (centres, centres), settings)


def test_split_halves_are_unbiased_and_the_same_batch_is_not() -> None:
    """The true value is -(1-lr) t^2; the same batch adds a multiple of its mean's variance."""
    generator = torch.Generator().manual_seed(1)
    lr, theta, size, draws = 0.1, 0.5, 4, 3000
    config = LR_ONLY.configuration({"lr": lr})
    split, same = [], []
    for _ in range(draws):
        train, held = torch.randn(2, size, generator=generator, dtype=torch.float64)
        losses = noisy(theta, train)
        split.append(one_step(losses, LR_ONLY, config, train, held).gradient["lr"])
        same.append(one_step(losses, LR_ONLY, config, train, train).gradient["lr"])
    truth = -(1 - lr) * theta**2
    values = torch.tensor(split, dtype=torch.float64)
    error = values.std().item() / math.sqrt(draws)
    assert abs(values.mean().item() - truth) < 3.5 * error
    biased = torch.tensor(same, dtype=torch.float64).mean().item()
    assert biased == pytest.approx(truth - (1 - lr) / size, abs=0.05)  # pushes the rate up

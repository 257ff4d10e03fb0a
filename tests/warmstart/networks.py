"""Small float64 networks whose hyper-gradients are known: by differences through PyTorch's own optimisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from asha_core import Choice, Configuration, Float, Int, SearchSpace
from tests.warmstart.reverse_mode import reversed_steps
from tests.warmstart.smoothing import cross_entropy
from warmstart.base import Network
from warmstart.estimates.closed_form import one_step
from warmstart.estimates.tangents import unrolled
from warmstart.estimates.types import Estimate
from warmstart.optimizers import SGD, Adam, Group

Batch = tuple[Tensor, Tensor]

# what acts through the loss and the inputs, what nothing reads, and what is not real
_OTHERS = {
    "label_smoothing": Float(0.0, 0.5),
    "temperature": Float(0.5, 3.0),
    "warp": Float(0.0, 1.0),
    "ignored": Float(0.0, 1.0),
    "width": Int(1, 8),
    "activation": Choice(["tanh", "relu"]),
}
_OTHER_VALUES = {
    "label_smoothing": 0.1,
    "temperature": 1.3,
    "warp": 0.4,
    "ignored": 0.3,
    "width": 3,
    "activation": "tanh",
}
SGD_SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-4, 1.0, log=True),
        "momentum": Float(0.1, 0.95),
        **_OTHERS,
    }
)
ADAM_SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "weight_decay": Float(1e-4, 1.0, log=True),
        "beta1": Float(0.1, 0.99),
        "beta2": Float(0.5, 0.9999),
        "eps": Float(1e-10, 10.0, log=True),
        **_OTHERS,
    }
)
SGD_PSI = SGD_SPACE.configuration({"lr": 0.07, "weight_decay": 0.02, "momentum": 0.8, **_OTHER_VALUES})
ADAM_PSI = ADAM_SPACE.configuration(
    {"lr": 0.03, "weight_decay": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, **_OTHER_VALUES}
)
IGNORED = "ignored"


def sgd_group(config: Mapping[str, Any], **options: Any) -> SGD:
    """A group without parameters yet."""
    return SGD((), config["lr"], config["momentum"], weight_decay=config["weight_decay"], **options)


def adam_group(config: Mapping[str, Any], **options: Any) -> Adam:
    """A group without parameters yet."""
    betas = config["beta1"], config["beta2"]
    return Adam((), config["lr"], *betas, config["eps"], config["weight_decay"], **options)


@dataclass
class Toy:
    """A network of two layers, six batches of ten samples, and an optimiser of two groups.

    group: configuration -> the settings of the weights' group; the biases' has twice the rate, and no decay.
    """

    space: SearchSpace
    psi: Configuration
    group: Callable[[Mapping[str, Any]], Group]
    model: nn.Module = field(init=False)
    batches: list[Batch] = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
        x = torch.randn(6, 10, 6, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 4, (6, 10), generator=generator)
        self.batches = list(zip(x, y, strict=True))

    @property
    def movable(self) -> tuple[str, ...]:
        return tuple(name for name, dimension in self.space.items() if isinstance(dimension, Float))

    def groups(self, config: Mapping[str, Any]) -> list[Group]:
        names = [name for name, _ in self.model.named_parameters()]
        weights, biases = (tuple(n for n in names if n.endswith(kind)) for kind in ("weight", "bias"))
        group = self.group(config)
        return [
            replace(group, parameters=weights),
            replace(group, parameters=biases, lr=2.0 * group.lr, weight_decay=0.0),
        ]

    def forward(self, theta: Mapping[str, Tensor], batch: Batch, config: Mapping[str, Any]) -> Tensor:
        warp, inputs = config["warp"], batch[0]
        return functional_call(self.model, dict(theta), (inputs + warp * torch.sin(2 * inputs + warp),))

    def criterion(self, outputs: Tensor, batch: Batch, config: Mapping[str, Any]) -> Tensor:
        return cross_entropy(outputs / config["temperature"], batch[1], config["label_smoothing"])

    def heldout_loss(self, theta: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return cross_entropy(functional_call(self.model, dict(theta), (batch[0],)), batch[1])

    def network(self) -> Network:
        parameters = dict(self.model.named_parameters())
        return Network(parameters, self.forward, self.criterion, self.heldout_loss, self.groups)

    def estimate(self, route: str, steps: int, psi: Configuration | None = None, **options: Any) -> Estimate:
        """By one of the exact routes. Small steps along the loss and the inputs, which are smooth here."""
        problem = self.network(), self.space, psi or self.psi
        heldout = self.batches[5]
        if route == "closed":
            return one_step(*problem, self.batches[0], heldout, loss_step=1e-4, **options)
        if route == "tangents":
            return unrolled(*problem, self.batches[:steps], heldout, loss_step=1e-4, **options)
        return reversed_steps(*problem, self.batches[:steps], heldout, **options)

    def heldout_after(self, config: Configuration, steps: int) -> float:
        """The held-out loss after real steps of PyTorch's own optimiser."""
        theta = {n: p.detach().clone().requires_grad_() for n, p in self.model.named_parameters()}
        groups = self.groups(config)
        optimizer = real_optimizer(groups, theta)
        for step in range(steps):
            optimizer.zero_grad()
            batch = self.batches[step]
            self.criterion(self.forward(theta, batch, config), batch, config).backward()
            for group in groups:
                if isinstance(group, SGD) and group.decoupled:  # which PyTorch's SGD does not have
                    for name in group.parameters:
                        theta[name].data.mul_(1 - group.lr * group.weight_decay)
            optimizer.step()
        return self.heldout_loss(theta, self.batches[5]).item()


def real_optimizer(groups: Sequence[Group], theta: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """PyTorch's own optimiser with these groups' settings."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        row = {"params": [theta[name] for name in group.parameters], "lr": group.lr}
        if isinstance(group, SGD):
            settings = {key: getattr(group, key) for key in ("momentum", "dampening", "nesterov")}
            decay = 0.0 if group.decoupled else group.weight_decay
        else:
            settings = {"betas": (group.beta1, group.beta2), "eps": group.eps}
            decay = group.weight_decay
        rows.append({**row, **settings, "weight_decay": decay})
    if isinstance(groups[0], SGD):
        return torch.optim.SGD(rows)
    return (torch.optim.AdamW if groups[0].decoupled else torch.optim.Adam)(rows)


def central(
    value: Callable[[Configuration], float],
    space: SearchSpace,
    psi: Configuration,
    name: str,
    h: float = 1e-3,
) -> float:
    """d(value)/d(search coordinate) by a fourth-order central difference, bounds or no bounds."""
    dimension = space[name]
    assert isinstance(dimension, Float)
    centre = dimension.to_search(psi[name])

    def at(offset: float) -> float:
        coordinate = centre + offset * h
        values = {**psi, name: 10.0**coordinate if dimension.log else coordinate}
        return value(Configuration(tuple(values), tuple(values.values())))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@cache
def reference(make: Callable[[], Toy], steps: int, h: float = 1e-3) -> tuple[float, dict[str, float]]:
    """(held-out loss after real steps, its derivatives); computed once for all the routes."""
    toy = make()
    slopes = {
        name: central(lambda config: toy.heldout_after(config, steps), toy.space, toy.psi, name, h)
        for name in toy.movable
    }
    return toy.heldout_after(toy.psi, steps), slopes


def assert_agrees(
    found: Mapping[str, float], expected: Mapping[str, float], *, rel: float = 1e-6, noise: float = 2e-12
) -> None:
    """Coordinate by coordinate; ``noise`` is the rounding of the differences."""
    assert set(found) == set(expected)
    for name, slope in expected.items():
        assert found[name] == pytest.approx(slope, rel=rel, abs=noise), name


# (route, steps) that an estimate can be had by
WAYS = [("closed", 1), *((route, steps) for route in ("tangents", "reverse") for steps in (1, 2, 3))]

"""Problems of a few weights, on which a strategy takes milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Choice, Configuration, Constant, Float, Int, SearchSpace
from warmstart import BlackBox, ModelProblem, build
from warmstart.registry import STRATEGIES, VARIATIONS

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 30.0, log=True),
        "momentum": Float(0.0, 0.99),
        "kind": Choice(["plain", "fancy"]),
        "layers": Int(1, 8),
        "noise": Float(0.0, 1.0),
        "pull": Float(0.0, 1.0),
        "held": Constant(0.3),
    },
    conditions={"pull": {"kind": "fancy"}},
)


def settings_of(warm_start: Any) -> Any:
    """What a strategy is made of: equal for two that do the same."""
    if isinstance(warm_start, list):
        return [settings_of(each) for each in warm_start]
    if not hasattr(warm_start, "refine"):
        return warm_start
    return type(warm_start), {name: settings_of(value) for name, value in vars(warm_start).items()}


def different(cases: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Those that no earlier one is the same as."""
    found: dict[str, Any] = {}
    for name, case in cases.items():
        if settings_of(build(*case)) not in found.values():
            found[name] = settings_of(build(*case))
    return {name: cases[name] for name in found}


# every strategy and variation there is, so that a new one is covered by itself, and some with settings
CASES = {
    **different(
        {
            **{name: (chosen.strategy, dict(chosen.settings)) for name, chosen in VARIATIONS.items()},
            **{name: (name, {}) for name in STRATEGIES},
        }
    ),
    "two steps ahead": ("hypergradient", {"eta_h": 0.1, "lookahead": 2}),
    "far in the unit cube": ("hypergradient", {"eta_h": 30.0, "steps": 3, "coordinates": "unit"}),
    "every sign": ("trust", {"batches": 1, "threshold": 0.0, "delta": 1.0, "mask": None}),
    "differences": ("hypergradient", {"eta_h": 1.0, "route": "differences"}),
    "screen and random": ("screen+random", {"random": {"sigma": 5.0}}),
}

# what makes a strategy change nothing
ZERO: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "hypergradient": ("hypergradient", {"eta_h": 0.0, "steps": 3}),
    "trust": ("trust", {"delta": 0.0}),
    "flipped": ("flipped", {"eta_h": 0.0}),
    "flipped trust": ("flipped", {"of": "trust", "delta": 0.0}),
    "random-matched": ("random-matched", {"eta_h": 0.0}),
    "matched trust": ("random-matched", {"of": "trust", "delta": 0.0}),
    "chain": ("hypergradient+trust", {"hypergradient": {"eta_h": 0.0}, "trust": {"delta": 0.0}}),
    "brake": ("brake", {"factor": 1e9}),
    "screen": ("screen", {"factor": 1e9}),
    "place": ("place", {"factor": 1e30}),
    "pooled": ("pooled", {"factor": 1e30}),
}


def configuration(**values: Any) -> Configuration:
    """A sane one; a "fancy" one has a pull."""
    whole = {
        "lr": 0.05,
        "momentum": 0.5,
        "kind": "fancy",
        "layers": 3,
        "noise": 0.4,
        "pull": 0.3,
        "held": 0.3,
    }
    return SPACE.configuration({**whole, **values})


def nesterov(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    momentum = config["momentum"]
    return torch.optim.SGD(model.parameters(), config["lr"], momentum, nesterov=momentum > 0)


def heavy_ball(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), config["lr"], config["momentum"])


def unsupported(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(model.parameters(), config["lr"])


class Small(ModelProblem):
    """Linear regression with dropout: lr and momentum act through the optimiser, pull through the loss, noise
    through the inputs.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        space: SearchSpace = SPACE,
        optimizer: Callable[[nn.Module, Configuration], torch.optim.Optimizer] = nesterov,
        heldout: float = 1.0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(64, 3, generator=generator)
        targets = inputs.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=generator)
        self.module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))
        with torch.no_grad():
            for weight in self.module.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) / 2)
        self.before = copy.deepcopy(self.module.state_dict())

        def loss(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
            return (outputs - targets).square().mean() + config.get("pull", 0.0) * outputs.abs().mean()

        def augment(inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
            noise = config.get("noise", 0.0) * torch.randn(inputs.shape, generator=generator)
            return inputs + noise

        super().__init__(
            space,
            model=self.module,
            optimizer=optimizer,
            data=(inputs, targets),
            validation=(inputs[:32], targets[:32]),
            loss=loss,
            heldout_loss=lambda outputs, targets: heldout * (outputs - targets).square().mean(),
            augment=augment,
            seed=seed,
        )


class Slopes(ModelProblem):
    """One weight, and losses that are linear in it: each draw gives the slopes by lr that a test wants.

    The training loss is w, so that a step takes w from 0 to -lr, and the held-out loss is slope*w: its slope
    by lr is -slope(draw).
    """

    def __init__(self, space: SearchSpace, slope: Callable[[int], float]) -> None:
        class Weight(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = nn.Parameter(torch.zeros(()))

            def forward(self, inputs: Tensor) -> Tensor:
                return self.w * inputs

        super().__init__(
            space,
            model=Weight(),
            optimizer=lambda model, config: torch.optim.SGD(model.parameters(), config["lr"]),
            data=lambda draw: (torch.tensor([1.0, slope(draw)]), torch.zeros(2)),
            loss=lambda outputs, targets, config: outputs.mean(),
            heldout_loss=lambda outputs, targets: outputs.mean(),
        )


def black_box(space: SearchSpace = SPACE) -> BlackBox:
    """A loss that is least at lr = 1."""

    def evaluate(config: Configuration, draw: int) -> float:
        return (space["lr"].to_search(config["lr"])) ** 2 + 0.01 * (draw % 3)  # type: ignore[union-attr]

    return BlackBox(space, evaluate)

"""Networks whose derivatives are wrong on purpose, and right ones beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from asha_core import Configuration, Float, RandomSearch, SearchSpace
from warmstart import ModelProblem

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-6, 1e-1, log=True),
        "momentum": Float(0.1, 0.99),
        "smoothing": Float(0.0, 0.5),
        "noise": Float(0.0, 1.0),
    }
)


def sgd(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    momentum, decay = config["momentum"], config["weight_decay"]
    return torch.optim.SGD(model.parameters(), config["lr"], momentum, weight_decay=decay, nesterov=True)


def adamw(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    betas = (config["momentum"], 0.99)
    return torch.optim.AdamW(model.parameters(), config["lr"], betas, weight_decay=config["weight_decay"])


class Reversed(nn.Module):
    """The right value, and ``factor`` times the right derivative; -1 is a gradient reversal layer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        scaled = self.factor * x
        return scaled + (x - scaled).detach()


def relu(width: int = 16) -> nn.Module:
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 4))


def smooth(*between: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), *(layer() for layer in between), nn.Linear(16, 4))


RIGHT: dict[str, Callable[[], nn.Module]] = {
    "relu": relu,
    "few units": lambda: relu(3),
    "dropout": lambda: smooth(lambda: nn.Dropout(0.5)),
    "batch norm": lambda: smooth(lambda: nn.BatchNorm1d(16), nn.ReLU),
    "layer norm": lambda: smooth(lambda: nn.LayerNorm(16), nn.GELU),
}


def problem(
    model: Callable[[], nn.Module],
    *,
    seed: int = 0,
    optimizer: Any = sgd,
    dtype: torch.dtype = torch.float32,
    space: SearchSpace = SPACE,
    **arguments: Any,
) -> ModelProblem:
    """Of random data, 16 samples a half, and weights by the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = model().to(dtype)
        inputs, targets = torch.randn(32, 8, dtype=dtype), torch.randint(0, 4, (32,))

    def loss(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets, label_smoothing=config.get("smoothing", 0.0))

    def augment(inputs: Tensor, config: Configuration, generator: torch.Generator) -> Tensor:
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
        return inputs + config.get("noise", 0.0) * noise

    given = {"data": (inputs, targets), "loss": loss, "augment": augment, "seed": seed, **arguments}
    given.setdefault("heldout_loss", nn.functional.cross_entropy)
    return ModelProblem(space, model=net, optimizer=optimizer, **given)


def drawn(seed: int, space: SearchSpace = SPACE) -> Configuration:
    """As a search would draw it."""
    return RandomSearch(space, seed).propose(0)

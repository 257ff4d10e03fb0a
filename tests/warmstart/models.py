"""Models of every kind as problems, and what their hyper-gradients should be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from asha_core import Choice, Configuration, Float, SearchSpace
from tests.warmstart.gallery import judge
from tests.warmstart.gallery.case import Case, Loop
from tests.warmstart.reverse_mode import by_route
from tests.warmstart.smoothing import cross_entropy
from warmstart.base import Losses
from warmstart.estimates.types import Estimate
from warmstart.problem.model_problem import ModelProblem

SPACE = SearchSpace(
    {
        "lr": Float(1e-3, 1.0, log=True),
        "weight_decay": Float(1e-5, 1.0, log=True),
        "momentum": Float(0.1, 0.95),
        "label_smoothing": Float(0.0, 0.5),
        "kind": Choice(["a"]),
    }
)
PSI = SPACE.configuration(
    {"lr": 0.05, "weight_decay": 0.02, "momentum": 0.7, "label_smoothing": 0.1, "kind": "a"}
)


def data(count: int = 12, features: int = 6, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 4, (count,), generator=generator)


def made(*layers: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(*(layer() for layer in layers)).double()


def net() -> nn.Module:
    return made(lambda: nn.Linear(6, 8), nn.Tanh, lambda: nn.Linear(8, 4))


def sgd(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        model.parameters(),
        lr=config["lr"],
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
        nesterov=True,
    )


def loss(outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
    return cross_entropy(outputs, targets, config["label_smoothing"])


def problem(model: Any = None, *, space: SearchSpace = SPACE, **arguments: Any) -> ModelProblem:
    defaults = {"optimizer": sgd, "data": data(), "loss": loss, "heldout_loss": nn.functional.cross_entropy}
    return ModelProblem(space, model=net() if model is None else model, **{**defaults, **arguments})


def trains_of(losses: Losses, steps: int, kind: Any = "half") -> tuple[list[Any], Any]:
    train, heldout = losses.batches(0, kind)
    return [train, *(losses.batches(draw, kind)[0] for draw in range(1, steps))], heldout


def measured(
    given: ModelProblem, steps: int = 1, psi: Configuration = PSI, kind: Any = "half", **options: Any
) -> Estimate:
    losses = given.losses(psi)
    return by_route(losses, given.space, psi, *trains_of(losses, steps, kind), **options)


def expected(given: ModelProblem, steps: int = 1, psi: Configuration = PSI, kind: Any = "half") -> Any:
    """What the judge finds: differences of a user's own loop, on the same samples."""
    made = given.ingredients(psi)
    batches = trains_of(given.losses(psi), steps, kind)

    def loop() -> Loop:
        model = copy.deepcopy(made.model) if isinstance(made.model, nn.Module) else made.model
        others = {name: getattr(made, name) for name in ("heldout_loss", "augment", "prepare", "autocast")}
        return Loop(model, made.loss, optimizer=made.optimizer, **others)

    return judge.slopes(Case("", "", loop, given.space, psi), *batches)


class Tied(nn.Module):
    """An encoder and a decoder with one weight, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(6, 4, bias=False)
        self.decode = nn.Linear(6, 4)
        self.decode.weight = self.encode.weight
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(x + torch.tanh(self.encode(x)) @ self.encode.weight)


class Embedded(nn.Module):
    """Positions and kinds, which are added: autograd gives both one gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.position, self.kind = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.head = nn.Linear(6, 4)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(x + (self.position + self.kind)))


class Spectral(nn.Module):
    """Complex weights, as in a Fourier neural operator."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.weight = nn.Parameter(torch.randn(4, 4, generator=generator, dtype=torch.complex128))
        self.head = nn.Linear(6, 4).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(torch.fft.irfft(torch.fft.rfft(x) @ self.weight, n=6)))


def transposed() -> nn.Module:
    """A weight that is not contiguous."""
    model = net()
    model[0].weight = nn.Parameter(model[0].weight.detach().t().contiguous().t())  # type: ignore[index]
    return model


def half_frozen() -> nn.Module:
    model = net()
    model[0].requires_grad_(False)  # type: ignore[index]
    return model


def frozen_norm() -> nn.Module:
    """Fine-tuning: in train mode, with batch norm that keeps to its statistics."""
    model = made(lambda: nn.Linear(6, 8), lambda: nn.BatchNorm1d(8), nn.Tanh, lambda: nn.Linear(8, 4))
    model[1].running_mean.fill_(0.3)  # type: ignore[index, union-attr, operator]
    model[1].eval()  # type: ignore[index]
    return model


class Attentive(nn.Module):
    """Attention among three tokens of two features each: its fused kernel has no second derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(2, 12, dtype=torch.float64)
        self.head = nn.Linear(12, 4, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x.unflatten(1, (3, 2))).chunk(3, dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])
        outputs: Tensor = self.head(mixed.flatten(1))
        return outputs


MODELS: dict[str, Callable[[], nn.Module]] = {
    "attention": Attentive,
    "plain": net,
    "tied": Tied,
    "added": Embedded,
    "complex": Spectral,
    "transposed": transposed,
    "frozen": half_frozen,
    "frozen norm": frozen_norm,
    "batch norm": lambda: made(lambda: nn.Linear(6, 8), lambda: nn.BatchNorm1d(8), lambda: nn.Linear(8, 4)),
    "weight norm": lambda: made(
        lambda: parametrizations.weight_norm(nn.Linear(6, 8)), nn.Tanh, lambda: nn.Linear(8, 4)
    ),
    "spectral norm": lambda: made(
        lambda: parametrizations.spectral_norm(nn.Linear(6, 8), n_power_iterations=100),
        nn.Tanh,
        lambda: nn.Linear(8, 4),
    ),
    "dropout": lambda: made(lambda: nn.Linear(6, 8), nn.Tanh, nn.Dropout, lambda: nn.Linear(8, 4)),
    "nothing to train in a part": lambda: made(lambda: nn.LayerNorm(6), nn.Identity, lambda: nn.Linear(6, 4)),
}

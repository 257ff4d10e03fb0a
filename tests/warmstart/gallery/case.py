"""A kind of training loop, as a user writes it: what ``ModelProblem`` is given and the judge trains."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asha_core import Configuration, Float, SearchSpace

LR = Float(1e-3, 1.0, log=True)
DECAY = Float(1e-5, 1.0, log=True)
SPACE = SearchSpace({"lr": LR, "weight_decay": DECAY, "momentum": Float(0.1, 0.95)})
ADAM_SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "weight_decay": DECAY, "beta1": Float(0.1, 0.99)})
VALUES = {
    "lr": 0.05,
    "weight_decay": 0.02,
    "momentum": 0.7,
    "beta1": 0.8,
    "weight": 0.03,
    "smoothing": 0.1,
    "rate": 0.3,
    "size": 0.4,
}


def heavy_ball(model: nn.Module, c: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), c["lr"], c["momentum"], weight_decay=c["weight_decay"])


def adamw(model: nn.Module, c: Any) -> torch.optim.Optimizer:
    betas = (c["beta1"], 0.95)
    return torch.optim.AdamW(model.parameters(), c["lr"], betas, 1e-3, c["weight_decay"])


def cross_entropy(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
    return nn.functional.cross_entropy(outputs, targets)


def squares(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
    return nn.functional.mse_loss(outputs, targets)


def rows(count: int = 12, features: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    """A classification's mini-batch, float64."""
    return torch.randn(count, features, dtype=torch.float64), torch.randint(0, classes, (count,))


def images(count: int = 8, channels: int = 2, side: int = 8) -> tuple[Tensor, Tensor]:
    return torch.randn(count, channels, side, side, dtype=torch.float64), torch.randint(0, 4, (count,))


def mlp(inside: int = 8, features: int = 6, classes: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, inside), nn.Tanh(), nn.Linear(inside, classes)).double()


@dataclass
class Loop:
    """One user's things, made from scratch.

    The first fields are the arguments of ``ModelProblem`` of the same names.

    Attributes:
        also: objects of the user's that no argument reaches, and that nothing may change either.
    """

    model: Any
    loss: Callable[[Any, Any, Any], Tensor] = cross_entropy
    data: Any = None
    optimizer: Callable[[nn.Module, Any], Any] = heavy_ball
    heldout_loss: Callable[[Any, Any], Tensor] | None = None
    augment: Any = None
    prepare: Any = None
    max_grad_norm: Any = None
    max_grad_value: Any = None
    norm_type: float = 2.0
    autocast: Any = None
    also: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.data is None:
            self.data = rows()

    def arguments(self) -> dict[str, Any]:
        """Those of ``ModelProblem``."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "also"}


@dataclass(frozen=True, eq=False)
class Case:
    """A kind of loop.

    Attributes:
        name, file: where it stands.
        build: makes its loop, with the global generators seeded.
        space, psi: the search space, and the configuration that is warm-started.
        exact: what error an exact route may have, relative to the coordinate.
        coarse: half the distance of the judge's differences, in search coordinates, where the loss is not in
            double precision; errors are then relative to the largest coordinate.
        marks: of its tests, such as "long".
    """

    name: str
    file: str
    build: Callable[[], Loop]
    space: SearchSpace
    psi: Configuration
    exact: float = 1e-5
    coarse: float | None = None
    marks: tuple[str, ...] = ()

    def make(self) -> Loop:
        """The same loop each time, in objects that nobody else has."""
        with quiet():
            return self.build()

    @property
    def optimizer(self) -> str:
        """The name of its optimiser's class."""
        return _optimizer(self)


GALLERY: list[Case] = []


def kind(
    space: SearchSpace = SPACE,
    *,
    exact: float = 1e-5,
    coarse: float | None = None,
    marks: tuple[str, ...] = (),
    **values: float,
) -> Callable[[Callable[[], Loop]], Callable[[], Loop]]:
    """Put a kind of loop on show; its docstring says what is special about it."""

    def shown(build: Callable[[], Loop]) -> Callable[[], Loop]:
        name = build.__name__.replace("_", " ")
        assert build.__doc__, name
        psi = space.configuration({name: {**VALUES, **values}[name] for name in space})
        file = build.__module__.rpartition(".")[2]
        GALLERY.append(Case(name, file, build, space, psi, exact, coarse, marks))
        return build

    return shown


@cache
def _optimizer(case: Case) -> str:
    loop = case.make()
    with quiet():
        model = loop.model if isinstance(loop.model, nn.Module) else loop.model(case.psi)
        made = loop.optimizer(model, case.psi)
    return type(made[0] if isinstance(made, tuple) else made).__name__


@contextmanager
def quiet(seed: int = 5) -> Iterator[None]:
    """The global generators seeded inside, and as before outside."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    sow(seed)
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])


def sow(seed: int) -> None:
    """Seed the global generators."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)

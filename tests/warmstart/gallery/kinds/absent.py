"""Parameters without a gradient in a step: torch's optimisers leave them and their state alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.warmstart.gallery.case import ADAM_SPACE, Loop, adamw, heavy_ball, kind, mlp, rows


class Experts(nn.Module):
    """All samples go to the expert that the first one asks for; the others have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(6, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.experts[int(x[0, 0] > x[0, 1])](torch.tanh(x))


def turns(draw: int) -> tuple[Tensor, Tensor]:
    """The first step's and the held-out samples go to one expert, the second step's to the other."""
    generator = torch.Generator().manual_seed(draw)
    x = torch.randn(12, 6, generator=generator, dtype=torch.float64)
    x[:, 0], x[:, 1] = (2.0, 0.0) if draw % 2 else (0.0, 2.0)
    x[6:, 0], x[6:, 1] = 0.0, 2.0
    return x, torch.randint(0, 4, (12,), generator=generator)


@kind()
def mixture_of_experts() -> Loop:
    """An expert that no sample of a step goes to."""
    return Loop(Experts().double(), data=turns)


@kind(ADAM_SPACE, lr=0.01)
def mixture_of_experts_with_adamw() -> Loop:
    """The same: its count of steps does not go on either."""
    return Loop(Experts().double(), data=turns, optimizer=adamw)


@kind()
def layers_dropped_at_random() -> Loop:
    """Stochastic depth."""

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))
            self.head = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                if torch.rand(()) < 0.5:
                    x = x + torch.tanh(block(x))
            return self.head(x)

    return Loop(Deep().double())


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 6)
        self.heads = nn.ModuleList(nn.Linear(6, 4) for _ in range(2))

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        return self.heads[int(task[0])](torch.tanh(self.body(x)))


@kind()
def head_that_is_never_used() -> Loop:
    """A head of another task, in the optimiser, without a gradient in any step (higher#8)."""
    x, y = rows()
    return Loop(TwoHeads().double(), data=((x, torch.zeros(12)), y))


@kind()
def heads_by_turns() -> Loop:
    """Another task each step."""
    batches = [rows() for _ in range(2)]
    return Loop(
        TwoHeads().double(),
        data=lambda draw: ((batches[draw % 2][0], torch.full((12,), float(draw % 2))), batches[draw % 2][1]),
    )


@kind()
def gradient_zero_and_not_absent() -> Loop:
    """A weight that is multiplied by 0: its gradient is 0, and decay and momentum go on."""

    class Zeroed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = mlp(), mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x) + 0.0 * self.unused(x)

    return Loop(Zeroed())


@kind(exact=1e-4)
def sparse_gradients() -> Loop:
    """``nn.Embedding(sparse=True)``, which SGD takes without decay."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        dense = [p for name, p in model.named_parameters() if not name.startswith("0")]
        groups = [
            {"params": [next(model.parameters())]},
            {"params": dense, "weight_decay": c["weight_decay"]},
        ]
        return torch.optim.SGD(groups, c["lr"], c["momentum"])

    model = nn.Sequential(nn.Embedding(20, 3, sparse=True), nn.Flatten(), nn.Linear(9, 4)).double()
    return Loop(model, data=(torch.randint(0, 20, (12, 3)), torch.randint(0, 4, (12,))), optimizer=optimizer)


@kind()
def frozen_by_the_factory() -> Loop:
    """The optimiser's function freezes a layer, as a schedule of unfreezing does."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        model[0].requires_grad_(requires_grad=False)  # type: ignore[index]
        return heavy_ball(model, c)

    return Loop(mlp(), optimizer=optimizer)


@kind()
def only_some_in_the_optimiser() -> Loop:
    """A weight that has gradients and is in no group."""

    def optimizer(model: nn.Module, c: Any) -> torch.optim.Optimizer:
        head = list(model.parameters())[2:]
        return torch.optim.SGD(head, c["lr"], c["momentum"], weight_decay=c["weight_decay"])

    return Loop(mlp(), optimizer=optimizer)

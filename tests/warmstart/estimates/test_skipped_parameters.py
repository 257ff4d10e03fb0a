"""A parameter without a gradient in a step is skipped by it, as PyTorch's optimisers do.

The judge is a loop of its own, on a deep copy, with ``torch.optim``, and fourth-order differences of it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asha_core import Float, SearchSpace
from asha_core.space.watched import Watched
from warmstart import ModelProblem
from warmstart.estimates.estimate import estimate

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "weight_decay": Float(1e-4, 1.0, log=True),
        "momentum": Float(0.1, 0.95),
        "beta1": Float(0.1, 0.99),
        "beta2": Float(0.5, 0.9999),
        "smoothing": Float(0.0, 0.5),
        "limit": Float(0.01, 1e3, log=True),
    }
)
VALUES = {
    "lr": 0.06,
    "weight_decay": 0.3,
    "momentum": 0.8,
    "beta1": 0.8,
    "beta2": 0.95,
    "smoothing": 0.1,
    "limit": 0.4,
}


class Experts(nn.Module):
    """Which of three experts is used is up to the batch; one head never is, one layer in odd batches."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(5, 6) for _ in range(3))
        self.sometimes = nn.Linear(6, 6)
        self.head, self.unused = nn.Linear(6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        kind = int(x[0, 0].item())
        hidden = torch.tanh(self.experts[kind % 3](x[:, 1:]))
        if kind % 2:
            hidden = hidden + torch.tanh(self.sometimes(hidden))
        outputs: Tensor = self.head(hidden)
        return outputs


# the kinds of the training halves of draws 0, 1, 2: absent first, absent between, absent at the end
KINDS = {"other experts": [0, 1, 0], "the same": [2, 2, 2], "late": [0, 0, 1], "early": [1, 2, 2]}


def mini_batch(draw: int, kind: int, heldout: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 + draw)
    x = torch.randn(12, 6, generator=generator, dtype=torch.float64)
    x[:6, 0], x[6:, 0] = kind, heldout
    return x, torch.randint(0, 3, (12,), generator=generator)


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Experts().double()


def sgd(model: nn.Module, c: Any, **options: Any) -> torch.optim.Optimizer:
    settings = {"lr": c["lr"], "weight_decay": c["weight_decay"], "momentum": c["momentum"]}
    return torch.optim.SGD(model.parameters(), **{**settings, **options})


def adam(kind: type[torch.optim.Adam], model: nn.Module, c: Any) -> torch.optim.Optimizer:
    betas = c["beta1"], c["beta2"]
    return kind(model.parameters(), c["lr"], betas, eps=1e-3, weight_decay=c["weight_decay"])


OPTIMISERS: dict[str, Callable[[nn.Module, Any], torch.optim.Optimizer]] = {
    "nesterov": lambda m, c: sgd(m, c, nesterov=True),
    "heavy ball": lambda m, c: sgd(m, c, dampening=0.3, foreach=True),
    "adam": lambda m, c: adam(torch.optim.Adam, m, c),
    "adamw": lambda m, c: adam(torch.optim.AdamW, m, c),
}


def loss(outputs: Tensor, targets: Tensor, c: Any) -> Tensor:
    # label smoothing of the plainest kind: linear in the outputs
    plain = nn.functional.cross_entropy(outputs, targets)
    return plain - c["smoothing"] * outputs.log_softmax(1).mean()


def trained(optimizer: Any, batches: list[Any], c: Any, *, clip: bool) -> float:
    """The held-out loss after a user's loop; the held-out samples are those of the first batch."""
    net = copy.deepcopy(model())
    steps = optimizer(net, c)
    for x, y in batches:
        steps.zero_grad()
        loss(net(x[:6]), y[:6], c).backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), c["limit"])
        steps.step()
    x, y = batches[0]
    with torch.no_grad():
        return float(nn.functional.cross_entropy(net(x[6:]), y[6:]))


def judged(optimizer: Any, batches: list[Any], *, clip: bool) -> dict[str, float]:
    """The held-out loss after the loop as "final", and its slope by each hyper-parameter that is read."""

    def value(c: Any) -> float:
        return trained(optimizer, batches, c, clip=clip)

    watched = Watched(SPACE.configuration(VALUES))
    final = value(watched)
    return {"final": final, **{name: slope(value, name) for name in SPACE if name in watched.reads}}


def problem(optimizer: Any, batches: list[Any], **options: Any) -> ModelProblem:
    return ModelProblem(
        SPACE,
        model=model(),
        optimizer=optimizer,
        data=lambda draw: batches[draw],
        loss=loss,
        heldout_loss=nn.functional.cross_entropy,
        **options,
    )


def slope(value: Callable[[dict[str, float]], float], name: str, h: float = 2e-4) -> float:
    def at(offset: float) -> float:
        before = VALUES[name]
        after = before * 10 ** (offset * h) if SPACE[name].log else before + offset * h  # type: ignore[union-attr]
        return value({**VALUES, name: after})

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@pytest.mark.parametrize(
    "kinds",
    ["other experts", "late", *(pytest.param(n, marks=pytest.mark.slow) for n in ("the same", "early"))],
)
@pytest.mark.parametrize("kind", OPTIMISERS)
def test_every_route_has_the_slopes_of_a_loop_whose_optimiser_skips_them(kind: str, kinds: str) -> None:
    clip = kinds in ("late", "the same")
    for ahead in (1, 3):
        batches = [mini_batch(n, each, heldout=1) for n, each in enumerate(KINDS[kinds][:ahead])]
        right = judged(OPTIMISERS[kind], batches, clip=clip)
        given = problem(OPTIMISERS[kind], batches, max_grad_norm=(lambda c: c["limit"]) if clip else None)
        config = SPACE.configuration(VALUES)
        losses = given.losses(config)
        train, held = losses.samples(0, ahead, "half")
        for route in ("tangents", "closed") if ahead == 1 else ("tangents",):
            found = estimate(losses, SPACE, config, train, held, route=route)
            assert found.final == pytest.approx(right["final"], rel=1e-12)
            for name in right.keys() - {"final"}:
                assert found.gradient[name] == pytest.approx(right[name], rel=1e-5, abs=1e-10), (name, route)


def test_the_rate_alone_is_read_off_the_way_that_was_gone() -> None:
    """Without second derivatives: a skipped parameter has gone no way."""
    config = SPACE.configuration(VALUES)
    batches = [mini_batch(n, each, 1) for n, each in enumerate(KINDS["late"])]
    losses = problem(OPTIMISERS["heavy ball"], batches).losses(config)
    train, held = losses.samples(0, 3, "half")
    short = estimate(losses, SPACE, config, train, held, route="first-order", only=["lr"])
    assert short.final == pytest.approx(trained(OPTIMISERS["heavy ball"], batches, VALUES, clip=False))
    before, after = model(), copy.deepcopy(model())
    steps = OPTIMISERS["heavy ball"](after, VALUES)
    for x, y in batches:
        steps.zero_grad()
        loss(after(x[:6]), y[:6], VALUES).backward()
        steps.step()
    steps.zero_grad()
    x, y = batches[0]
    nn.functional.cross_entropy(after(x[6:]), y[6:]).backward()
    way = sum(
        (new.grad * (new - old)).sum().item()
        for new, old in zip(after.parameters(), before.parameters(), strict=True)
        if new.grad is not None
    )
    assert short.gradient["lr"] == pytest.approx(way * math.log(10), rel=1e-7)

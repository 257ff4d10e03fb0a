"""What a user's function gives as the optimiser, and a step of it as a plain loop takes one."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook

from asha_core import AshaError, Float, SearchSpace
from tests.warmstart.models import PSI, measured, net, problem, sgd
from tests.warmstart.networks import assert_agrees
from warmstart import ModelProblem, refine
from warmstart.estimates.estimate import estimate
from warmstart.problem.real_optimizer import take_step, the_optimizer

SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True)})
AT = SPACE.configuration({"lr": 0.05})


class NoClosure(torch.optim.SGD):
    """As many are written: ``step`` takes nothing."""

    def step(self) -> None:  # type: ignore[override]
        super().step()


class Ignores(torch.optim.SGD):
    """It takes a closure, and makes no use of it."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step()


class Sharpness(torch.optim.SGD):
    """Two gradients a step (SAM): the loop's, and one of a closure, which an error asks for."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is not None, "Sharpness requires closure, but it was not provided"
        weights = [p for group in self.param_groups for p in group["params"]]
        with torch.no_grad():
            moves = [0.1 * p.grad / (1e-9 + p.grad.norm()) for p in weights]
            torch._foreach_add_(weights, moves)
        closure()
        with torch.no_grad():
            torch._foreach_sub_(weights, moves)
        super().step()


class Asking(Sharpness):
    """The same; it asks by its signature."""

    def step(self, closure: Any) -> None:
        super().step(closure)


class Slow:
    """Lookahead: a wrapper that is no ``Optimizer``, with slow weights of its own."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.inner = inner
        self.slow = [[p.detach().clone() for p in group["params"]] for group in inner.param_groups]

    @property
    def param_groups(self) -> Any:
        return self.inner.param_groups

    def zero_grad(self) -> None:
        self.inner.zero_grad()

    def step(self) -> None:
        self.inner.step()
        with torch.no_grad():
            for group, slow in zip(self.param_groups, self.slow, strict=True):
                for p, kept in zip(group["params"], slow, strict=True):
                    p.copy_(kept.add_(p - kept, alpha=0.5))


class ScheduleFree(torch.optim.SGD):
    """Where gradients are taken is not what is evaluated; it says so where the mode is wrong."""

    training = False

    def train(self) -> None:
        self.training = True

    def eval(self) -> None:
        if self.training:
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.mul_(0.9)
        self.training = False

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if not self.training:
            raise RuntimeError("call train() before step()")
        super().step()


def plain_loop(kind: str) -> Callable[[Any, Callable[[], Tensor]], None]:
    """The step as the optimiser's authors show it."""

    def step(optimizer: Any, backward: Callable[[], Tensor]) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            return backward()

        if kind == "LBFGS":
            optimizer.step(closure)
        elif kind in ("Sharpness", "Asking"):
            closure()
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()

    return step


OPTIMISERS: dict[str, Callable[[Any, float], Any]] = {
    "NoClosure": NoClosure,
    "Ignores": Ignores,
    "Sharpness": Sharpness,
    "Asking": Asking,
    "Slow": lambda p, lr: Slow(torch.optim.AdamW(p, lr)),
    "ScheduleFree": ScheduleFree,
    "LBFGS": lambda p, lr: torch.optim.LBFGS(p, lr, max_iter=3),
    "RMSprop": torch.optim.RMSprop,
    "NAdam": torch.optim.NAdam,
    "Adagrad": torch.optim.Adagrad,
    "Adafactor": torch.optim.Adafactor,
    "maximize": lambda p, lr: torch.optim.AdamW(p, lr, maximize=True),
    "amsgrad": lambda p, lr: torch.optim.Adam(p, lr, amsgrad=True),
}


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()


X = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
Y = X.sin().sum(1, keepdim=True)


def looped(kind: str, lr: float, steps: int) -> float:
    own = copy.deepcopy(model())
    optimizer = OPTIMISERS[kind](own.parameters(), lr)
    if hasattr(optimizer, "train"):
        optimizer.train()

    def backward() -> Tensor:
        loss = nn.functional.mse_loss(own(X[:6]), Y[:6])
        loss.backward()
        return loss

    for _ in range(steps):
        plain_loop(kind)(optimizer, backward)
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    with torch.no_grad():
        return float(nn.functional.mse_loss(own(X[6:]), Y[6:]))


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_differences_go_through_the_step_that_the_users_loop_takes(kind: str) -> None:
    given = ModelProblem(
        SPACE,
        model=model(),
        optimizer=lambda m, c: OPTIMISERS[kind](m.parameters(), c["lr"]),
        data=lambda draw: (X, Y),
        loss=lambda outputs, targets, c: nn.functional.mse_loss(outputs, targets),
    )
    losses = given.losses(AT)
    samples = losses.samples(0, 2, "half")
    assert losses.after(AT, *samples) == pytest.approx(looped(kind, 0.05, 2), rel=1e-12)
    found = estimate(losses, SPACE, AT, *samples)
    h = 1e-3
    right = (
        8 * (looped(kind, 0.05 * 10**h, 2) - looped(kind, 0.05 * 10**-h, 2))
        - (looped(kind, 0.05 * 10 ** (2 * h), 2) - looped(kind, 0.05 * 10 ** (-2 * h), 2))
    ) / (12 * h)
    assert abs(right) > 1e-4
    assert found.gradient["lr"] == pytest.approx(right, rel=0.02)
    assert found.route == "differences"
    assert "optimizer() gave" in str(found.fallback)


def test_a_step_that_asks_for_what_no_loop_here_has_is_named() -> None:
    class Wants(torch.optim.SGD):
        def step(self, loss: Tensor) -> None:  # type: ignore[override]
            super().step()

    optimizer = Wants(model().parameters(), 0.1)
    with pytest.raises(AshaError, match=r"Wants\.step asks for loss"):
        take_step(optimizer, lambda: torch.zeros(()))


def test_an_error_of_the_step_itself_is_not_taken_for_a_wish() -> None:
    class Broken(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            raise ValueError("its own trouble")

    with pytest.raises(ValueError, match="its own trouble"):
        take_step(Broken(model().parameters(), 0.1), lambda: torch.zeros(()))


def warming_up(m: Any, c: Any, lr: Any = None) -> Any:
    optimizer = sgd(m, c)
    return optimizer, lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 5, 1.0))


SCHEDULED: dict[str, Callable[[Any, Any], Any]] = {
    "(optimizer, scheduler)": warming_up,
    "[[optimizer], [scheduler]]": lambda m, c: [[each] for each in warming_up(m, c)],
    "a dictionary": lambda m, c: dict(zip(("optimizer", "lr_scheduler"), warming_up(m, c), strict=True)),
    "a list of dictionaries": lambda m, c: [{"optimizer": warming_up(m, c)[0], "frequency": 1}],
    "the optimizer, with a schedule made inside": lambda m, c: warming_up(m, c)[0],
    "linear": lambda m, c: lr_scheduler.LinearLR(sgd(m, c), 1e-4).optimizer,
    "cosine after a warm-up": lambda m, c: _sequence(sgd(m, c)),
    "cyclic": lambda m, c: (
        o := sgd(m, c),
        lr_scheduler.CyclicLR(o, c["lr"] / 10, c["lr"], cycle_momentum=False),
    ),
    "one cycle": lambda m, c: (
        lr_scheduler.OneCycleLR(o := sgd(m, c), c["lr"], total_steps=10, cycle_momentum=False),
        o,
    )[1],
}


def _sequence(optimizer: Any) -> Any:
    parts = [lr_scheduler.LinearLR(optimizer, 1e-3), lr_scheduler.CosineAnnealingLR(optimizer, 10)]
    lr_scheduler.SequentialLR(optimizer, parts, [3])
    return optimizer


@pytest.mark.parametrize("kind", SCHEDULED)
def test_the_rate_is_that_at_the_peak_of_a_schedule_for_every_route(kind: str) -> None:
    plain, scheduled = problem(), problem(optimizer=SCHEDULED[kind])
    assert_agrees(measured(scheduled).gradient, measured(plain).gradient, rel=1e-9)
    for route in ("tangents", "differences"):
        found, right = (measured(given, 2, route=route) for given in (scheduled, plain))
        assert_agrees(found.gradient, right.gradient, rel=1e-9)
        assert not found.ignored


def test_a_warm_up_from_0_is_not_told_that_nothing_depends_on_the_rate() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = refine("ohgw-trust", problem(optimizer=warming_up), PSI)
    assert outcome.configuration["lr"] != PSI["lr"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda m, c: None, "gave None"),
        (lambda m, c: (), r"gave \(\)"),
        (lambda m, c: [sgd(m, c), sgd(m, c)], "gave 2 optimisers"),
        (lambda m, c: {"lr_scheduler": 1}, "gave {"),
    ],
)
def test_what_is_no_optimiser_is_told_in_one_line(made: Any, told: str) -> None:
    given = problem(optimizer=made)
    for route in ("auto", "differences"):
        with pytest.raises(AshaError, match=told + r".*return the optimiser, or \(optimizer, scheduler\)"):
            measured(given, route=route)


def test_the_same_optimiser_twice_is_one() -> None:
    optimizer = sgd(net(), PSI)
    assert the_optimizer([optimizer, {"optimizer": optimizer}]) is optimizer


def test_a_step_that_hooks_change_is_not_looked_through() -> None:
    """The hook scales the rate; a hook on all optimisers is one as well."""

    def halved(optimizer: Any, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad.mul_(0.5)

    def hooked(m: Any, c: Any) -> Any:
        optimizer = torch.optim.SGD(m.parameters(), c["lr"])
        optimizer.register_step_pre_hook(halved)
        return optimizer

    plain = problem(optimizer=lambda m, c: torch.optim.SGD(m.parameters(), c["lr"]))
    half = problem(optimizer=lambda m, c: torch.optim.SGD(m.parameters(), 0.5 * c["lr"]))
    found, right = measured(problem(optimizer=hooked)), measured(half)
    assert "gave SGD with a hook on its step" in str(found.fallback)
    assert found.gradient["lr"] == pytest.approx(right.gradient["lr"], rel=0.02)
    handle = register_optimizer_step_post_hook(lambda *_: None)
    try:
        assert measured(plain).fallback is not None
    finally:
        handle.remove()
    assert measured(plain).fallback is None


def test_an_optimiser_whose_step_was_replaced_or_taken_before_is_not_looked_through() -> None:
    def replaced(m: Any, c: Any) -> Any:
        optimizer = torch.optim.SGD(m.parameters(), c["lr"])
        before = optimizer.step
        optimizer.step = lambda closure=None: (before(), before())[0]  # type: ignore[method-assign]
        return optimizer

    found = measured(problem(optimizer=replaced))
    assert "whose step is replaced" in str(found.fallback)

    def used(m: Any, c: Any) -> Any:
        optimizer = sgd(m, c)
        for p in m.parameters():
            optimizer.state[p]["momentum_buffer"] = torch.ones_like(p)
        return optimizer

    assert "has taken steps already" in str(measured(problem(optimizer=used)).fallback)


@pytest.mark.parametrize("route", ["auto", "differences"])
def test_an_optimiser_of_other_weights_is_refused_by_every_route(route: Any) -> None:
    other = net()
    given = problem(optimizer=lambda m, c: torch.optim.SGD(other.parameters(), c["lr"]))
    with pytest.raises(AshaError, match="4 parameters that are not the model's: build it from the model"):
        measured(given, route=route)
    frozen = problem(optimizer=lambda m, c: torch.optim.SGD([torch.zeros(2)], c["lr"]))
    with pytest.raises(AshaError, match="has no weight that is trained"):
        measured(frozen, route=route)


@pytest.mark.parametrize("strategy", ["ohgw-trust", "ohgw-brake", "ohgw-1step"])
def test_a_mask_finds_the_rate_of_any_optimiser(strategy: str) -> None:
    """By the numbers in its groups: ``step_size`` is what moves "lr" here."""
    space = SearchSpace({"step_size": Float(1e-4, 1e2, log=True)})
    given = ModelProblem(
        space,
        model=model(),
        optimizer=lambda m, c: torch.optim.RMSprop(m.parameters(), c["step_size"]),
        data=(X, Y),
        loss=lambda outputs, targets, c: nn.functional.mse_loss(outputs, targets),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = refine(strategy, given, {"step_size": 30.0}, mask=["lr"])
    assert outcome.configuration["step_size"] < 30.0

"""Tangents without Hessian-vector products: what they are, exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from asha_core import Configuration, Float, SearchSpace
from warmstart.base import BlackBox, Losses, Network
from warmstart.estimates.estimate import estimate
from warmstart.estimates.tangents import unrolled
from warmstart.optimizers import SGD, Adam

SPACE = SearchSpace({"lr": Float(1e-4, 10.0, log=True), "momentum": Float(0.0, 0.99)})
PSI = SPACE.configuration({"lr": 0.03, "momentum": 0.7})


def quartic(start: Tensor, *, curved: bool = True) -> Network:
    """Training loss sum of t^4 / 4, or one that is linear; held-out loss sum of t^2 / 2."""

    def criterion(theta: Mapping[str, Tensor], batch: Tensor, config: Configuration) -> Tensor:
        return (batch * (theta["t"] ** 4 / 4 if curved else theta["t"])).sum()

    def groups(config: Mapping[str, Any]) -> Sequence[SGD]:
        return [SGD(("t",), config["lr"], config["momentum"], nesterov=True)]

    def heldout(theta: Mapping[str, Tensor], batch: Tensor) -> Tensor:
        return theta["t"].square().sum() / 2

    return Network({"t": start}, lambda theta, batch, config: theta, criterion, heldout, groups)


START = torch.tensor([1.0, -0.6, 0.3], dtype=torch.float64)
BATCHES = [torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64) * scale for scale in (1.0, 0.8, 1.3)]


@pytest.mark.parametrize("steps", [2, 3])
def test_for_the_rate_it_is_the_way_gone_times_the_gradient_at_its_end(steps: int) -> None:
    found = unrolled(quartic(START), SPACE, PSI, BATCHES[:steps], None, curvature=False)
    t, v = START.clone(), torch.zeros_like(START)
    for batch in BATCHES[:steps]:
        g = batch * t**3
        v = PSI["momentum"] * v + g
        t = t - PSI["lr"] * (g + PSI["momentum"] * v)
    by_ln = (t @ (t - START)).item()
    assert found.route == "first-order"
    assert found.gradient["lr"] == pytest.approx(by_ln * math.log(10), rel=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_where_the_loss_has_no_curvature_it_is_exact(steps: int) -> None:
    network = quartic(START, curved=False)
    exact = unrolled(network, SPACE, PSI, BATCHES[:steps], None)
    first = unrolled(network, SPACE, PSI, BATCHES[:steps], None, curvature=False)
    assert first.gradient == pytest.approx(exact.gradient, rel=1e-12)


def test_it_is_exact_for_one_step_and_not_beyond() -> None:
    for steps in (1, 2):
        exact = unrolled(quartic(START), SPACE, PSI, BATCHES[:steps], None).gradient["lr"]
        first = unrolled(quartic(START), SPACE, PSI, BATCHES[:steps], None, curvature=False).gradient["lr"]
        assert (first == pytest.approx(exact, rel=1e-9)) == (steps == 1)


MOVED = SearchSpace({"lr": Float(1e-4, 10.0, log=True), "decay": Float(1e-4, 1.0, log=True)})


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("decoupled", [False, True])
def test_for_the_rate_alone_no_tangent_is_carried_and_the_answer_is_the_same(
    kind: type[SGD] | type[Adam], decoupled: bool
) -> None:
    psi = MOVED.configuration({"lr": 0.03, "decay": 0.1})
    plain = quartic(START)

    def groups(config: Mapping[str, Any]) -> list[SGD | Adam]:
        return [kind(("t",), 2 * config["lr"], weight_decay=config["decay"], decoupled=decoupled)]

    network = replace(plain, groups=groups)
    alone = unrolled(network, MOVED, psi, BATCHES, None, only=["lr"], curvature=False)
    both = unrolled(network, MOVED, psi, BATCHES, None, curvature=False)
    assert alone.gradient["lr"] == pytest.approx(both.gradient["lr"], rel=1e-7)
    assert both.gradient["decay"] != 0.0


def test_the_route_falls_back_where_there_is_nothing_to_differentiate() -> None:
    def loss(config: Configuration, draw: int) -> float:
        return math.log10(config["lr"]) ** 2

    losses: Losses = BlackBox(SPACE, loss).losses(PSI)
    found = estimate(losses, SPACE, PSI, [0, 1], 0, route="first-order")
    assert (found.route, found.fallback) == ("differences", "nothing to differentiate")
    assert found.gradient["lr"] == pytest.approx(2 * math.log10(0.03), rel=1e-6)


def test_weights_of_low_precision_that_swallow_a_small_step_do_not_swallow_the_derivative() -> None:
    def net(dtype: torch.dtype) -> Network:
        theta = {"t": torch.ones(8, dtype=dtype)}
        return replace(quartic(theta["t"]), parameters=theta)

    small = SPACE.configuration({"lr": 1e-4, "momentum": 0.7})  # 1 - 1e-4 is 1 in bfloat16
    batches = [torch.tensor(1.0)] * 3
    exact, found = (
        unrolled(net(dtype), SPACE, small, batches, torch.tensor(1.0), only=["lr"], curvature=False)
        for dtype in (torch.float64, torch.bfloat16)
    )
    assert found.gradient["lr"] == pytest.approx(exact.gradient["lr"], rel=0.05)

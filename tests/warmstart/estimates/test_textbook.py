"""Hyper-gradients whose values can be written down: a quadratic, and a noisy one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from asha_core import Float, SearchSpace
from warmstart.base import Network
from warmstart.estimates.closed_form import one_step
from warmstart.estimates.tangents import unrolled
from warmstart.optimizers import SGD

LR_ONLY = SearchSpace({"lr": Float(1e-3, 10.0)})


def quadratic(matrix: Tensor, theta: Tensor) -> Network:
    def loss(parameters: Mapping[str, Tensor], batch: Any, config: Any = None) -> Tensor:
        t = parameters["theta"]
        return 0.5 * t @ matrix @ t

    def settings(config: Mapping[str, Any]) -> Sequence[SGD]:
        return [SGD(("theta",), lr=config["lr"])]

    return Network({"theta": theta}, lambda p, b, c: p, loss, loss, settings)


def test_quadratic_has_its_textbook_value() -> None:
    """L = t'At/2: dL/dlr = -g_v'g with g = A t and g_v = A (t - lr A t)."""
    root = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix, theta = root @ root.T, torch.arange(1.0, 6.0, dtype=torch.float64)
    config = LR_ONLY.configuration({"lr": 0.05})
    g = matrix @ theta
    g_v = matrix @ (theta - 0.05 * g)
    found = one_step(quadratic(matrix, theta), LR_ONLY, config, None, None)
    assert found.gradient["lr"] == pytest.approx(-(g_v @ g).item(), rel=1e-8)
    # and after H steps theta_H = (1 - lr A)^H theta, so dL/dlr = -H theta_H' A A (1 - lr A)^(H-1) theta
    shrink = torch.eye(5, dtype=torch.float64) - 0.05 * matrix
    for steps in (2, 4):
        power = torch.linalg.matrix_power(shrink, steps - 1)
        expected = -steps * (shrink @ power @ theta) @ matrix @ matrix @ power @ theta
        found = unrolled(quadratic(matrix, theta), LR_ONLY, config, [None] * steps, None)
        assert found.gradient["lr"] == pytest.approx(expected.item(), rel=1e-8)


def noisy(theta: float) -> Network:
    """L(t; batch) = (t - mean of the batch)^2 / 2."""

    def loss(parameters: Mapping[str, Tensor], batch: Tensor, config: Any = None) -> Tensor:
        return 0.5 * (parameters["theta"] - batch.mean()) ** 2

    def settings(config: Mapping[str, Any]) -> Sequence[SGD]:
        return [SGD(("theta",), lr=config["lr"])]

    start = torch.tensor(theta, dtype=torch.float64)
    return Network({"theta": start}, lambda p, b, c: p, loss, loss, settings)


@pytest.mark.long
def test_split_halves_are_unbiased_and_the_same_batch_is_not() -> None:
    """The true value is -(1-lr) t^2; the same batch adds a multiple of its mean's variance."""
    generator = torch.Generator().manual_seed(1)
    lr, theta, size, draws = 0.1, 0.5, 4, 800
    config = LR_ONLY.configuration({"lr": lr})
    losses = noisy(theta)
    split, same = [], []
    for _ in range(draws):
        train, held = torch.randn(2, size, generator=generator, dtype=torch.float64)
        split.append(one_step(losses, LR_ONLY, config, train, held).gradient["lr"])
        same.append(one_step(losses, LR_ONLY, config, train, train).gradient["lr"])
    truth = -(1 - lr) * theta**2
    values = torch.tensor(split, dtype=torch.float64)
    error = values.std().item() / math.sqrt(draws)
    assert abs(values.mean().item() - truth) < 3.5 * error
    biased = torch.tensor(same, dtype=torch.float64).mean().item()
    assert biased == pytest.approx(truth - (1 - lr) / size, abs=0.05)  # pushes the rate up

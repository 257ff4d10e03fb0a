"""The process over configurations and units that DyHPO looks ahead by."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

from asha_core.surrogates import curve_gp, deep_kernel


def fitted(losses, epochs=60, **others):
    rows = [[i / 7] for i in range(8)]
    points = deep_kernel.points(
        [row for row in rows for _ in range(3)],
        [[unit / 9] for _ in rows for unit in (1, 2, 3)],
        [[0.0] * 9 for _ in range(24)],
    )
    given = {"epochs": epochs, "learning_rate": 0.1, "seed": 0, "unwanted": lambda: False} | others
    import torch

    return curve_gp.fit(points, torch.tensor(losses, dtype=torch.float64), None, **given), points


def test_the_gradient_is_that_of_the_likelihood():
    import torch

    torch_state = torch.random.get_rng_state()
    base = torch.eye(4, dtype=torch.float64) * 2 + 0.3
    matrix, residuals = base.clone().requires_grad_(), torch.arange(4.0, dtype=torch.float64).requires_grad_()
    curve_gp._NegativeLikelihood.apply(matrix, residuals).backward()
    given = [tensor.grad.clone() for tensor in (matrix, residuals)]
    other, again = base.clone().requires_grad_(), residuals.detach().clone().requires_grad_()
    normal = torch.distributions.MultivariateNormal(torch.zeros(4, dtype=torch.float64), other)
    (-normal.log_prob(again)).backward()
    assert torch.allclose(given[0], other.grad)
    assert torch.allclose(given[1], again.grad)
    assert torch.equal(torch.random.get_rng_state(), torch_state)


def test_it_learns_what_matters_and_keeps_its_variances():
    """Smooth curves without noise: little noise is found, and some is kept; x matters."""
    found, points = fitted([math.sin(6 * i / 7) + unit / 9 for i in range(8) for unit in (1, 2, 3)])
    assert 1e-4 < found.noise < 0.01
    assert found.scale > 0.1
    assert found.features(points).shape == (24, 2)


def test_a_fit_that_is_unwanted_or_breaks_down_is_none():
    assert fitted([0.0] * 24, unwanted=lambda: True)[0] is None
    assert fitted([math.nan] * 24)[0] is None

"""BOIL's Gaussian process, beside numbers from elsewhere: scikit-learn, differences, quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from asha_core.surrogates.boil_gp import (
    Parameters,
    Points,
    Posterior,
    fitted,
    log_condition_number,
    log_marginal_likelihood,
    standardised_scores,
)
from asha_core.surrogates.curve_scores import logistic_weights
from asha_core.surrogates.log_ei import log_expected_improvement

PARAMETERS = Parameters(lx=0.7, lt=0.3, noise=0.02, midpoint=0.4, growth=1.3)


def points(count=25, dimensions=3, units=12, seed=0):
    """Curves that rise to a height that depends on x, cut at a random unit."""
    draw = np.random.default_rng(seed)
    x = draw.random((count, dimensions))
    length = draw.integers(1, units + 1, count)
    height = np.exp(-4.0 * ((x - 0.4) ** 2).sum(1))
    curves = height[:, None] * (1.0 - np.exp(-np.arange(1, units + 1) / 4.0))
    curves[np.arange(units)[None, :] >= length[:, None]] = 0.0
    return Points(x, length / units, curves)


def sklearn_of(given, parameters):
    """The same kernel there: exp(-|z|^2 / 2) of coordinates divided by sqrt(l / 2)."""
    scales = [np.sqrt(parameters.lx / 2.0)] * given.x.shape[1] + [np.sqrt(parameters.lt / 2.0)]
    kernel = RBF(scales, "fixed") + WhiteKernel(parameters.noise, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    scores = standardised_scores(given.curves, parameters.midpoint, parameters.growth).values
    return process.fit(np.column_stack([given.x, given.t]), scores)


def test_the_posterior_is_that_of_scikit_learn():
    given, draw = points(), np.random.default_rng(1)
    x, t = draw.random((7, 3)), np.array([0.25, 0.5, 1.0])
    mean, deviation = Posterior(given, PARAMETERS).on_grid(x, t)
    there = sklearn_of(given, PARAMETERS)
    for column, each in enumerate(t):
        at = np.column_stack([x, np.full(7, each)])
        expected, with_noise = there.predict(at, return_std=True)
        np.testing.assert_allclose(mean[:, column], expected, atol=1e-10)
        # its deviation is that of an observation
        np.testing.assert_allclose(deviation[:, column] ** 2 + PARAMETERS.noise, with_noise**2, atol=1e-10)


def test_the_marginal_likelihood_is_that_of_scikit_learn():
    given = points()
    ours, _ = log_marginal_likelihood(given, PARAMETERS.packed())
    assert ours == pytest.approx(sklearn_of(given, PARAMETERS).log_marginal_likelihood_value_, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_marginal_likelihood_is_that_of_differences(seed):
    given = points(seed=seed)
    packed = PARAMETERS.packed() + np.random.default_rng(seed).normal(0.0, 0.3, 5)
    _, gradient = log_marginal_likelihood(given, packed)
    for place in range(5):
        step = np.zeros(5)
        step[place] = 1e-5
        above, below = (log_marginal_likelihood(given, packed + sign * step)[0] for sign in (1.0, -1.0))
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-6)


def test_a_fit_finds_what_is_better_than_where_it_began():
    given = points(60)
    found = fitted(given, Parameters())
    for other in (Parameters(), PARAMETERS, Parameters(lx=0.1), Parameters(lx=3.0, lt=0.2)):
        assert (
            log_marginal_likelihood(given, found.packed())[0]
            > log_marginal_likelihood(given, other.packed())[0]
        )


def test_what_is_pending_changes_no_mean_and_shrinks_the_variance_there():
    given = points()
    x, t = np.array([[0.9, 0.1, 0.9], [0.1, 0.9, 0.1]]), np.array([0.5, 1.0])
    before, after = Posterior(given, PARAMETERS), Posterior(given, PARAMETERS, (x[:1], np.array([1.0])))
    np.testing.assert_allclose(after.on_grid(x, t)[0], before.on_grid(x, t)[0], atol=1e-12)
    ratio = after.on_grid(x, t)[1] / before.on_grid(x, t)[1]
    assert ratio[0, 1] < 0.3
    assert np.all(ratio <= 1.0 + 1e-12)
    assert ratio[1, 0] > 0.99


def test_the_condition_number_is_that_of_numpy_up_to_the_estimate():
    given = points()
    at = given.x, given.t
    there = sklearn_of(given, PARAMETERS)
    matrix = there.kernel_(np.column_stack(at))
    assert log_condition_number(at, PARAMETERS) == pytest.approx(np.log(np.linalg.cond(matrix, 1)), abs=0.5)


@pytest.mark.parametrize("units", [1, 2, 27])
def test_weights_grow_sum_to_one_and_have_the_derivatives_of_differences(units):
    midpoint, growth, step = -0.7, 1.4, 1e-6
    weights = logistic_weights(units, midpoint, growth)
    assert weights.values.sum() == pytest.approx(1.0)
    assert np.all(np.diff(weights.values) > 0.0)
    by_midpoint = logistic_weights(units, midpoint + step, growth).values - weights.values
    by_growth = logistic_weights(units, midpoint, growth + step).values - weights.values
    np.testing.assert_allclose(weights.by_midpoint, by_midpoint / step, atol=1e-5)
    np.testing.assert_allclose(weights.by_growth, by_growth / step, atol=1e-5)


def test_curves_that_are_all_alike_have_scores_of_zero():
    scores = standardised_scores(np.ones((3, 4)), 0.0, 1.0)
    assert [each.tolist() for each in scores] == [[0.0] * 3] * 3


@pytest.mark.parametrize("z", [-30.0, -6.0, -1.0001, -0.9999, 0.0, 0.5, 4.0, 40.0])
def test_the_expected_improvement_is_that_of_quadrature(z):
    deviation, incumbent = 0.3, 1.7
    mean = incumbent + z * deviation
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), incumbent)[0]
    # of (f - incumbent) from the incumbent upwards, with the density's largest value there taken out
    peak = max(incumbent, mean)
    largest = norm.logpdf(peak, mean, deviation)
    width = deviation * (10.0 if z > -2 else 40.0 / -z)
    expected, _ = quad(
        lambda f: (f - incumbent) * np.exp(norm.logpdf(f, mean, deviation) - largest),
        max(incumbent, mean - 10 * deviation), peak + width, epsabs=0, epsrel=1e-10, limit=200,
    )  # fmt: skip
    assert found == pytest.approx(np.log(expected) + largest, rel=1e-9)


def test_the_expected_improvement_falls_smoothly_far_below_the_smallest_float():
    z = np.concatenate([-np.geomspace(1e6, 1e-3, 4000), np.linspace(0.0, 5.0, 500)])
    found = log_expected_improvement(z, np.ones_like(z), 0.0)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found) > 0.0)
    assert found[0] < -4e11

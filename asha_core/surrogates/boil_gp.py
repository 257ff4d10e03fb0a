"""BOIL's Gaussian process: scores of learning curves, over configurations and lengths of training.

    k((x, t), (x', t')) = exp(-|x - x'|^2 / lx - (t - t')^2 / lt),    + noise where they are one observation

on unit cubes: x has the coordinates of the configuration, t is units / R. Scores are standardised, so the
prior has mean 0 and variance 1. Five numbers are fitted together, by maximum marginal likelihood: lx, lt and
the noise of the kernel, midpoint and growth of the scores (``curve_scores``).

numpy and scipy, in float64: matrices have at most a few hundred rows, where starting torch takes longer than
all of it, and derivatives of five parameters are a page.

Source: Nguyen, Schulze and Osborne 2020, arXiv:1909.09593, section 3.2; Rasmussen and Williams 2006,
algorithm 2.1 and equation 5.9.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import minimize

from asha_core.surrogates.curve_scores import GROWTHS, MIDPOINTS, Array, logistic_weights

NOISE = (5e-4, 1e-1)  # of standardised scores, a variance; the authors hold it at the lower one
_LT = (0.1, 4.0)
_STEPS = 40  # of L-BFGS, from each start
_PLACES = 3  # of a fitted number: beyond them libraries of linear algebra differ from machine to machine


class Parameters(NamedTuple):
    """What is fitted."""

    lx: float = 0.5
    lt: float = 0.4
    noise: float = 1e-2
    midpoint: float = 0.0
    growth: float = 1.0

    @classmethod
    def usual(cls, dimensions: int) -> Parameters:
        """What is taken before a fit; there may be no dimensions, where all are held."""
        return cls(lx=0.25 * max(dimensions, 1))

    def packed(self) -> Array:
        """As the optimiser moves them: logarithms but for the midpoint; shape (5,)."""
        return np.array(
            [math.log(self.lx), math.log(self.lt), math.log(self.noise), self.midpoint, math.log(self.growth)]
        )

    @classmethod
    def unpacked(cls, packed: Array) -> Parameters:
        """The opposite."""
        lx, lt, noise, midpoint, growth = (float(each) for each in packed)
        return cls(math.exp(lx), math.exp(lt), math.exp(noise), midpoint, math.exp(growth))


class Points(NamedTuple):
    """n observations: where, and the curves up to there.

    Attributes:
        x: (n, D), from 0 to 1.
        t: (n,), units / R.
        curves: (n, R), utilities from 0 to 1; 0 beyond t.
    """

    x: Array
    t: Array
    curves: Array


class Scores(NamedTuple):
    """Standardised scores, shape (n,), and their derivatives by midpoint and growth."""

    values: Array
    by_midpoint: Array
    by_growth: Array


def standardised_scores(curves: Array, midpoint: float, growth: float) -> Scores:
    """The scores of curves, with mean 0 and variance 1 (all 0 where all are alike)."""
    weights = logistic_weights(curves.shape[1], midpoint, growth)
    raw = curves @ weights.values
    centred = raw - raw.mean()
    spread = float(np.sqrt(np.mean(centred * centred)))
    if spread < 1e-12:
        nothing = np.zeros_like(raw)
        return Scores(nothing, nothing, nothing)
    values = centred / spread
    moved = []
    for each in (weights.by_midpoint, weights.by_growth):
        change = curves @ each
        moved.append((change - change.mean() - values * np.mean(values * change)) / spread)
    return Scores(values, moved[0], moved[1])


def square_distances(one: Array, other: Array) -> Array:
    """(n, m) of (n, D) and (m, D)."""
    found = np.sum(one * one, 1)[:, None] + np.sum(other * other, 1)[None, :] - 2.0 * one @ other.T
    return np.asarray(np.maximum(found, 0.0))


def kernel(one: tuple[Array, Array], other: tuple[Array, Array], parameters: Parameters) -> Array:
    """(n, m) covariances, without noise, of points (x, t) of shapes (n, D), (n,) and (m, D), (m,)."""
    far = square_distances(one[0], other[0]) / parameters.lx
    far += (one[1][:, None] - other[1][None, :]) ** 2 / parameters.lt
    return np.asarray(np.exp(-far))


def log_marginal_likelihood(points: Points, packed: Array) -> tuple[float, Array]:
    """Of the standardised scores, and its gradient by ``Parameters.packed``, shape (5,)."""
    parameters = Parameters.unpacked(packed)
    count = len(points.t)
    scores = standardised_scores(points.curves, parameters.midpoint, parameters.growth)
    dx = square_distances(points.x, points.x) / parameters.lx
    dt = (points.t[:, None] - points.t[None, :]) ** 2 / parameters.lt
    smooth = np.exp(-dx - dt)
    factor = cholesky(smooth + parameters.noise * np.eye(count), lower=True, check_finite=False)
    alpha = cho_solve((factor, True), scores.values, check_finite=False)
    value = (
        -0.5 * float(scores.values @ alpha)
        - float(np.log(np.diag(factor)).sum())
        - 0.5 * count * math.log(2.0 * math.pi)
    )
    inverse = cho_solve((factor, True), np.eye(count), check_finite=False)
    outer = np.outer(alpha, alpha) - inverse
    weighted = outer * smooth
    gradient = np.array(
        [
            0.5 * float(np.sum(weighted * dx)),
            0.5 * float(np.sum(weighted * dt)),
            0.5 * parameters.noise * float(np.trace(outer)),
            -float(alpha @ scores.by_midpoint),
            -float(alpha @ scores.by_growth) * parameters.growth,
        ]
    )
    return value, gradient


def fitted(points: Points, start: Parameters) -> Parameters:
    """The parameters of largest marginal likelihood that are found from ``start`` and from the usual ones."""
    usual = Parameters.usual(points.x.shape[1])
    bounds = [
        (math.log(0.03), math.log(16.0 * usual.lx)),
        (math.log(_LT[0]), math.log(_LT[1])),
        (math.log(NOISE[0]), math.log(NOISE[1])),
        MIDPOINTS,
        (math.log(GROWTHS[0]), math.log(GROWTHS[1])),
    ]

    def loss(packed: Array) -> tuple[float, Array]:
        try:
            value, gradient = log_marginal_likelihood(points, packed)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros(5)
        return -value, -gradient

    best, least = start, math.inf
    for begin in dict.fromkeys((start, usual)):
        low, high = np.array(bounds).T
        found = minimize(
            loss,
            np.clip(begin.packed(), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _STEPS},
        )
        if float(found.fun) < least:
            least, best = float(found.fun), Parameters.unpacked(np.round(found.x, _PLACES))
    return best


class Posterior:
    """What is known of the scores, given points, and where others are on their way.

    Args:
        points: observed.
        parameters: of kernel and scores.
        pending: (x, t) of observations that will come: taken to be what is expected of them. So the mean
            does not change, and the variance near them shrinks.
    """

    def __init__(
        self, points: Points, parameters: Parameters, pending: tuple[Array, Array] | None = None
    ) -> None:
        self._parameters = parameters
        self._at = points.x, points.t
        self.scores = standardised_scores(points.curves, parameters.midpoint, parameters.growth).values
        factor = _factor(self._at, parameters)
        self.alpha = cho_solve((factor, True), self.scores, check_finite=False)
        self._all, self._factor = self._at, factor
        if pending is not None and len(pending[1]):
            self._all = np.vstack([points.x, pending[0]]), np.concatenate([points.t, pending[1]])
            self._factor = _factor(self._all, parameters)

    def mean(self, x: Array, t: Array) -> Array:
        """(m,) of points (m, D), (m,)."""
        found: Array = kernel((x, t), self._at, self._parameters) @ self.alpha
        return found

    def on_grid(self, x: Array, t: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the score, both (m, T), at all pairs of x (m, D) and t (T,)."""
        parameters = self._parameters
        by_x = np.exp(-square_distances(x, self._all[0]) / parameters.lx)
        by_t = np.exp(-((t[:, None] - self._all[1][None, :]) ** 2) / parameters.lt)
        seen = len(self._at[1])
        mean = (by_x[:, :seen] * self.alpha) @ by_t[:, :seen].T
        variance = np.empty_like(mean)
        for column, each in enumerate(by_t):
            explained = solve_triangular(self._factor, (by_x * each).T, lower=True, check_finite=False)
            variance[:, column] = 1.0 - np.sum(explained * explained, 0)
        return mean, np.sqrt(np.maximum(variance, 1e-10))

    def covariance(self, x: Array, t: Array) -> Array:
        """(m, m) of points (m, D), (m,)."""
        across = solve_triangular(
            self._factor, kernel(self._all, (x, t), self._parameters), lower=True, check_finite=False
        )
        found: Array = kernel((x, t), (x, t), self._parameters) - across.T @ across
        return found


def _factor(at: tuple[Array, Array], parameters: Parameters) -> Array:
    matrix = kernel(at, at, parameters)
    matrix[np.diag_indices_from(matrix)] += parameters.noise
    found: Array = cholesky(matrix, lower=True, check_finite=False)
    return found


def log_condition_number(at: tuple[Array, Array], parameters: Parameters) -> float:
    """Natural logarithm of their covariance's condition number, as LAPACK estimates it in the 1-norm."""
    matrix = kernel(at, at, parameters)
    matrix[np.diag_indices_from(matrix)] += parameters.noise
    norm = float(np.abs(matrix).sum(0).max())
    reciprocal, _ = lapack.dpocon(cholesky(matrix, lower=True, check_finite=False), norm, uplo="L")
    return -math.log(max(float(reciprocal), 1e-300))

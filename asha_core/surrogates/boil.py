"""BOIL's model: what curves say of other configurations and lengths, and which of them is worth its cost.

The scheduler (``asha_core/schedulers/boil.py``) knows trials and candidates; this knows numbers. A decision
takes a time that is bounded by ``MOST_POINTS`` and the number of candidates, however long the search is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from asha_core.surrogates.beside import begin
from asha_core.surrogates.boil_gp import (
    Parameters,
    Points,
    Posterior,
    fitted,
    log_condition_number,
    square_distances,
)
from asha_core.surrogates.curve_scores import Array
from asha_core.surrogates.known import Known
from asha_core.surrogates.log_ei import log_expected_improvement

MOST_EXTRA = 10  # points of one whole curve beside its last one, as the authors have it
MOST_LOG_CONDITION = 15.0  # of the covariance with them, likewise
_LEAST_VARIANCE = 1e-3  # above the noise, of a point that is added, likewise
_CHEAPEST = 0.1  # what an evaluation costs at least, in parts of the range of costs, likewise
_WORST = 0.9  # quantile of losses from which on they are all equally bad
_LARGEST = 1e100  # losses beyond are as bad, or as good: their differences are finite
_PLACES = 6  # of what is maximised: beyond them machines differ, and the first of equals is taken
_GROWTH = 1.25  # the next fit is due when there are so many times as many arrivals
_NEAR = 32  # candidates that are looked at with every level


class Choice(NamedTuple):
    """A candidate, and how long to train it."""

    value: float  # log of the expected improvement by unit of cost
    candidate: int
    level: int  # its index


class Boil:
    """The model of one search.

    Args:
        levels: units to which a trial can be trained, growing; the last is R.
    Attributes:
        parameters: of the Gaussian process and the scores; fitted beside the search.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        self._levels = tuple(levels)
        self.parameters: Parameters | None = None
        self._fit: Callable[[], Parameters] | None = None
        self._fit_begun = self._fits_at = 0

    def fit(self, arrivals: int, known: Sequence[Known]) -> None:
        """After an arrival: begin to fit beside, if it is due.

        What comes of it takes effect at the first decision after the next arrival, or at the next fit,
        whichever is sooner, and is waited for there.
        """
        if arrivals < self._fits_at:
            return
        self._take_effect()
        points = _points(known, self._levels[-1])
        self._fit = begin(partial(fitted, points, self._now(len(known[0].x))))
        self._fit_begun, self._fits_at = arrivals, math.ceil(arrivals * _GROWTH) + 1

    def settle(self, arrivals: int) -> None:
        """Ahead of a decision: what was fitted takes effect, if one more has arrived since it was begun."""
        if arrivals > self._fit_begun:
            self._take_effect()

    def _take_effect(self) -> None:
        if self._fit is not None:
            self.parameters = self._fit()
            self._fit = None

    def _now(self, dimensions: int) -> Parameters:
        return self.parameters or Parameters.usual(dimensions)

    def described(self) -> dict[str, float]:
        """What was fitted, by name; empty before it was."""
        return {} if self.parameters is None else self.parameters._asdict()

    def decision(self, known: Sequence[Known], pending: Sequence[tuple[Sequence[float], int]]) -> Decision:
        """What to decide by, given what is known, and (x, units) of trials that are on their way there."""
        return Decision(self._levels, self._now(len(known[0].x)), known, pending)

    def extra_units(self, known: Sequence[Known], trial: Known) -> tuple[int, ...]:
        """The units of a trial's curve that become points of their own, where the variance is largest.

        Args:
            known: without that trial.
        """
        most, units = self._levels[-1], len(trial.losses)
        count = MOST_EXTRA * units // most
        grid = sorted({round(unit) for unit in np.linspace(1, units, min(units, 5 * MOST_EXTRA))} - {units})
        if count == 0 or not grid:
            return ()
        parameters = self._now(len(trial.x))
        points = _points([*known, Known(trial.x, trial.losses)], most)
        x = np.tile(np.array(trial.x), (len(grid), 1))
        t = np.array(grid) / most
        covariance = Posterior(points, parameters).covariance(x, t)
        chosen: list[int] = []
        while len(chosen) < count:
            variance = np.round(np.diag(covariance), _PLACES)
            next_one = int(np.argmax(variance))
            if variance[next_one] <= parameters.noise + _LEAST_VARIANCE:
                break
            chosen.append(next_one)
            column = covariance[:, next_one]
            covariance = covariance - np.outer(column, column) / (column[next_one] + parameters.noise)
        while chosen:
            at = np.vstack([points.x, x[chosen]]), np.concatenate([points.t, t[chosen]])
            if log_condition_number(at, parameters) < MOST_LOG_CONDITION:
                break
            chosen.pop()
        return tuple(sorted(grid[each] for each in chosen))


class Decision:
    """The acquisition function of one decision: log EI - log cost."""

    def __init__(
        self,
        levels: Sequence[int],
        parameters: Parameters,
        known: Sequence[Known],
        pending: Sequence[tuple[Sequence[float], int]],
    ) -> None:
        most = levels[-1]
        self._t = np.array(levels) / most
        points = _points(known, most)
        waiting = (
            (np.array([list(x) for x, _ in pending]), np.array([units / most for _, units in pending]))
            if pending
            else None
        )
        self._posterior = Posterior(points, parameters, waiting)
        self._incumbent = float(self._posterior.mean(points.x, points.t).max())
        self._cost = _CostModel(known, most)
        # for a first look, some levels are enough
        self._some = sorted(
            {len(levels) - 1 - round(share * (len(levels) - 1)) for share in (0, 0.15, 0.35, 0.6, 1)}
        )

    def best(self, candidates: Sequence[Sequence[float]], count: int = 1) -> list[Choice]:
        """The best ``count`` of the candidates, each with the level that is best for it; the best first."""
        x = np.array([list(each) for each in candidates])
        rough = self._values(x, self._t[self._some]).max(1)
        near = np.argsort(-rough, kind="stable")[: max(_NEAR, count)]
        values = self._values(x[near], self._t)
        levels = values.argmax(1)
        found = [Choice(float(values[i, level]), int(near[i]), int(level)) for i, level in enumerate(levels)]
        return sorted(found, key=lambda each: (-each.value, each.candidate))[:count]

    def nearest(
        self, pool: Sequence[Sequence[float]], places: Sequence[Sequence[float]], count: int
    ) -> list[int]:
        """Which of ``pool`` are nearest to one of the places."""
        away = square_distances(np.array(pool), np.array([list(each) for each in places])).min(1)
        return [int(row) for row in np.argsort(np.round(away, _PLACES), kind="stable")[:count]]

    def _values(self, x: Array, t: Array) -> Array:
        mean, deviation = self._posterior.on_grid(x, t)
        gain = log_expected_improvement(mean, deviation, self._incumbent)
        found: Array = np.round(gain - np.log(self._cost.on_grid(x, t)), _PLACES)
        return found


class _CostModel:
    """Seconds of training by linear regression on (x, t), in parts of their range, from 0.1 upwards."""

    def __init__(self, known: Sequence[Known], most: int) -> None:
        timed = any(each.seconds > 0 for each in known)
        rows, seconds = [], []
        for each in known:
            for unit in (*each.extra, each.timed):
                if 0 < unit <= each.timed:  # what failed at once says nothing of what training costs
                    rows.append([1.0, *each.x, unit / most])
                    seconds.append((each.seconds / each.timed if timed else 1.0) * unit)
        cost = np.array(seconds or [0.0])
        rows = rows or [[1.0] + [0.0] * (len(known[0].x) + 1)]
        self._low, self._range = float(cost.min()), float(cost.max() - cost.min())
        if self._range <= 0.0:
            self._low, self._range = 0.0, float(cost.max()) or 1.0
        self._coefficients = np.linalg.lstsq(np.array(rows), cost, rcond=None)[0]

    def on_grid(self, x: Array, t: Array) -> Array:
        """(m, T) for x (m, D) and t (T,)."""
        by_x = self._coefficients[0] + x @ self._coefficients[1:-1]
        cost = by_x[:, None] + self._coefficients[-1] * t[None, :]
        found: Array = np.maximum((cost - self._low) / self._range, 0.0) + _CHEAPEST
        return found


def _points(known: Sequence[Known], most: int) -> Points:
    """All points of the trials: of each its last unit, and the extra ones."""
    finite = np.array([loss for each in known for loss in each.losses if math.isfinite(loss)])
    finite = np.clip(finite, -_LARGEST, _LARGEST)
    low, high = (float(finite.min()), float(np.quantile(finite, _WORST))) if finite.size else (0.0, 0.0)
    x, t, curves = [], [], []
    for each in known:
        losses = np.array(each.losses, dtype=float)
        bad = ~np.isfinite(losses)
        losses[bad] = high
        losses = np.clip(losses, low, high)
        utility = (high - losses) / (high - low) if high > low else np.where(bad, 0.0, 1.0)
        for unit in (*each.extra, len(losses)):
            row = np.zeros(most)
            row[:unit] = utility[:unit]
            x.append(list(each.x))
            t.append(unit / most)
            curves.append(row)
    return Points(np.array(x), np.array(t), np.array(curves))

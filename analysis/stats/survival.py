"""Times of which some were never reached: Kaplan-Meier curves, restricted means, log-rank tests.

Everywhere ``times`` are (n,) positive floats in any one unit, and ``censored`` (n,) truth values: True where
the target was never reached, and the time is then how long it was tried (the budget). Reached at t and
censored at t: the one that reached it comes first, as everywhere in the field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Bools, Floats, Ints, observations
from asha_core.arguments import number
from asha_core.errors import SettingError

_ROUNDING = 1e-9  # a survival of .5 that was multiplied together is .5


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """The share not yet there, as a step function that falls at each time of an event; arrays are (m,)."""

    times: Floats  # distinct times at which at least one reached the target
    survival: Floats  # the share not there just after each; before the first it is 1
    low: Floats  # the confidence band; NaN where it is not defined (once all are there)
    high: Floats
    at_risk: Ints  # how many were neither there nor censored just before
    events: Ints  # how many got there
    n: int  # observations
    last: float  # the largest time; past it nothing is known unless survival is 0
    confidence: float  # of the band, pointwise

    @property
    def median(self) -> float:
        """The smallest time at which survival is .5 or below; infinite where it never is.

        Where survival is .5 over an interval this is the interval's beginning (lifelines and SciPy do so; R
        gives its middle).
        """
        return self.quantile(0.5)

    @property
    def median_interval(self) -> tuple[float, float]:
        """Where the band's ends reach .5; infinite where one never does (R prints NA).

        Source: Brookmeyer and Crowley 1982, doi:10.2307/2530286, on the log(-log) scale.
        """
        # once all are there the band is undefined: its low end is 0, its high end could be anything
        low, high = np.nan_to_num(self.low, nan=0.0), np.nan_to_num(self.high, nan=1.0)
        return self._first(low, 0.5), self._first(high, 0.5)

    def quantile(self, share: float) -> float:
        """The smallest time by which ``share`` of all are there; infinite where it is never reached."""
        return self._first(self.survival, 1 - number("share", share, above=0, below=1))

    def at(self, t: ArrayLike) -> Floats:
        """Survival at times t, of any shape; NaN past the last observation where that was censored."""
        where = np.asarray(t, dtype=np.float64)
        if np.isnan(where).any():
            raise SettingError("t has a NaN: survival is asked for at times")
        steps = np.concatenate([[1.0], self.survival])
        known = steps[np.searchsorted(self.times, where, side="right")]
        return np.asarray(np.where((where > self.last) & (steps[-1] > 0), np.nan, known), dtype=np.float64)

    def _first(self, curve: Floats, level: float) -> float:
        below = curve <= level + _ROUNDING
        return float(self.times[np.argmax(below)]) if below.any() else math.inf


def kaplan_meier(times: ArrayLike, censored: ArrayLike, confidence: float = 0.95) -> KaplanMeier:
    """The Kaplan-Meier estimate with log(-log) bands.

    S(t) = prod over event times t_j <= t of (1 - d_j / n_j). The band is symmetric on the scale log(-log S),
    with Greenwood's variance sum d_j / (n_j (n_j - d_j)) over (log S)^2: it stays within 0 and 1.

    Args:
        times: (n,) positive.
        censored: (n,) truth values.
        confidence: of the pointwise band.
    Raises:
        SettingError: the arrays are empty, of different length, or hold what is no time.
    Source: Kaplan and Meier 1958, doi:10.2307/2281868; Kalbfleisch and Prentice 1980, section 1.3.
    """
    t, cens = observations(times, censored)
    number("confidence", confidence, above=0, below=1)
    distinct, at_risk, events = _table(t, cens)
    survival = np.cumprod(1 - events / at_risk, dtype=np.float64)
    low, high = _band(survival, np.cumsum(_greenwood(at_risk, events)), confidence)
    return KaplanMeier(distinct, survival, low, high, at_risk, events, len(t), float(t.max()), confidence)


def restricted_mean(times: ArrayLike, censored: ArrayLike, horizon: float) -> tuple[float, float]:
    """Mean of min(T, horizon), estimated by the area under the Kaplan-Meier curve, and its standard error.

    Args:
        times: (n,) positive.
        censored: (n,) truth values.
        horizon: positive, in the unit of ``times``; no later than the last time if that is censored.
    Returns:
        (mean, standard error), in the unit of ``times``. The variance is the sum over events of
        A_j^2 d_j / (n_j (n_j - d_j)), where A_j is the area from t_j to the horizon.
    Raises:
        SettingError: the curve is not known up to the horizon, or the arrays are not as they must be.
    Source: Irwin 1949, doi:10.1017/S0022172400014443; Klein and Moeschberger 2003, section 4.5.
    """
    t, cens = observations(times, censored)
    number("horizon", horizon, above=0)
    last = float(t.max())
    if horizon > last and cens[t == last].any():
        raise SettingError(
            f"horizon is {horizon:g}, but the largest time, {last:g}, is censored: nothing is known after "
            f"it; give a horizon of at most {last:g}"
        )
    distinct, at_risk, events = _table(t, cens)
    inside = distinct < horizon
    distinct, at_risk, events = distinct[inside], at_risk[inside], events[inside]
    edges = np.concatenate([[0.0], distinct, [horizon]])
    heights = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    pieces = np.diff(edges) * heights
    after = np.cumsum(pieces[::-1])[::-1][1:]  # the area from each event to the horizon
    variance = float(np.dot(after**2, _greenwood(at_risk, events)))
    return float(pieces.sum()), math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class LogRank:
    """Whether groups have one distribution of times."""

    statistic: float  # chi-square
    p: float  # two-sided
    degrees: int  # of freedom
    observed: Floats  # (groups,) events
    expected: Floats  # (groups,) events, if all groups were alike


def log_rank(times_a: ArrayLike, censored_a: ArrayLike, times_b: ArrayLike, censored_b: ArrayLike) -> LogRank:
    """Whether two groups' times have one distribution; pairs are not made use of.

    Returns:
        the chi-square statistic (1 degree of freedom) and its two-sided p.
    Raises:
        SettingError: the arrays are not as they must be.
    Source: Mantel 1966; Peto and Peto 1972, doi:10.2307/2344317 (hypergeometric variance, as R's survdiff).
    """
    return log_rank_many([(times_a, censored_a), (times_b, censored_b)])


def log_rank_many(groups: Sequence[tuple[ArrayLike, ArrayLike]]) -> LogRank:
    """Whether k groups' times have one distribution: chi-square with k - 1 degrees of freedom.

    Groups that are never at risk together with another say nothing: statistic 0, p 1.

    Args:
        groups: at least two of (times, censored).
    Raises:
        SettingError: fewer than two groups, or arrays that are not as they must be.
    """
    if len(groups) < 2:
        raise SettingError(f"groups has {len(groups)} entries: a log-rank test compares at least 2")
    data = [observations(t, c, after=f" of group {index}") for index, (t, c) in enumerate(groups)]
    pooled = np.concatenate([t for t, _ in data]), np.concatenate([c for _, c in data])
    distinct, at_risk, events = _table(*pooled)
    mine = np.stack([_counts(t, np.ones(len(t), bool), distinct, at=False) for t, _ in data])
    died = np.stack([_counts(t, ~c, distinct, at=True) for t, c in data])
    share = mine / at_risk
    expected = (share * events).sum(axis=1)
    scale = events * (at_risk - events) / np.maximum(at_risk - 1, 1)
    covariance = np.diag((scale * share).sum(axis=1)) - (scale * share) @ share.T
    difference = died.sum(axis=1) - expected
    # the rows of the covariance add up to 0: its pseudo-inverse drops the direction that says nothing
    statistic = max(
        0.0, float(difference @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ difference)
    )
    degrees = len(groups) - 1
    p = float(stats.chi2.sf(statistic, degrees))
    return LogRank(statistic, p, degrees, died.sum(axis=1).astype(np.float64), expected)


def _table(times: Floats, censored: Bools) -> tuple[Floats, Ints, Ints]:
    """Distinct event times; how many were at risk just before each; how many events."""
    distinct, events = np.unique(times[~censored], return_counts=True)
    at_risk = _counts(times, np.ones(len(times), bool), distinct, at=False)
    return distinct, at_risk, events.astype(np.int64)


def _counts(times: Floats, mask: Bools, at_times: Floats, *, at: bool) -> Ints:
    """Of the masked times, how many equal each of ``at_times`` (``at``), or are no smaller."""
    ordered = np.sort(times[mask])
    left = np.searchsorted(ordered, at_times, side="left")
    right = np.searchsorted(ordered, at_times, side="right") if at else len(ordered)
    return np.asarray(right - left, dtype=np.int64)


def _greenwood(at_risk: Ints, events: Ints) -> Floats:
    """The terms d / (n (n - d)); 0 where all that were left got there, whose area is 0 as well."""
    left = at_risk - events
    terms = np.zeros(len(at_risk))
    np.divide(events, at_risk * left, out=terms, where=left > 0)
    return terms


def _band(survival: Floats, variance: Floats, confidence: float) -> tuple[Floats, Floats]:
    """S^exp(-+ z se / |log S|): NaN where S is 0."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    defined = survival > 0
    log = np.log(survival, out=np.full(len(survival), -1.0), where=defined)
    factor = np.exp(np.minimum(z * np.sqrt(variance) / np.abs(log), 700.0))  # beyond, exp overflows
    low = np.where(defined, np.exp(log * factor), np.nan)
    high = np.where(defined, np.exp(log / factor), np.nan)
    return low, high

"""How large an effect is: ratios of times, and of their spreads, with paired bootstrap intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.arrays import Bools, Floats, cut, numbers, pairs, percentiles, resampling
from analysis.stats.resampling import Curves, bootstrap_weights, weighted_curves
from asha_core.arguments import number

_ROUNDING = 1e-9  # a draw of one value again and again has no spread


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of paired times; NaN where it, or its interval, cannot be had."""

    value: float  # other over baseline; below 1 the other is faster (or narrower)
    low: float  # its interval
    high: float
    of: str  # what the ratio is of, in words
    draws: int  # of the bootstrap
    undefined: float  # the share of draws in which what it is of was not defined
    n: int  # pairs


def ratio_of_times(
    base_times: ArrayLike,
    base_censored: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    horizon: float | None = None,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the Kaplan-Meier medians, other over baseline, with a percentile bootstrap over pairs.

    Everything past the horizon counts as censored there. Where either median is undefined in the data, the
    ratio is of restricted means (areas under the Kaplan-Meier curves up to the horizon; one that ends in a
    censored time before it goes on flat), in every draw.
    Where both are defined in the data but one is not in a draw, it counts as the horizon in that draw, which
    draws the ratio towards 1; ``undefined`` is the share of such draws.

    Args:
        base_times, base_censored, times, censored: (n,) each, pairs in one order.
        horizon: the budget. By default it ends where what is known of either ends: at its largest time, if
            that is a censored one; if neither is, at the larger of the two.
        draws, seed, confidence: of the bootstrap; the interval is NaN for one pair.
    Raises:
        SettingError: arrays or settings are not as they must be.
    Source: Efron and Tibshirani 1993, chapter 13; pairs are drawn whole.
    """
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    end = _known_until((t0, c0), (t1, c1)) if horizon is None else number("horizon", horizon, above=0)
    data = cut(t0, c0, end), cut(t1, c1, end)
    base, other = (_curves(t, c, draws, seed, confidence) for t, c in data)
    medians = np.stack([base.quantile(0.5), other.quantile(0.5)])
    if np.isfinite(medians[:, 0]).all():
        undefined = float(np.isinf(medians[:, 1:]).any(axis=0).mean())
        middle = np.minimum(medians, end)
        return _ratio(middle[1] / middle[0], "medians", undefined, len(t0), confidence)
    means = other.restricted_means(end) / base.restricted_means(end)
    return _ratio(means, "restricted means", 0.0, len(t0), confidence)


def _known_until(*samples: tuple[Floats, Bools]) -> float:
    """The least of the largest times that are censored ones, else the largest time of all."""
    open_ = [float(times.max()) for times, flags in samples if flags[times == times.max()].any()]
    return min(open_) if open_ else max(float(times.max()) for times, _ in samples)


def spread_ratio(
    base_times: ArrayLike,
    times: ArrayLike,
    base_censored: ArrayLike | None = None,
    censored: ArrayLike | None = None,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the seed-wise spreads of log T, other over baseline, with a percentile bootstrap over pairs.

    Without censored times the spread is the standard deviation of log T. With one, that would shrink with
    every search that ends at its budget: the spread is then the interquartile range, log q.75 - log q.25 of
    the Kaplan-Meier curve; NaN where fewer than three quarters get there. Draws in which a ratio is
    undefined (0 / 0, or a quartile never reached) are left out, and counted in ``undefined``.

    Args:
        base_times, times: (n,) positive, pairs in one order, at least two.
        base_censored, censored: (n,) truth values; by default all False.
    Raises:
        SettingError: arrays or settings are not as they must be.
    """
    n = len(numbers("base_times", base_times, least=2, positive=True))
    c0 = np.zeros(n, bool) if base_censored is None else base_censored
    c1 = np.zeros(len(np.atleast_1d(np.asarray(times))), bool) if censored is None else censored
    t0, f0, t1, f1 = pairs(base_times, c0, times, c1)
    if f0.any() or f1.any():
        base, other = (_curves(t, f, draws, seed, confidence) for t, f in ((t0, f0), (t1, f1)))
        with np.errstate(invalid="ignore"):  # infinite minus infinite: undefined, as it should be
            spreads = [np.log(c.quantile(0.75)) - np.log(c.quantile(0.25)) for c in (base, other)]
        of = "interquartile ranges of log time"
    else:
        weights = _weights(n, draws, seed, confidence)
        spreads = [_weighted_sd(np.log(t), weights) for t in (t0, t1)]
        of = "standard deviations of log time"
    low, high = (np.where(np.isfinite(s), s, np.nan) for s in spreads)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = high / low
    undefined = float(np.isnan(ratio[1:]).mean())
    return _ratio(ratio, of, undefined, n, confidence)


def _weights(n: int, draws: int, seed: int, confidence: float) -> Floats:
    """Bootstrap weights after a first row of ones: the data themselves."""
    draws, seed = resampling(draws, seed, confidence)
    return np.vstack([np.ones((1, n)), bootstrap_weights(n, draws, seed)])


def _curves(times: Floats, censored: Bools, draws: int, seed: int, confidence: float) -> Curves:
    return weighted_curves(times, censored, _weights(len(times), draws, seed, confidence))


def _weighted_sd(values: Floats, weights: Floats) -> Floats:
    """(draws,) the standard deviation of each draw, n - 1 in the denominator."""
    n = len(values)
    means = weights @ values / n
    squares = (weights * (values - means[:, None]) ** 2).sum(axis=1)
    sd = np.sqrt(squares / (n - 1))
    return np.where(sd < _ROUNDING, 0.0, sd)


def _ratio(ratios: Floats, of: str, undefined: float, n: int, confidence: float) -> Ratio:
    """The first is of the data, the others are of the draws."""
    value, draws = float(ratios[0]), ratios[1:]
    defined = draws[~np.isnan(draws)] if n > 1 and not math.isnan(value) else draws[:0]
    low, high = percentiles(defined, confidence)
    return Ratio(value, low, high, of, len(draws), undefined, n)

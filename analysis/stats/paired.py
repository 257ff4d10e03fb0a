"""Tests on paired seeds: the same seed with the baseline and with something else, baseline first.

Pairs stand in one order in all arguments; a missing seed is left out of all of them by the caller. At five
pairs or fewer no two-sided test of signs reaches .05 (the least p is 2 / 2^n): p is None there, and ``note``
says why. Ratios of times come from analysis.stats.effects, means and shares of one variation from
analysis.stats.summaries; all are offered here as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import (
    Floats,
    flags,
    least_p,
    numbers,
    pairs,
    resampling,
    same_length,
    too_few,
    truths,
)
from analysis.stats.effects import Ratio, ratio_of_times, spread_ratio
from analysis.stats.resampling import sign_flip_p, swapped_means_p
from analysis.stats.signed_ranks import EXACT, hodges_lehmann_ratio, log_ratios, rank_sums
from analysis.stats.summaries import (
    Band,
    SuccessRate,
    interquartile_mean,
    interquartile_mean_band,
    student_interval,
    success_rate,
)
from asha_core.arguments import integer, number
from asha_core.errors import SettingError

__all__ = [
    "Band",
    "Difference",
    "McNemar",
    "PermutationResult",
    "Ratio",
    "SuccessRate",
    "WilcoxonResult",
    "hodges_lehmann_ratio",
    "holm",
    "interquartile_mean",
    "interquartile_mean_band",
    "mcnemar",
    "paired_difference",
    "permutation_restricted_mean",
    "ratio_of_times",
    "spread_ratio",
    "success_rate",
    "wilcoxon_log",
]

_FEW_DIFFER = 25  # pairs that differ, up to which it is so of any number: the normal one does not fit them


@dataclass(frozen=True, slots=True)
class WilcoxonResult:
    """A signed-rank test of paired times."""

    n: int  # pairs
    differing: int  # those whose times differ
    statistic: float  # the smaller sum of signed ranks
    p: float | None  # two-sided; None where n is so small that no p could reach .05
    least_p: float  # the least that n pairs can give
    # standard deviation of log(other / base), what the power of a next study depends on; NaN for one pair
    sd_log_ratio: float
    exact: bool  # every assignment of signs was counted
    note: str  # what a reader must know; or empty


def wilcoxon_log(base: ArrayLike, other: ArrayLike) -> WilcoxonResult:
    """Two-sided Wilcoxon signed-rank test on log(other / base), with Pratt's zeros.

    Differences of 0 are ranked with the rest and then left out. Up to 200 pairs, or 25 that differ, p is
    exact given the ranks, ties and zeros included: the distribution of the rank sum under random signs is
    counted out. Beyond that it is SciPy's normal approximation.

    Args:
        base, other: (n,) positive times of the same seeds; censored ones at their budget.
    Raises:
        SettingError: no pairs, different lengths, or what is no time.
    Source: Wilcoxon 1945, doi:10.2307/3001968; Pratt 1959, doi:10.1080/01621459.1959.10501526.
    """
    difference = log_ratios(base, other)
    n = len(difference)
    spread = float(difference.std(ddof=1)) if n > 1 else math.nan
    differing = int(np.count_nonzero(difference))
    ranks = stats.rankdata(np.abs(difference))
    statistic = float(min(ranks[difference > 0].sum(), ranks[difference < 0].sum()))
    exact = n <= EXACT or differing <= _FEW_DIFFER
    note, p = too_few(n), None
    if not note and exact:
        p = _signed_rank_p(ranks[difference != 0], statistic)
    elif not note:
        p = 1.0 if differing == 0 else float(stats.wilcoxon(difference, zero_method="pratt").pvalue)
    if not note and differing < n:
        note = f"{n - differing} of {n} pairs have equal times" + (
            f": with so many equal the least p is {least_p(differing):g}" if too_few(differing) else ""
        )
    return WilcoxonResult(n, differing, statistic, p, least_p(n), spread, exact, note)


@dataclass(frozen=True, slots=True)
class PermutationResult:
    """A test of two means of paired times."""

    difference: float  # other minus base, in the unit of the times
    p: float | None  # two-sided; None where n is too small
    exact: bool  # all 2^n swaps were counted; otherwise p is from random ones
    n: int  # pairs
    note: str  # why there is no p


def permutation_restricted_mean(
    base_times: ArrayLike,
    base_censored: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    horizon: float,
    draws: int = 10_000,
    seed: int = 0,
) -> PermutationResult:
    """Whether the mean of min(T, horizon) differs: members of pairs are swapped at random.

    Where nothing is censored before the horizon the means are averages of min(T, horizon). Otherwise they
    are areas under Kaplan-Meier curves, past its last observation a curve going on flat.

    Args:
        base_times, base_censored, times, censored: (n,) each, pairs in one order.
        horizon: the budget, in the unit of the times.
        draws, seed: swaps at random beyond 16 pairs, p = (1 + as extreme) / (1 + draws); at 16 or fewer all
            2^n are counted.
    Raises:
        SettingError: arrays or settings are not as they must be.
    Source: Fisher's randomisation test; +1: Phipson and Smyth 2010, arXiv:1603.05766. Restricted means:
        Royston and Parmar 2013, doi:10.1186/1471-2288-13-152.
    """
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    number("horizon", horizon, above=0)
    draws, seed = resampling(draws, seed)
    n, note = len(t0), too_few(len(t0))
    if (t0 < horizon)[c0].any() or (t1 < horizon)[c1].any():
        difference, p, exact = swapped_means_p((t0, t1), (c0, c1), horizon, draws, seed)
    else:
        differences = np.minimum(t1, horizon) - np.minimum(t0, horizon)
        difference = float(differences.mean())
        p, exact = sign_flip_p(differences, draws, seed)
    return PermutationResult(difference, None if note else p, exact, n, note)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of pairs, other minus base."""

    mean: float
    low: float  # Student's interval; NaN for one pair
    high: float
    p: float | None  # two-sided, of swaps within pairs
    sd: float  # of the differences; NaN for one pair
    n: int  # pairs
    note: str  # why there is no p


def paired_difference(
    base: ArrayLike, other: ArrayLike, confidence: float = 0.95, draws: int = 10_000, seed: int = 0
) -> Difference:
    """Mean of paired differences, of final scores or areas under curves, say.

    The interval is Student's, mean -+ t sd / sqrt(n): at some twenty pairs bootstrap intervals are too
    narrow. p is of the sign-flip test of the mean, exact up to 16 pairs, and asks nothing of the
    distribution but symmetry under "no difference". The two can disagree at the edge.

    Args:
        base, other: (n,) finite, pairs in one order.
    Raises:
        SettingError: no pairs, different lengths, NaN or infinite values.
    """
    x, y = numbers("base", base), numbers("other", other)
    same_length("other", len(y), "base", len(x))
    draws, seed = resampling(draws, seed, confidence)
    differences = y - x
    n, note = len(x), too_few(len(x))
    p = None if note else sign_flip_p(differences, draws, seed)[0]
    sd = float(differences.std(ddof=1)) if n > 1 else math.nan
    return Difference(*student_interval(differences, confidence), p, sd, n, note)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Pairs of which only one got there, and the exact two-sided p that either is as likely."""

    only_base: int
    only_other: int
    p: float


def mcnemar(base_reached: ArrayLike, reached: ArrayLike) -> McNemar:
    """Whether one reaches the target more often, from discordant pairs alone.

    p is binomial: twice the smaller tail of B(discordant, 1/2), at most 1.

    Args:
        base_reached, reached: (n,) truth values, pairs in one order.
    Raises:
        SettingError: no pairs, different lengths, or what is no truth value.
    Source: McNemar 1947, doi:10.1007/BF02295996; exact: Fleiss 1981.
    """
    x = truths("base_reached", base_reached)
    integer("pairs", len(x), 1)
    y = flags("reached", reached, len(x), "base_reached")
    only_base, only_other = int((x & ~y).sum()), int((~x & y).sum())
    if only_base + only_other == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_base, only_other, float(stats.binomtest(only_base, only_base + only_other).pvalue))


def holm(p_values: Sequence[float | None] | Floats) -> Floats:
    """Holm's adjusted p-values: the j-th smallest of m becomes max over i <= j of (m - i + 1) p_i, at most 1.

    Args:
        p_values: within [0, 1]; None or NaN for tests that could not be made.
    Returns:
        (n,) in the same order; NaN where there was none, and these do not count in m.
    Raises:
        SettingError: no vector of numbers, or a p-value outside [0, 1].
    Source: Holm 1979, www.jstor.org/stable/4615733.
    """
    p = _p_values(p_values)
    if (wrong := (p < 0) | (p > 1)).any():
        raise SettingError(f"p_values[{np.argmax(wrong)}] is {p[np.argmax(wrong)]:g}: it must be in [0, 1]")
    adjusted = np.full(len(p), math.nan)
    order = np.argsort(p)[: int(np.count_nonzero(~np.isnan(p)))]  # NaN come last
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted


def _p_values(values: Sequence[float | None] | Floats) -> Floats:
    """A vector, NaN in the place of None."""
    what = "it must be a vector of p-values, in the order in which they are to come back"
    try:
        if isinstance(values, Mapping | Set | str | bytes):
            raise TypeError  # what could be gone through, but has no order, or is no numbers
        found = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"p_values is {values!r:.80}: {what}") from error
    if found.ndim != 1:
        raise SettingError(f"p_values has shape {found.shape}: {what}")
    return found


def _signed_rank_p(ranks: Floats, statistic: float) -> float:
    """2 P(rank sum <= statistic), at most 1, when each rank is in the sum with probability 1/2."""
    probability = rank_sums(np.rint(2 * ranks).astype(np.int64))
    return float(min(1.0, 2 * probability[: round(2 * statistic) + 1].sum()))

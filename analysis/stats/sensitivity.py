"""What warm starts do to hyper-parameters, and whether that helped: shifts, divergences, trends."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Floats, Ints, numbers, resampling, same_length
from analysis.stats.summaries import student_interval
from asha_core.arguments import integer, number
from asha_core.errors import SettingError
from asha_core.extras import needed

FEWEST_X = 5  # distinct x with which a local line can be told from a line through everything


@dataclass(frozen=True, slots=True)
class Shift:
    """Moves after minus before, in search coordinates (log10 for log-scaled dimensions, native otherwise)."""

    n: int  # configurations
    mean: float
    median: float
    sd: float  # NaN for one
    mean_absolute: float  # of their sizes
    low: float  # the 5th percentile
    high: float  # the 95th
    share_moved: float  # of configurations


def shift(before: ArrayLike, after: ArrayLike, tolerance: float = 1e-9) -> Shift:
    """How far one hyper-parameter was moved.

    Args:
        before, after: (n,) of the same configurations, in search coordinates.
        tolerance: what counts as moved is further than this: rounding is no move.
    Raises:
        SettingError: no values, different lengths, NaN or infinite ones.
    """
    x, y = numbers("before", before), numbers("after", after)
    same_length("after", len(y), "before", len(x))
    moves = y - x
    size = np.abs(moves)
    low, high = np.quantile(moves, [0.05, 0.95])
    return Shift(
        len(moves),
        float(moves.mean()),
        float(np.median(moves)),
        float(moves.std(ddof=1)) if len(moves) > 1 else math.nan,
        float(size.mean()),
        float(low),
        float(high),
        float((size > tolerance).mean()),
    )


def kl_divergence(before: ArrayLike, after: ArrayLike, bins: int | None = None) -> float:
    """Divergence KL(after || before) of two samples of one continuous quantity, in nats.

    The line is cut near quantiles of ``before`` into ``bins`` parts of about equal share, the outer ones
    open; the divergence is of the two samples' shares in the parts. It is finite, at most about log(bins),
    and 0 for the same sample twice, which estimators from nearest neighbours are not. Two samples of one
    distribution, drawn independently, differ by about (bins - 1) / 2 (1/n + 1/m): .08 at n = m = 100, .007
    at 5,000. For a Gaussian shifted by one standard deviation (.5 nats) the mean over samples is .49 to .50
    and the standard deviation .13 at 100, .06 at 500, .02 at 5,000; beyond 1 nat it is too low.

    Args:
        before: (n,), at least two.
        after: (m,). Both in search coordinates; which is paired with which is not made use of.
        bins: by default 2 n^(1/3), to the nearest.
    Returns:
        nats; infinite where ``before`` is one value and ``after`` holds another.
    Raises:
        SettingError: too few values, NaN or infinite ones, or fewer than two bins.
    Source: Wang, Kulkarni and Verdu 2005, doi:10.1109/TIT.2005.853314 (data-dependent partitions).
    """
    x, y = numbers("before", before, least=2), numbers("after", after)
    parts = max(2, round(2 * len(x) ** (1 / 3))) if bins is None else integer("bins", bins, 2)
    if x.min() == x.max():
        return 0.0 if (y == x[0]).all() else math.inf
    distinct = np.unique(x)
    at = np.searchsorted(distinct, np.quantile(x, np.arange(1, parts) / parts, method="inverted_cdf"))
    at = np.unique(np.maximum(at, 1))  # no part is empty; cut between values, so that rounding crosses none
    inner = (distinct[at - 1] + distinct[at]) / 2
    shares = [np.bincount(np.searchsorted(inner, s, "right"), minlength=len(inner) + 1) for s in (y, x)]
    return _divergence(*shares)


def kl_of_categories(before: Sequence[Hashable], after: Sequence[Hashable], smoothing: float = 0.5) -> float:
    """Divergence KL(after || before) of two samples of categories, or of few whole numbers, in nats.

    Each category that occurs in either has ``smoothing`` added to its count, so that one that only occurs
    after is rare rather than impossible before.

    Args:
        before, after: (n,) and (m,), not empty; anything that can be compared and hashed.
        smoothing: positive; .5 is Krichevsky and Trofimov's, doi:10.1109/TIT.1981.1056331.
    Raises:
        SettingError: an empty sample, or smoothing that is not positive.
    """
    if not len(before) or not len(after):
        raise SettingError(f"before has {len(before)} values and after {len(after)}: both need at least 1")
    number("smoothing", smoothing, above=0)
    places: dict[Hashable, int] = {}
    for value in (*before, *after):
        places.setdefault(value, len(places))
    counts = [np.bincount([places[v] for v in s], minlength=len(places)) for s in (after, before)]
    return _divergence(counts[0] + smoothing, counts[1] + smoothing)


@dataclass(frozen=True, slots=True)
class BenefitGrid:
    """Benefit against the size of the hyper-gradient."""

    x_edges: Floats  # (a + 1,) of magnitudes, evenly spaced in their logarithm
    y_edges: Floats  # (b + 1,) of benefits
    counts: Ints  # (a, b) configurations
    mean: Floats  # (a,) benefit in each column, NaN in an empty one
    n: int  # all configurations, with the zeros
    zeros: int  # of magnitude 0, which no column holds
    correlation: float  # Spearman's, over all n; NaN if either is constant
    p: float | None  # its two-sided p


def benefit_by_gradient(
    magnitude: ArrayLike, benefit: ArrayLike, bins: int | tuple[int, int] = (12, 12)
) -> BenefitGrid:
    """The heat map of hyper-gradient magnitude against later benefit, and their rank correlation.

    p takes configurations to be independent; those of one search are not quite: read it as a description.

    Args:
        magnitude: (n,) 0 or above, at least one above.
        benefit: (n,) finite, larger is better.
        bins: columns and rows.
    Raises:
        SettingError: arrays or bins are not as they must be.
    """
    x, y = numbers("magnitude", magnitude), numbers("benefit", benefit)
    same_length("benefit", len(y), "magnitude", len(x))
    given = bins if isinstance(bins, Sequence) else (bins, bins)
    columns, rows = (integer("bins", each, 1) for each in given)
    if (x < 0).any() or not (x > 0).any():
        raise SettingError(
            f"magnitude has values from {x.min():g} to {x.max():g}: none may be below 0, one must be above"
        )
    some = x > 0
    logs = np.log10(x[some])
    log_edges, y_edges = _edges(logs, columns), _edges(y, rows)
    counts = np.histogram2d(logs, y[some], [log_edges, y_edges])[0].astype(np.int64)
    sums = np.histogram(logs, log_edges, weights=y[some])[0]
    in_column = counts.sum(axis=1)
    mean = np.full(columns, math.nan)
    np.divide(sums, in_column, out=mean, where=in_column > 0)
    correlation, p = math.nan, None
    if len(x) > 2 and x.min() < x.max() and y.min() < y.max():
        found = stats.spearmanr(x, y)
        correlation, p = float(found.statistic), float(found.pvalue)
    return BenefitGrid(10.0**log_edges, y_edges, counts, mean, len(x), int((~some).sum()), correlation, p)


@dataclass(frozen=True, slots=True)
class Curve:
    """A trend with its band, (g,) each."""

    grid: Floats  # x
    centre: Floats
    low: Floats
    high: Floats
    method: str  # "LOESS" or "means by x"
    n: int  # points
    draws: int  # of the bootstrap; 0 for t intervals
    confidence: float  # of the pointwise interval


def loess(
    x: ArrayLike,
    y: ArrayLike,
    grid: ArrayLike | None = None,
    frac: float = 0.66,
    draws: int = 500,
    seed: int = 0,
    confidence: float = 0.95,
    groups: Sequence[Hashable] | None = None,
) -> Curve:
    """A locally weighted line through points, with a percentile bootstrap band.

    Fewer than five distinct x leave nothing local to fit: then ``grid`` is the distinct x (what was given is
    not used), centre the mean at each, and the band Student's interval, NaN where there is one point.

    Args:
        x, y: (n,) finite. Take the logarithm of what is swept on a log scale (eta_h).
        grid: where to tell the curve, NaN outside the points; by default 50 places from the least x to the
            largest. It is fitted at each distinct x and straight in between.
        frac: of the points that each local line uses.
        draws, seed, confidence: of the bootstrap. A draw counts between its own least and largest x.
        groups: (n,) what is drawn whole, the seed that a point came from, say; by default each point.
    Raises:
        SettingError: arrays or settings are not as they must be, or statsmodels is not installed.
    Source: Cleveland 1979, doi:10.1080/01621459.1979.10481038 (three robustifying iterations), as
        statsmodels.nonparametric.lowess has it.
    """
    a, b = numbers("x", x), numbers("y", y)
    same_length("y", len(b), "x", len(a))
    draws, seed = resampling(draws, seed, confidence)
    number("frac", frac, above=0, most=1)
    if len(np.unique(a)) < FEWEST_X:
        return means_by_x(a, b, confidence)
    places = np.linspace(a.min(), a.max(), 50) if grid is None else numbers("grid", grid)
    blocks = _blocks(groups, len(a))
    lowess = _lowess()
    centre = _fit(lowess, a, b, places, frac)
    rng = np.random.default_rng(seed)
    fits = np.empty((draws, len(places)))
    for row in fits:
        chosen = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        row[:] = _fit(lowess, a[chosen], b[chosen], places, frac)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a place that no draw reaches: NaN it is
        low, high = np.nanquantile(fits, tails, axis=0)
    return Curve(places, centre, low, high, "LOESS", len(a), draws, confidence)


def _divergence(counts: ArrayLike, reference: ArrayLike) -> float:
    p, q = np.asarray(counts, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    p, q = p / p.sum(), q / q.sum()
    some = p > 0
    return max(0.0, float(np.dot(p[some], np.log(p[some] / q[some]))))


def _edges(values: Floats, bins: int) -> Floats:
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high, bins + 1) if low < high else np.linspace(low - 0.5, high + 0.5, bins + 1)


def means_by_x(x: Floats, y: Floats, confidence: float = 0.95) -> Curve:
    """The mean at each distinct x with Student's interval, NaN where there is one point."""
    grid = np.unique(x)
    centre, low, high = np.array([student_interval(y[x == place], confidence) for place in grid]).T
    return Curve(grid, centre, low, high, "means by x", len(x), 0, confidence)


def _blocks(groups: Sequence[Hashable] | None, n: int) -> list[list[int]]:
    """The indices of each group, in order of appearance."""
    names: Sequence[Hashable] = range(n) if groups is None else groups
    same_length("groups", len(names), "x", n)
    blocks: dict[Hashable, list[int]] = {}
    for index, name in enumerate(names):
        blocks.setdefault(name, []).append(index)
    return list(blocks.values())


def _lowess() -> Callable[..., Any]:
    needed("loess", "statsmodels", what="LOESS", error=SettingError)
    module: Any = importlib.import_module("statsmodels.nonparametric.smoothers_lowess")  # it has no types
    return cast(Callable[..., Any], module.lowess)


def _fit(lowess: Callable[..., Any], x: Floats, y: Floats, grid: Floats, frac: float) -> Floats:
    """Fitted at each distinct x and straight in between, NaN outside.

    Where all other points of a window are equally far, none but those at x have weight: statsmodels gives NaN
    there, Cleveland's code and this their mean.
    """
    places, at = np.unique(x, return_inverse=True)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        fitted = np.asarray(lowess(y, x, frac=frac, xvals=places), dtype=np.float64)
    means = np.bincount(at, weights=y) / np.bincount(at)
    fitted = np.where(np.isfinite(fitted), fitted, means)
    return np.interp(grid, places, fitted, left=math.nan, right=math.nan)

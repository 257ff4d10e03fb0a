"""What the estimators ask of the arrays that they are given, checked in one place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.number_formats import counted
from asha_core.arguments import integer, number
from asha_core.errors import SettingError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
LEAST_ALPHA = 0.05  # at this level a test that could not reach it is not printed


def numbers(name: str, values: ArrayLike, *, least: int = 1, positive: bool = False) -> Floats:
    """A vector of finite numbers.

    Args:
        name: how errors call it.
        values: one-dimensional.
        least: how many there must be.
        positive: none may be zero or negative.
    Raises:
        SettingError: it is not so.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be a vector of numbers, not {values!r:.80}") from error
    if array.ndim != 1:
        raise SettingError(f"{name} must have one dimension, not shape {array.shape}")
    if len(array) < least:
        raise SettingError(f"{name} has {len(array)} values; at least {least} are needed")
    wrong = ~np.isfinite(array) | ((array <= 0) if positive else False)
    if wrong.any():
        where = int(np.argmax(wrong))
        kind = "positive and finite" if positive else "finite"
        raise SettingError(f"{name}[{where}] is {array[where]:g}: all values must be {kind}")
    return array


def flags(name: str, values: ArrayLike, length: int, beside: str) -> Bools:
    """A vector of truth values (0 and 1 will do), as long as the array that it goes with."""
    array = truths(name, values)
    same_length(name, len(array), beside, length)
    return array


def truths(name: str, values: ArrayLike) -> Bools:
    """A vector of truth values, of any length; 0 and 1 will do."""
    wrong = f"{name} must be a vector of truth values, not {values!r:.80}"
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise SettingError(wrong) from error
    empty = array.shape == (0,)  # of whatever type
    if not empty and (array.ndim != 1 or array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all()):
        raise SettingError(wrong)
    return array.astype(bool)


def observations(
    times: ArrayLike, censored: ArrayLike, before: str = "", after: str = ""
) -> tuple[Floats, Bools]:
    """Times and which of them are censored, as two vectors of one length.

    Args:
        before, after: what stands before and after ``times`` and ``censored`` in errors.
    """
    name, other = f"{before}times{after}", f"{before}censored{after}"
    checked = numbers(name, times, positive=True)
    return checked, flags(other, censored, len(checked), name)


def pairs(
    base_times: ArrayLike, base_censored: ArrayLike, times: ArrayLike, censored: ArrayLike
) -> tuple[Floats, Bools, Floats, Bools]:
    """Check paired times: (base_times, base_censored, times, censored) as vectors of one length."""
    t0, c0 = observations(base_times, base_censored, before="base_")
    t1, c1 = observations(times, censored)
    same_length("times", len(t1), "base_times", len(t0))
    return t0, c0, t1, c1


def same_length(name: str, length: int, beside: str, expected: int) -> None:
    """Refuse arrays that go together and differ in length."""
    if length != expected:
        raise SettingError(
            f"{name} has {length} values and {beside} {expected}: they must go together one by one"
        )


def resampling(draws: int, seed: int, confidence: float = 0.5) -> tuple[int, int]:
    """Draws and seed as integers; refuse settings that no bootstrap or permutation can be made with."""
    number("confidence", confidence, above=0, below=1)
    return integer("draws", draws, 1), integer("seed", seed, 0)


def cut(times: Floats, censored: Bools, horizon: float) -> tuple[Floats, Bools]:
    """What is known at the horizon: whatever comes later is censored there."""
    return np.minimum(times, horizon), censored | (times > horizon)


def least_p(pairs: int) -> float:
    """The least two-sided p that a test of ``pairs`` signs can give, 2 / 2^n; 1 without pairs."""
    return min(1.0, 2.0 ** (1 - pairs))


def least_pairs(alpha: float = LEAST_ALPHA) -> int:
    """The least number of pairs with which such a test can reach ``alpha``: 6 at .05."""
    return math.ceil(1 - math.log2(alpha))


def too_few(pairs: int, alpha: float = LEAST_ALPHA) -> str:
    """Why no p is told, or nothing where the test can reach ``alpha``."""
    if pairs >= least_pairs(alpha):
        return ""
    return (
        f"{counted(pairs, 'pair')}: the least two-sided p is {least_p(pairs):g}, so no test can reach "
        f"{alpha:g}; {least_pairs(alpha)} pairs are needed"
    )


def percentiles(draws: Floats, confidence: float) -> tuple[float, float]:
    """The percentile interval of bootstrap draws; (nan, nan) without draws.

    As many draws are left out above as below, and the ends are draws themselves: between an infinite draw
    and a finite one there is no middle, and the interval of reciprocals is the reciprocal interval.
    """
    values = np.sort(draws)
    if not len(values):
        return math.nan, math.nan
    outside = math.floor(len(values) * (1 - confidence) / 2 + 1e-9)
    return float(values[outside]), float(values[-1 - outside])

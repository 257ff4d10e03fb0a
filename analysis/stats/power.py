"""How many paired seeds a claim about times takes.

All three functions are one normal approximation for a two-sided test of paired log ratios: power is
Phi(|log ratio| sqrt(n) / sd - z), z the 1 - alpha / 2 quantile. For 15% at 80% that is n = 297 sd^2. It is a
little optimistic: if log ratios are normal, the signed-rank test needs about pi / 3 n + 2 seeds (30 rather
than 27 at sd = .3, 80 rather than 74 at .5, by simulation; with 27 and 74 its power is .75 and .77), with
heavier tails fewer.
Source: Noether 1987, doi:10.1080/01621459.1987.10478478; Chow, Shao and Wang, Sample Size Calculations in
Clinical Research, chapter 3.
"""

from __future__ import annotations

import math

from scipy import stats

from analysis.stats.arrays import least_pairs
from asha_core.arguments import integer, number
from asha_core.errors import SettingError


def seeds_needed(sd_log_ratio: float, ratio: float = 0.85, power: float = 0.8, alpha: float = 0.05) -> int:
    """The number of pairs for which the power is ``power``, to the nearest whole one.

    n = (z_{1 - alpha/2} + z_power)^2 sd^2 / log(ratio)^2: 27 at sd = .3, 74 at .5 (74.3, the power 79.9%).
    Never fewer than the pairs with which a test of signs can reach alpha at all (6 at .05).

    Args:
        sd_log_ratio: standard deviation of log(time / baseline's time) over seeds; 0 or above.
        ratio: of the times, the effect to be found; .85 and 1 / .85 need as many.
    Raises:
        SettingError: a value out of its range, or ratio 1, which no number of seeds can show.
    """
    sd = number("sd_log_ratio", sd_log_ratio, least=0)
    z = _z(power, alpha)
    n = (z * sd / _log_ratio(ratio)) ** 2
    return max(round(n), least_pairs(alpha))


def power_of(n: int, sd_log_ratio: float, ratio: float = 0.85, alpha: float = 0.05) -> float:
    """The chance that n pairs show a ratio of times; 0 where n is so small that no test can reach alpha.

    Args:
        n: pairs.
        sd_log_ratio: as for ``seeds_needed``.
    Raises:
        SettingError: a value out of its range.
    """
    n = integer("n", n, 1)
    sd = number("sd_log_ratio", sd_log_ratio, least=0)
    number("alpha", alpha, above=0, below=1)
    effect = abs(_log_ratio(ratio))
    if n < least_pairs(alpha):
        return 0.0
    if sd == 0:
        return 1.0
    return float(stats.norm.cdf(effect * math.sqrt(n) / sd - stats.norm.ppf(1 - alpha / 2)))


def detectable_ratio(n: int, sd_log_ratio: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The ratio of times, below 1, that n pairs show with chance ``power``: exp(-(z + z_power) sd / sqrt(n)).

    Its reciprocal is the slow-down found as often. 0 where n is so small that no test can reach alpha.

    Raises:
        SettingError: a value out of its range.
    """
    n = integer("n", n, 1)
    sd = number("sd_log_ratio", sd_log_ratio, least=0)
    z = _z(power, alpha)
    return 0.0 if n < least_pairs(alpha) else math.exp(-z * sd / math.sqrt(n))


def _log_ratio(ratio: float) -> float:
    if number("ratio", ratio, above=0) == 1:
        raise SettingError("ratio is 1: no effect, which no number of seeds can show; give .85, say")
    return math.log(ratio)


def _z(power: float, alpha: float) -> float:
    number("power", power, above=0, below=1)
    number("alpha", alpha, above=0, below=1)
    if power <= alpha / 2:
        raise SettingError(f"power is {power!r}: it must be above alpha / 2, {alpha / 2:g}")
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))

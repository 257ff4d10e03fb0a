"""Numbers as the tables of a study print them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.comparison import Comparison, Group

MEASURES = ("seconds", "gpu_hours", "units")
NONE = "\N{EN DASH}"
_INFINITE = "\N{INFINITY}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How what was spent is printed: in ``unit``, of which each is ``size`` of the measure's own."""

    unit: str
    size: float = 1.0
    decimals: int = 1

    def __call__(self, value: float) -> str:
        """The number alone."""
        return f"{value / self.size:,.{self.decimals}f}" if math.isfinite(value) else number(value)


def scale(comparison: Comparison, group: Group, measure: str) -> Scale:
    """One unit and one number of decimals for a measure throughout a group, by its median times."""
    found = [each for arm in group.arms for each in arm.times if each.measure == measure]
    usual = [each.median if math.isfinite(each.median) else each.horizon for each in found]
    least = min((value for value in usual if value > 0), default=1.0)
    unit, size = f"{group.unit}s", 1.0
    if measure == "gpu_hours":
        unit = "GPU-hours" if on_gpu(comparison) else "worker-hours"
    elif measure == "seconds":
        longest = max((each.value for each in group.horizons if each.measure == measure), default=0.0)
        unit, size = ("s", 1.0) if longest < 300 else ("min", 60.0) if longest < 7200 else ("h", 3600.0)
    return Scale(unit, size, max(2 - math.floor(math.log10(least / size)), 0))


def on_gpu(comparison: Comparison) -> bool:
    """Whether a run of the study was on GPUs."""
    return any(source.hardware.get("gpus") for source in comparison.sources)


def measure_name(comparison: Comparison, measure: str) -> str:
    """A measure for people."""
    hours = "GPU-hours" if on_gpu(comparison) else "worker-hours"
    return {"seconds": "wall-clock time", "gpu_hours": hours, "units": "units of training"}[measure]


def number(value: float, digits: int = 3) -> str:
    """To some significant digits, never as 1e+03.

    >>> number(1234.5), number(0.01234), number(12.0), number(0.0000123)
    ('1,234', '0.0123', '12', '1.2e-5')
    """
    if not math.isfinite(value):
        return NONE if math.isnan(value) else _INFINITE if value > 0 else f"\N{MINUS SIGN}{_INFINITE}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-4:
        mantissa, _, exponent = f"{value:.{max(digits - 2, 0)}e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.{digits}g}"


def interval(low: float, high: float, shown: str = "") -> str:
    """``[low, high]``, each as ``number`` or in the format ``shown``; nothing if neither is known."""
    if math.isnan(low) and math.isnan(high):
        return ""
    ends = [f"{end:{shown}}" if shown and math.isfinite(end) else number(end) for end in (low, high)]
    return f"[{', '.join(ends)}]"


def with_interval(value: float, low: float, high: float, shown: str = "") -> str:
    """A value and its interval; the value alone where the interval has no width and is it."""
    if math.isnan(value):
        return NONE
    if low == value == high:
        low = high = math.nan
    main = f"{value:{shown}}" if shown and math.isfinite(value) else number(value)
    return " ".join(filter(None, [main, interval(low, high, shown)]))


def p_value(p: float | None) -> str:
    """A p-value to two digits; ``<.001`` below that."""
    if p is None or math.isnan(p):
        return NONE
    return "<.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def per_cent(share: float) -> str:
    """A share in per cent, without the sign: one decimal, and two digits of a part of one per cent."""
    if math.isnan(share):
        return NONE
    return number(100 * share, 2) if 1e-6 < share < 0.00995 else f"{100 * share:.1f}"


def megabytes(count: float) -> str:
    """Bytes in MB (10**6)."""
    return number(count / 1e6)


def slug(name: str, taken: Iterable[str] = ()) -> str:
    """A name for files: small letters, figures and dashes; with a number if it is taken.

    >>> slug("digits, asha (eta=3)"), slug("a/b", ["a-b"])
    ('digits-asha-eta-3', 'a-b-2')
    """
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower())
    base = "-".join(words.split())[:60] or "group"
    used, found, count = set(taken), base, 1
    while found in used:
        count += 1
        found = f"{base}-{count}"
    return found

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

    def __call__(self, value: float) -> str:
        """The number alone."""
        return number(value / self.size)


def scale(comparison: Comparison, group: Group, measure: str) -> Scale:
    """One unit for a measure throughout a group: such that its horizon is a handy number."""
    if measure == "units":
        return Scale(f"{group.unit}s")
    if measure == "gpu_hours":
        return Scale("GPU-hours" if on_gpu(comparison) else "worker-hours")
    longest = max((each.value for each in group.horizons if each.measure == measure), default=0.0)
    if longest < 300:
        return Scale("s")
    return Scale("min", 60.0) if longest < 7200 else Scale("h", 3600.0)


def on_gpu(comparison: Comparison) -> bool:
    """Whether a run of the study was on GPUs."""
    return any(source.hardware.get("gpus") for source in comparison.sources)


def measure_name(comparison: Comparison, measure: str) -> str:
    """A measure for people."""
    hours = "GPU-hours" if on_gpu(comparison) else "worker-hours"
    return {"seconds": "wall-clock", "gpu_hours": hours, "units": "units of training"}[measure]


def number(value: float, digits: int = 3) -> str:
    """To some significant digits, never as 1e+03.

    >>> number(1234.5), number(0.01234), number(12.0)
    ('1,234', '0.0123', '12')
    """
    if not math.isfinite(value):
        return NONE if math.isnan(value) else _INFINITE if value > 0 else f"\N{MINUS SIGN}{_INFINITE}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    shown = f"{value:.{digits}g}"
    return shown if "e" not in shown or abs(value) < 1e-6 else f"{value:.{digits + 3}f}"


def interval(low: float, high: float, shown: str = "") -> str:
    """``[low, high]``, each as ``number`` or in the format ``shown``; nothing if neither is known."""
    if math.isnan(low) and math.isnan(high):
        return ""
    ends = [f"{end:{shown}}" if shown and math.isfinite(end) else number(end) for end in (low, high)]
    return f"[{', '.join(ends)}]"


def with_interval(value: float, low: float, high: float, shown: str = "") -> str:
    """A value and its interval."""
    if math.isnan(value):
        return NONE
    main = f"{value:{shown}}" if shown and math.isfinite(value) else number(value)
    return " ".join(filter(None, [main, interval(low, high, shown)]))


def p_value(p: float | None) -> str:
    """A p-value to two digits; ``<.001`` below that."""
    if p is None or math.isnan(p):
        return NONE
    return "<.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def per_cent(share: float, digits: int = 3) -> str:
    """A share in per cent, without the sign."""
    return NONE if math.isnan(share) else number(100 * share, digits)


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

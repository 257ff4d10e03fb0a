"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from asha_core.runtime.units import counted

__all__ = ["between", "counted", "few", "listed", "number", "p_value", "percent", "target_name"]


def number(value: float, digits: int = 2) -> str:
    """With ``digits`` decimals; "no limit" for infinity, "unknown" for NaN."""
    if math.isnan(value):
        return "unknown"
    return "no limit" if math.isinf(value) else f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent; with two significant digits where ``digits`` decimals would leave nothing."""
    if not math.isfinite(share):
        return number(share)
    if digits and 0 < abs(100 * share) < 10.0**-digits:
        return f"{100 * share:.2g}%"
    return f"{number(100 * share, digits)}%"


def between(low: float, high: float, digits: int = 2, *, of_share: bool = False) -> str:
    """Such as: 95% interval 0.67 to 1.11."""
    if math.isnan(low) or math.isnan(high):
        return "no interval can be given"
    told = [percent(end, digits) if of_share else number(end, digits) for end in (low, high)]
    return f"95% interval {told[0]} to {told[1]}"


def p_value(p: float) -> str:
    """Such as: p = 0.012; p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def target_name(target: float, metric: str, mode: str = "max") -> str:
    """Such as: accuracy 97%; loss 0.5. An accuracy is told in per cent."""
    if "acc" in metric and 0 < target <= 1 and mode == "max":
        return f"{metric} {100 * target:g}%"
    return f"{metric} {target:g}"


def listed(names: Sequence[object], last: str = "and") -> str:
    """Such as: a, b and c."""
    told = [str(name) for name in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {last} {told[-1]}" if told else "none"


def few(names: Sequence[object], most: int = 12) -> str:
    """The first few of many: "1, 2, 3 and 5 more"."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(str(name) for name in names[:most])} and {len(names) - most} more"

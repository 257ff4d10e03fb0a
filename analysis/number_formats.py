"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from asha_core.runtime.terminal.notices import better
from asha_core.runtime.units import counted

__all__ = [
    "NONE",
    "better",
    "between",
    "counted",
    "few",
    "interval",
    "listed",
    "megabytes",
    "number",
    "p_cell",
    "p_value",
    "percent",
    "percent_cell",
    "percent_interval",
    "relative_targets",
    "significant",
    "slug",
    "target_name",
    "time_unit",
    "with_interval",
    "worse",
]
NONE = "\N{EN DASH}"  # in a table's cell: there is no number
_INFINITE = "\N{INFINITY}"


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


def worse(mode: str) -> str:
    """What a worse value is than a better one: "lower", of mode "max"."""
    return "lower" if mode == "max" else "higher"


def relative_targets(best: float, mode: str, shares: Sequence[float]) -> tuple[float, ...]:
    """Targets relative to the best value: ``shares`` of it, or that many times worse where lower is better.

    None of a value that is not positive: shares of it mean nothing.
    """
    if not best > 0:
        return ()
    return tuple(best * share if mode == "max" else best / share for share in shares)


def listed(names: Sequence[object], last: str = "and") -> str:
    """Such as: a, b and c."""
    told = [str(name) for name in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {last} {told[-1]}" if told else "none"


def few(names: Sequence[object], most: int = 12) -> str:
    """The first few of many: "1, 2, 3 and 5 more"."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(str(name) for name in names[:most])} and {len(names) - most} more"


def time_unit(seconds: float) -> tuple[float, str]:
    """(seconds a unit, the unit's name) for times of up to ``seconds``."""
    if seconds < 300:
        return 1.0, "s"
    return (60.0, "min") if seconds < 7200 else (3600.0, "h")


def significant(value: float, digits: int = 3) -> str:
    """To some significant digits, never as 1e+03.

    >>> significant(1234.5), significant(0.01234), significant(12.0), significant(0.0000123)
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
    ends = [f"{end:{shown}}" if shown and math.isfinite(end) else significant(end) for end in (low, high)]
    return f"[{', '.join(ends)}]"


def with_interval(value: float, low: float, high: float, shown: str = "") -> str:
    """A value and its interval; the value alone where the interval has no width and is it."""
    if math.isnan(value):
        return NONE
    if low == value == high:
        low = high = math.nan
    main = f"{value:{shown}}" if shown and math.isfinite(value) else significant(value)
    return " ".join(filter(None, [main, interval(low, high, shown)]))


def p_cell(p: float | None) -> str:
    """A p-value to two digits, for a table; ``<.001`` below that."""
    if p is None or math.isnan(p):
        return NONE
    return "<.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def percent_cell(share: float) -> str:
    """A share in per cent, without the sign: one decimal, and two digits of a part of one per cent."""
    if math.isnan(share):
        return NONE
    return significant(100 * share, 2) if 1e-6 < share < 0.00995 else f"{100 * share:.1f}"


def percent_interval(value: float, low: float, high: float, digits: int, sign: str = "") -> str:
    """A share and its interval in per cent, for a table; ``sign`` stands behind the share."""
    shown = with_interval(100 * value, 100 * low, 100 * high, f".{digits}f")
    main, _, ends = shown.partition(" ")
    return shown if shown == NONE else f"{main}{sign} {ends}".strip()


def megabytes(count: float) -> str:
    """Bytes in MB (10**6)."""
    return significant(count / 1e6)


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

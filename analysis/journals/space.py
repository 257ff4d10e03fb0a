"""A search space by its description in run.json: where values lie, ticks of axes, values as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_DECADES = 4  # up to which an axis has a tick a decade
Told = Mapping[str, Any]  # a dimension's description


def option_index(told: Told, value: Any) -> int | None:
    """Which option of a category a value is; None: none of them. 1, 1.0 and True are three options."""
    for index, option in enumerate(told["options"]):
        if type(option) is type(value) and option == value:
            return index
    return None


def place(told: Told, value: Any) -> float:
    """Where a value lies between a dimension's ends, in [0, 1]; NaN where the dimension does not exist."""
    if value is None and told["type"] != "choice":
        return math.nan
    if told["type"] == "choice":
        index = option_index(told, value)
        return math.nan if index is None else index / max(len(told["options"]) - 1, 1)
    low, high = ends(told)
    at = math.log10(float(value)) if told.get("log") else float(value)
    return (at - low) / (high - low) if high > low else 0.5


def ends(told: Told) -> tuple[float, float]:
    """The bounds of a numeric dimension, in search coordinates."""
    low, high = float(told["lower"]), float(told["upper"])
    return (math.log10(low), math.log10(high)) if told.get("log") else (low, high)


def shown(value: Any) -> str:
    """A value in a few characters: a float with four digits, a list or a mapping without spaces."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = "/".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
        text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
        return text if len(text) <= 40 else f"{text[:37]}..."
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ticks_of(told: Told) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Places within [0, 1] of a dimension, and the native values there as text.

    Categories have one each; logarithmic dimensions their ends and the decades between, if these are few;
    others their ends and the middle.
    """
    if told["type"] == "choice":
        options: Sequence[Any] = list(told["options"])
        places = [index / max(len(options) - 1, 1) for index in range(len(options))]
        return tuple(places), tuple(shown(option) for option in options)
    low, high = ends(told)
    inside = [float(d) for d in range(math.floor(low) + 1, math.ceil(high))] if told.get("log") else []
    if not told.get("log"):
        inside = [(low + high) / 2]
    elif len(inside) > _DECADES:
        inside = inside[1 :: len(inside) // 2] if len(inside) > 2 * _DECADES else inside[1::2]
    span = high - low or 1.0
    inside = [each for each in inside if 0.05 < (each - low) / span < 0.95]
    native = [10.0**each if told.get("log") else each for each in (low, *inside, high)]
    found = [(each - low) / span for each in (low, *inside, high)]
    return tuple(found), tuple(f"{value:g}" for value in native)

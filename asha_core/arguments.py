"""What arguments must be: each check gives the value back, or raises ``SettingError`` in one line.

A value of numpy's becomes Python's own here: JSON and checkpoints hold no others.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from numbers import Real
from typing import Any, TypeVar

from asha_core.errors import SettingError, nearest

T = TypeVar("T")
PLAIN = (float, int, str, bool, type(None))  # exactly these: what JSON and checkpoints give back as it was


def plain(value: Any) -> Any:
    """A number, text or bool of numpy's, its array of no dimension, or of a subclass, as Python's own.

    Whatever else it is, an Enum too, comes back as it is: who compares members by ``is`` would never again
    find the one that was given.
    """
    if type(value) in PLAIN or isinstance(value, Enum):
        return value
    tracked = getattr(value, "requires_grad", False)  # by torch: a gradient is asked for with respect to it
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not tracked:
        value = value.item()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return int.__int__(value) if isinstance(value, int) and not isinstance(value, bool) else value


def detached(value: Any) -> Any:
    """A tensor that still requires a gradient without it, for who wants its number; all else as it is."""
    return value.detach() if getattr(value, "requires_grad", False) else value


def plain_values(value: Any) -> Any:
    """``plain`` of everything in dicts, lists and tuples.

    Raises:
        TypeError: something in it is none of ``PLAIN``.
    """
    if isinstance(value, dict):
        return {plain_values(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [plain_values(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    found = plain(value)
    if type(found) not in PLAIN:
        raise TypeError(f"{value!r} is a {type(value).__name__}")
    return found


def shown(value: object) -> str:
    """Any object in a few characters on one line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever its own __repr__ raises; an integer of 5,000 digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def instance(name: str, value: T, kind: Any, must_be: str) -> T:
    """An object of a class; ``must_be`` says to people which one."""
    if not isinstance(value, kind):
        raise SettingError(f"{name} is {shown(value)}: it must be {must_be}")
    return value


def text(name: str, value: object) -> str:
    """A text of one line, and not an empty one."""
    if not isinstance(value, str) or not value.strip() or any(ord(letter) < 32 for letter in value):
        raise SettingError(f"{name} is {shown(value)}: it must be text, on one line")
    return str.__str__(value)


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """A name that is allowed; the error says which is near, and which there are."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        written = value if isinstance(value, str) else shown(value)
        raise SettingError(f"{name} is {shown(value)}{nearest(written, names)}")
    return str.__str__(value)


def integer(name: str, value: object, least: int | None = None, most: int | None = None) -> int:
    """An integer (one of numpy's, too, or 3.0; no bool) of at least ``least``, and at most ``most``."""
    try:
        found = plain(value)
        if isinstance(found, bool):
            raise TypeError
        number = int(found) if isinstance(found, float) and found.is_integer() else operator.index(found)
        if (least is not None and number < least) or (most is not None and number > most):
            raise ValueError
    except (TypeError, ValueError):
        bounds = (("of at least", least), ("at most", most))
        told = " and ".join(f"{how} {limit}" for how, limit in bounds if limit is not None)
        must_be = f"an integer {told}".rstrip()
        raise SettingError(f"{name} is {shown(value)}: it must be {must_be}") from None
    return number


def number(
    name: str,
    value: object,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number (one of numpy's, or its array of no dimension; no bool) within limits.

    >>> number("share", 0.5, above=0, most=1)
    0.5
    >>> number("share", 2, above=0, most=1)
    Traceback (most recent call last):
    asha_core.errors.SettingError: share is 2: it must be a finite number above 0 and at most 1
    """
    limits = [
        (least, operator.ge, "of at least"),
        (above, operator.gt, "above"),
        (most, operator.le, "at most"),
        (below, operator.lt, "below"),
    ]
    found = math.nan
    scalar = plain(value)
    if isinstance(scalar, Real) and not isinstance(scalar, bool):
        with suppress(OverflowError):  # an integer that no float holds
            found = float(scalar)
    if not (math.isfinite(found) and all(limit is None or holds(found, limit) for limit, holds, _ in limits)):
        told = " and ".join(f"{how} {limit:g}" for limit, _, how in limits if limit is not None)
        raise SettingError(f"{name} is {shown(value)}: it must be a finite number {told}".rstrip())
    return found


def true_or_false(name: str, value: object) -> bool:
    """A bool, and nothing that is merely true."""
    found = plain(value)
    if not isinstance(found, bool):
        raise SettingError(f"{name} is {shown(value)}: it must be true or false")
    return found


def parameters(thing: Callable[..., Any]) -> list[str] | None:
    """The arguments that a class or function takes; None: any, or it is not written in Python.

    A class that hands ``**settings`` on takes what its base takes.
    """
    if not isinstance(thing, type):
        names, closed = _parameters(thing, 0)
        return names if closed else None
    found: list[str] = []
    for kind in thing.__mro__[:-1]:
        if "__init__" in vars(kind):
            names, closed = _parameters(vars(kind)["__init__"], 1)
            found += names
            if closed:
                return found
    made = {"__init__", "__new__"}
    return None if any(made & {*vars(kind)} for kind in thing.__mro__[:-1]) else []


def _parameters(function: Callable[..., Any], skip: int) -> tuple[list[str], bool]:
    """The names of its arguments, and whether these are all that it takes."""
    try:
        taken = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        return [], False
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    names = [parameter.name for parameter in taken if parameter.kind not in several]
    return names, all(parameter.kind is not parameter.VAR_KEYWORD for parameter in taken)

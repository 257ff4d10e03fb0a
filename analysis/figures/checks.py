"""What the study's figures are given, checked: estimates as tuples or as the library's own, and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.stats.arrays import Floats
from analysis.stats.summaries import Band
from analysis.stats.survival import KaplanMeier
from asha_core.errors import SettingError, nearest

Centred = Band | tuple[ArrayLike, ArrayLike, ArrayLike]  # or centre, low, high
N = int | Mapping[str, int] | None


def array(name: str, values: ArrayLike, length: int | None = None) -> Floats:
    """``values`` as a float vector.

    Raises:
        SettingError: not one-dimensional, not numbers, or not of ``length``.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be numbers: {error}") from error
    if found.ndim != 1:
        raise SettingError(f"{name} has shape {found.shape}: give a vector")
    if length is not None and len(found) != length:
        raise SettingError(f"{name} has {len(found)} entries, not {length}: give one for each")
    return found


def matrix(name: str, values: ArrayLike) -> Floats:
    """``values`` as an array of floats, of whatever shape.

    Raises:
        SettingError: not numbers, or rows of different lengths.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name} must be numbers, all rows of one length; not {values!r:.80}") from error


def parts(name: str, value: Any, what: Sequence[str]) -> tuple[Any, ...]:
    """``value`` as a tuple with one entry for each of ``what``.

    Raises:
        SettingError: it has another length, or none.
    """
    allowed = f"give ({', '.join(what)})"
    try:
        found = tuple(value)
    except TypeError as error:
        raise SettingError(f"{name} is {value!r:.80}: {allowed}") from error
    if len(found) != len(what):
        raise SettingError(f"{name} has {len(found)} parts: {allowed}")
    return found


def centred(name: str, value: Centred, length: int, centre: str = "centre") -> list[Floats]:
    """[centre, low, high], each of ``length``, from a ``Band`` or from three vectors."""
    given = (value.centre, value.low, value.high) if isinstance(value, Band) else value
    return [array(name, each, length) for each in parts(name, given, (centre, "low", "high"))]


def known(name: str, given: N | Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a mapping by name that has names of nothing in the figure, which would be left out unseen."""
    names = list(names)
    for each in given if isinstance(given, Mapping) else ():
        if each not in names:
            raise SettingError(f'{name} names "{each}", which is not in the figure{nearest(each, names)}')


def sizes(n: N, estimates: Mapping[str, Any]) -> N:
    """``n``; where it is not given, what the estimates know themselves, if all do."""
    known("n", n, estimates)
    if n is not None or not estimates:
        return n
    found = {name: each.n for name, each in estimates.items() if isinstance(each, Band | KaplanMeier)}
    if len(found) < len(estimates):
        return None
    return found if len(set(found.values())) > 1 else next(iter(found.values()))


def refuse_first(name: str, wrong: np.ndarray[Any, Any], values: Floats, allowed: str) -> None:
    """Raise a SettingError that names the first place where ``wrong`` is true, if there is one."""
    if not wrong.any():
        return
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    raise SettingError(f"{name}{''.join(f'[{i}]' for i in place)} is {values[place]:g}: {allowed}")

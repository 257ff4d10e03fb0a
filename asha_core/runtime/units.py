"""Durations and sizes as people write and read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from asha_core.errors import SettingError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"([0-9.e+-]+?)\s*([kmgt]?i?b)?")


def parse_duration(text: str | float, option: str = "budget") -> float:
    """Seconds from ``"3h"``, ``"90m"``, ``"1h30m"``, ``"600s"`` or a plain number of seconds.

    Raises:
        SettingError: not a duration, or not above zero.

    >>> parse_duration("1h30m")
    5400.0
    """
    seconds = math.nan
    compact = str(text).strip().lower().replace(" ", "")
    if _PART.sub("", compact) == "" and compact:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(compact))
    else:
        with suppress(ValueError):
            seconds = float(compact)
    if not (math.isfinite(seconds) and seconds > 0):
        raise SettingError(f"{option} is {text!r}: give a time above zero such as 3h, 90m, 1h30m or 600s")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people: ``"42s"``, ``"3m 05s"``, ``"2h 07m"``.

    >>> format_duration(3725)
    '1h 02m'
    """
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def counted(number: int, noun: str) -> str:
    """A number of things: ``"1 epoch"``, ``"1,200 epochs"``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def abridged(words: Sequence[str]) -> list[str]:
    """Of more than eight the first four, "..." and the last three: for lines that are read in passing."""
    return list(words) if len(words) <= 8 else [*words[:4], "...", *words[-3:]]


def as_ranges(numbers: Iterable[int]) -> list[list[int]]:
    """[first, last] of each run of numbers that follow each other.

    >>> as_ranges([8, 0, 1, 2])
    [[0, 2], [8, 8]]
    """
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in short.

    >>> ranges([8, 0, 1, 2])
    '0-2, 8'
    """
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in as_ranges(numbers))


def parse_bytes(text: str | float, option: str = "checkpoint budget") -> int:
    """Bytes from ``"20GB"`` (10^9), ``"1.5GiB"`` (2^30), ``"500MB"`` or a plain number.

    Raises:
        SettingError: not a size, or less than one byte.

    >>> parse_bytes("20GB")
    20000000000
    """
    size = math.nan
    match = _SIZE.fullmatch(str(text).strip().lower())
    if match is not None and not isinstance(text, bool):
        with suppress(ValueError):
            size = float(match[1]) * _BYTES[match[2] or "b"]
    if not (math.isfinite(size) and size >= 1):
        raise SettingError(f"{option} is {text!r}: give a size above zero such as 20GB, 500MB or 1.5GiB")
    return int(size)


def format_bytes(size: float) -> str:
    """A size for people: ``"1.2 MB"``.

    >>> format_bytes(1234567)
    '1.2 MB'
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"

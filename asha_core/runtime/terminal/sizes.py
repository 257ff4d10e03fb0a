"""Sizes in bytes, as people write and read them."""

from __future__ import annotations

import math
import re
from contextlib import suppress

from asha_core.errors import SettingError

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"([0-9.e+-]+?)\s*([kmgt]?i?b)?")


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
            size = float(match[1]) * _UNITS[match[2] or "b"]
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

"""Dataclasses and arrays as what JSON knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

LEFT_OUT: Final = {"json": False}  # metadata of a field that is too large for JSON, and not written


def plain(value: Any) -> Any:
    """``value`` in fresh dicts and lists: NaN is None, an infinite number "inf" or "-inf"."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = [each.name for each in fields(value) if each.metadata.get("json", True)]
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value

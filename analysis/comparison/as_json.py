"""Dataclasses and arrays as what JSON knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

LEFT_OUT: Final = {"json": False}  # metadata of a field that is too large for JSON, and not written


def as_json(value: Any) -> Any:
    """``value`` in fresh dicts and lists: NaN is None, an infinite number "inf" or "-inf"."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = (each.name for each in fields(value) if each.metadata.get("json", True))
        return {name: as_json(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value

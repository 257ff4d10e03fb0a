"""The search space: dimensions, conditions, constraints, and maps to and from the unit cube."""

from __future__ import annotations

from asha_core.space.configuration import Configuration, as_kept, stored
from asha_core.space.dimensions import Choice, Constant, Dimension, Float, Int, Value
from asha_core.space.space import SearchSpace

__all__ = [
    "Choice",
    "Configuration",
    "Constant",
    "Dimension",
    "Float",
    "Int",
    "SearchSpace",
    "Value",
    "as_kept",
    "stored",
]

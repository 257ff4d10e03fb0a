"""What of a model and its functions decides how they are differentiated."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import torch
from torch import nn


def structure_of(model: nn.Module, *functions: Any) -> Hashable:
    """Equal for models of the same layers, with functions of the same code.

    What their closures hold may differ: it is data.
    """
    layers = tuple((type(layer).__module__, type(layer).__qualname__) for layer in model.modules())
    return layers, tuple(map(_code, functions))


def _code(function: Any) -> Hashable:
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    kind = type(function)
    return getattr(function, "__code__", (kind.__module__, kind.__qualname__))


def rounding_of(autocast: torch.dtype | None) -> float | None:
    """The relative rounding of a loss under autocast; None: it is that of the weights.

    A mean over some samples, so a part of one number's.
    """
    return None if autocast is None else torch.finfo(autocast).eps / 64

"""Stops of gradients: values that depend on weights, and that autograd takes for constants.

``x.detach()``, ``x.data``, ``x.item()``, what is computed under ``torch.no_grad()``. A training gradient is
defined so, and is taken as it is. But the derivative of a held-out loss, and that of a gradient, go through
all that the weights act on; autograd's would be without a part, and nothing in its graph shows it. So a pass
that is to be differentiated is watched, call by call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from warmstart.estimates.types import CannotLookThrough

_NUMBERS = ("item", "tolist", "numpy", "__float__")
_NEW = ("_like", "new_")  # of its argument's shape and kind: nothing of its value


class Stops(TorchFunctionMode):
    """What stops gradients inside.

    Attributes:
        found: the name of the first function that did; None: none did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: str | None = None

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is None and _stopped(func, result, args, kwargs or {}):
            self.found = _name(func) + ("" if torch.is_grad_enabled() else " under torch.no_grad()")
        return result

    def refuse(self) -> None:
        """Raise ``CannotLookThrough`` if there was one."""
        if self.found is not None:
            raise CannotLookThrough(
                f"the pass stops a gradient ({self.found}): what depends on weights there is a constant for "
                "autograd"
            )


def _stopped(func: Any, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if func is F.gumbel_softmax:  # which does so inside
        return bool(kwargs.get("hard", len(args) > 2 and args[2]))
    if isinstance(result, Tensor):
        if result.requires_grad or not (result.is_floating_point() or result.is_complex()):
            return False
        name = getattr(func, "__name__", "")
        return not (name.endswith(_NEW[0]) or name.startswith(_NEW[1])) and _depends(args, kwargs)
    return getattr(func, "__name__", "") in _NUMBERS and _depends(args, kwargs)


def _depends(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an argument depends on weights, and is no whole number."""
    return any(each.requires_grad for each in _tensors((*args, *kwargs.values())))


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple | list):
            yield from _tensors(each)


def _name(func: Any) -> str:
    """As a user writes it; a property's function is called ``__get__``."""
    name = getattr(func, "__name__", repr(func))
    return f".{func.__self__.__name__}" if name == "__get__" else name

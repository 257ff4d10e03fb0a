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
    name = getattr(func, "__name__", "")
    if result is None:  # x[:] = ...: what is written has no graph there
        return name == "__setitem__" and not torch.is_grad_enabled() and _depends(args[1:], kwargs)
    made = [each for each in _tensors((result,)) if each.is_floating_point() or each.is_complex()]
    if made:  # of several, one may be a constant where others are not
        return not any(map(_goes_on, made)) and _depends(*_values_of(name, args, kwargs))
    return name in _NUMBERS and _depends(args, kwargs)


def _values_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
    """The arguments on whose values the result depends."""
    if name.endswith(_NEW[0]) or name.startswith(_NEW[1]):
        return args[1:], {key: value for key, value in kwargs.items() if key != "input"}
    return args, kwargs


def _depends(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an argument depends on weights, and is no whole number."""
    return any(map(_has_graph, _tensors((*args, *kwargs.values()))))


def _goes_on(tensor: Tensor) -> bool:
    """Whether gradients go through it; a view that is made under no_grad only says that it requires them."""
    broken = not torch.is_grad_enabled() and tensor._is_view() and tensor.grad_fn is None
    return not broken and _has_graph(tensor)


def _has_graph(tensor: Tensor) -> bool:
    """As seen from outside of ``torch.func``'s transformations, where nothing requires a gradient."""
    if not torch.compiler.is_compiling():  # which does not know these functions, and would warn
        while not tensor.requires_grad and torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor.requires_grad


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

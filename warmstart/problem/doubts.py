"""Where autograd's answer may not be the derivative that is wanted.

Autograd differentiates what was recorded. A pass that writes to its own state, a backward pass that somebody
wrote by hand, or one that hooks change, can give a gradient that is not the derivative of the value (gradient
reversal), or whose own derivative is another one than autograd's. These signs are looked for; where one is
found, differences are taken, which need none of that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.utils.hooks import RemovableHandle

from asha_core.errors import TaskError
from warmstart.estimates.types import CannotLookThrough
from warmstart.problem.restoring.tensor_records import changed

_ROUGH_TWICE = ("WeightNormInterface",)  # torch's own gradgradcheck refuses it


class Before:
    """What is known before a pass, to tell afterwards what happened in it.

    Args:
        leaves: the weights that it uses.
        modules: in reach.
        apart: tensors of theirs that passes may write to.
    """

    def __init__(
        self,
        leaves: Mapping[str, Tensor],
        modules: Sequence[nn.Module] = (),
        apart: Sequence[Tensor] = (),
    ) -> None:
        self._modules = modules
        self._apart = {id(tensor) for tensor in apart}
        self._registered = list(self._now_registered())
        buffers, self._norms = self._values()
        self._buffers = [buffer.clone() for buffer in buffers]
        self._kept = _kept(modules)
        self._handles = RemovableHandle.next_id  # counts the hooks that were ever made
        self._weights = _prints(leaves.values())

    def check(
        self,
        loss: Tensor,
        leaves: Mapping[str, Tensor],
        order: int,
        *,
        alone: bool,
    ) -> None:
        """Raise ``CannotLookThrough`` for what is found; see ``Running.check``.

        Raises:
            TaskError: ``alone``, and the loss depends on other weights.
        """
        for name, leaf in leaves.items():
            if leaf._backward_hooks or leaf._post_accumulate_grad_hooks:
                raise CannotLookThrough(f"the weight {name} has a hook, which may change its gradient")
        if _prints(leaves.values()) != self._weights:
            raise CannotLookThrough("the forward pass writes to weights that are trained")
        if alone:
            _refuse_strangers(loss, leaves)
        if not order:
            return
        _refuse_shared(leaves, self._others(leaves))
        if found := self._written():
            raise CannotLookThrough(f"the forward pass writes to {found}, which later passes may read")
        if any(isinstance(module, torch.jit.ScriptModule) for module in self._modules):
            raise CannotLookThrough("what stops a gradient inside TorchScript cannot be seen")
        if order == 2 and _kept(self._modules) != self._kept:
            raise CannotLookThrough("the forward pass keeps tensors, which the next one may read")
        if RemovableHandle.next_id != self._handles:
            raise CannotLookThrough("the forward pass registers hooks, which may change gradients")
        _refuse_nodes(loss, order)

    def _now_registered(self) -> list[tuple[str, Tensor]]:
        """(name, tensor): buffers, and then weights that are not trained."""
        return [
            (f"{type(module).__name__}.{name}", tensor)
            for kind in ("_buffers", "_parameters")
            for module in self._modules
            for name, tensor in getattr(module, kind).items()
            if tensor is not None and id(tensor) not in self._apart
        ]

    def _values(self) -> tuple[list[Tensor], list[str]]:
        """(buffers, the norms of frozen weights, which may be large)."""
        tensors = [tensor.detach() for _, tensor in self._registered]
        frozen = [isinstance(tensor, nn.Parameter) for _, tensor in self._registered]
        return (
            [tensor for tensor, large in zip(tensors, frozen, strict=True) if not large],
            _norms(tensor for tensor, large in zip(tensors, frozen, strict=True) if large),
        )

    def _others(self, leaves: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """(name, tensor) of what else modules hold, each once."""
        seen = {id(leaf) for leaf in leaves.values()}
        for module in self._modules:
            for name, tensor in (
                *vars(module).items(),
                *module._buffers.items(),
                *module._parameters.items(),
            ):
                if isinstance(tensor, Tensor) and tensor.grad_fn is None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{type(module).__name__}.{name}", tensor

    def _written(self) -> str | None:
        """One of those that is another one now, or has another value."""
        now = self._now_registered()
        if len(now) != len(self._registered):
            return "buffers"
        for (name, tensor), (_, after) in zip(self._registered, now, strict=True):
            if after is not tensor:
                return name
        buffers, norms = self._values()
        written = changed(list(zip(self._buffers, buffers, strict=True)))
        written += [now != before for now, before in zip(norms, self._norms, strict=True)]
        return next((name for (name, _), differs in zip(now, written, strict=True) if differs), None)


def _refuse_nodes(loss: Tensor, order: int) -> None:
    for node in _nodes(loss):
        if found := _not_the_derivative(node):
            raise CannotLookThrough(f"the gradient of {found} is not its derivative")
        if order == 2 and node.name().startswith(_ROUGH_TWICE):
            raise CannotLookThrough(f"the second derivative of {node.name()} is none")
        if isinstance(node, BackwardCFunction):
            kind = node._forward_cls  # type: ignore[attr-defined]
            if not kind.__module__.startswith("torch."):
                raise CannotLookThrough(
                    f"{kind.__name__} is an autograd.Function, whose backward pass need not be the "
                    "derivative of its forward pass"
                )


def _not_the_derivative(node: Any) -> str | None:
    """What PyTorch itself gives another gradient than the derivative, if this is such a thing."""
    name = node.name()
    if name.startswith("FakeQuantize"):
        return "a fake quantisation, which is passed straight through,"
    if not name.startswith("Embedding") or not hasattr(node, "_saved_padding_idx"):
        return None
    if node._saved_scale_grad_by_freq:
        return "an embedding with scale_grad_by_freq"
    leaf = getattr(node.next_functions[0][0], "variable", None)
    padding = node._saved_padding_idx  # none: -1, or that without a sign
    if leaf is None or not 0 <= padding < len(leaf) or not leaf[padding].any():
        return None
    return "an embedding whose row at padding_idx is not 0"


def _refuse_shared(leaves: Mapping[str, Tensor], others: Iterable[tuple[str, Tensor]]) -> None:
    """Two tensors of one memory: autograd takes them for two, and a step moves both."""
    spans = [
        (name, tensor.device, *_span(tensor), name in leaves)
        for name, tensor in (*leaves.items(), *others)
        if tensor.layout == torch.strided and tensor.numel()
    ]
    spans.sort(key=lambda span: (str(span[1]), span[2]))
    furthest: dict[Any, tuple[int, str]] = {}  # where what began before ends; by device, and of leaves alone
    for name, device, start, end, trained in spans:
        last, other = furthest.get(device if trained else (device, "leaves"), (0, ""))
        if start < last:
            raise CannotLookThrough(f"{other} and {name} share their memory, and are two for autograd")
        for key in (device, (device, "leaves")) if trained else (device,):
            furthest[key] = max(furthest.get(key, (0, "")), (end, name))


def _span(tensor: Tensor) -> tuple[int, int]:
    """Where its memory begins and ends."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    start = tensor.data_ptr()
    return start, start + (last + 1) * tensor.element_size()


def _kept(modules: Sequence[nn.Module]) -> list[tuple[str, int]]:
    """Tensors without a graph in attributes of modules: a hidden state that goes on, say."""
    return [
        (name, id(each))
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Tensor | tuple | list)
        for each in (value if isinstance(value, tuple | list) else (value,))
        if isinstance(each, Tensor) and each.grad_fn is None
    ]


def _prints(weights: Iterable[Tensor]) -> list[Any]:
    """What changes when weights are written to; ``x.data.copy_(y)`` counts no version."""
    weights = list(weights)
    return [[(weight._version, weight.data_ptr()) for weight in weights], _norms(weights)]


def _norms(weights: Iterable[Tensor]) -> list[str]:
    """As text, so that NaN is itself; empty for what has none, as some that keep their values in a way of
    their own. One wait for each device, not one for each weight.
    """
    found: list[str] = []
    places: dict[tuple[torch.device, torch.dtype], list[tuple[int, Tensor]]] = {}
    with torch.no_grad():
        for place, weight in enumerate(weights):
            found.append("")
            if not (weight.is_floating_point() or weight.is_complex()):
                continue
            with contextlib.suppress(NotImplementedError):
                norm = weight.detach().norm(dtype=_wide(weight))
                if type(norm) is Tensor:
                    places.setdefault((norm.device, norm.dtype), []).append((place, norm))
        for together in places.values():
            told = torch.stack([norm for _, norm in together]).tolist()
            for (place, _), norm in zip(together, told, strict=True):
                found[place] = repr(norm)
    return found


def _wide(weight: Tensor) -> torch.dtype | None:
    return torch.float32 if weight.dtype in (torch.bfloat16, torch.float16) else None


def _refuse_strangers(loss: Tensor, leaves: Mapping[str, Tensor]) -> None:
    known = {id(leaf) for leaf in leaves.values()}
    for node in _nodes(loss):
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and isinstance(leaf, torch.nn.Parameter) and id(leaf) not in known:
            raise TaskError(
                f"the loss depends on weights of shape {tuple(leaf.shape)} that are not those of the model "
                "which the function made for the warm start: give the model itself as model=, or compute "
                "the loss from outputs, targets and configuration alone"
            )


def _nodes(loss: Tensor) -> Iterator[Any]:
    """Every node of the loss's graph, once."""
    waiting = [loss.grad_fn]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        yield node
        following = {each for each, _ in node.next_functions} - seen
        seen |= following
        waiting += following

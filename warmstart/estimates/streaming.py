"""Gradients that are used as they come, and products over many weights a piece at a time.

A step and the gradient after it need the weights, their gradient and the weights after the step: three
times the size of the network, as SGD with momentum does. Nothing here holds a fourth.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

# elements worked on at a time: on a CPU what fits its cache; on a GPU, enough that starting an operation
# costs nothing beside it
_CPU, _GPU = 1 << 16, 1 << 22


def _limit(tensor: Tensor) -> int:
    return _CPU if tensor.device.type == "cpu" else _GPU


def pieces(*columns: Sequence[Tensor]) -> Iterator[list[list[Tensor]]]:
    """The same columns in parts of bounded size: small tensors together, large ones cut into views.

    Args:
        columns: lists of tensors; those in one place of all lists have one shape.
    """
    part: list[list[Tensor]] = [[] for _ in columns]
    held = 0
    for row in zip(*columns, strict=True):
        for cut in _cut(row):
            for column, tensor in zip(part, cut, strict=True):
                column.append(tensor)
            held += cut[0].numel()
            if held >= _limit(cut[0]):
                yield part
                part, held = [[] for _ in columns], 0
    if part and part[0]:
        yield part


def _cut(row: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    size, limit = row[0].numel(), _limit(row[0])
    if size <= limit or not all(tensor.is_contiguous() for tensor in row):
        yield row
        return
    flat = [tensor.view(-1) for tensor in row]
    for start in range(0, size, limit):
        yield [tensor[start : start + limit] for tensor in flat]


def dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    """Sum of products over lists of tensors, accumulated in float64, with one wait for the device."""
    total: Tensor | None = None
    for one, other in pieces(left, right):
        products = torch._foreach_mul(one, other)
        flat = products[0] if len(products) == 1 else torch.cat([p.flatten() for p in products])
        part = flat.sum(dtype=torch.float64)
        total = part if total is None else total + part
    return 0.0 if total is None else total.item()


def as_real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, which is how PyTorch's optimisers take it."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def each_gradient(
    loss: Tensor,
    leaves: Mapping[str, Tensor],
    visit: Callable[[dict[str, Tensor]], None],
    *,
    retain_graph: bool = False,
) -> None:
    """Call ``visit`` with gradients by name, as they are had; small ones together. None is kept here.

    Args:
        leaves: of the loss's graph; those that it does not depend on are not visited.
    """
    waiting: dict[str, Tensor] = {}
    held = 0

    def flush() -> None:
        nonlocal held
        ready, held = dict(waiting), 0
        waiting.clear()
        with torch.no_grad():
            visit(ready)

    def had(name: str, leaf: Tensor) -> None:
        nonlocal held
        assert leaf.grad is not None
        waiting[name], leaf.grad = as_real(leaf.grad), None
        held += waiting[name].numel()
        if held >= _limit(waiting[name]):
            flush()

    # hooks, not autograd.grad: that would hold all gradients until the last one is there. Without handles,
    # which are numbered for the whole process, and by whose numbers hooks of a pass are seen
    hooks = [OrderedDict({0: partial(had, name)}) for name in leaves]
    before = [leaf._post_accumulate_grad_hooks for leaf in leaves.values()]
    try:
        for leaf, hook in zip(leaves.values(), hooks, strict=True):
            leaf._post_accumulate_grad_hooks = hook
        torch.autograd.backward(loss, retain_graph=retain_graph, inputs=list(leaves.values()))
    finally:
        for leaf, hook, its_own in zip(leaves.values(), hooks, before, strict=True):
            hook.clear()  # autograd may hold it
            leaf._post_accumulate_grad_hooks = its_own
    if waiting:
        flush()

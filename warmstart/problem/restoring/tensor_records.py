"""What a snapshot keeps of tensors, and how it gives them storages of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

AS_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class TensorRecord(NamedTuple):
    """A tensor, and all about it but its values. ``data``: another that looks at the same storage."""

    tensor: Tensor
    cls: type
    data: Tensor
    leaf: bool
    requires_grad: bool
    grad: Tensor | None
    hooks: Any
    accumulate_hooks: Any
    version: int | None


def record(tensor: Tensor) -> TensorRecord:
    """A record of a tensor; the gradient of one that is no leaf is left alone."""
    leaf = tensor.is_leaf
    return TensorRecord(
        tensor,
        type(tensor),
        tensor.data,
        leaf,
        tensor.requires_grad,
        tensor.grad if leaf else None,
        tensor._backward_hooks,
        tensor._post_accumulate_grad_hooks,
        None if tensor.is_inference() else tensor._version,
    )


def forget_gradient(kept: TensorRecord) -> None:
    """Leave the tensor without a gradient: what passes leave there is not the caller's."""
    if kept.tensor.is_leaf and kept.tensor.grad is not None:
        kept.tensor.grad = None


def put_back_flags(kept: TensorRecord) -> None:
    """Its class, its place in a graph, its hooks."""
    tensor = kept.tensor
    if type(tensor) is not kept.cls:
        object.__setattr__(tensor, "__class__", kept.cls)
    if kept.leaf and not tensor.is_leaf:
        _out_of_the_graph(kept)
    if tensor._backward_hooks is not kept.hooks:
        tensor._backward_hooks = kept.hooks
    if tensor._post_accumulate_grad_hooks is not kept.accumulate_hooks:
        tensor._post_accumulate_grad_hooks = kept.accumulate_hooks
    if kept.leaf and tensor.requires_grad != kept.requires_grad:
        tensor.requires_grad_(kept.requires_grad)


def _out_of_the_graph(kept: TensorRecord) -> None:
    try:
        kept.tensor.detach_()
    except RuntimeError:  # a view, whose graph is its base's: the same object, with another tensor inside
        with contextlib.suppress(RuntimeError):
            torch._C._swap_tensor_impl(kept.tensor, kept.data.detach())


def put_back_storage(kept: TensorRecord) -> None:
    """The storage that it had, seen as it was."""
    new, old = kept.tensor.data, kept.data
    if old.layout is torch.strided and (
        new.data_ptr() == old.data_ptr()
        and new.dtype is old.dtype
        and new.shape == old.shape
        and new.stride() == old.stride()
    ):
        return
    kept.tensor.data = old


def put_back_gradient(kept: TensorRecord) -> None:
    """The gradient that it had, and its count of writes."""
    tensor = kept.tensor
    if kept.leaf and tensor.grad is not kept.grad:
        tensor.grad = kept.grad
    if kept.version is not None and tensor._version != kept.version:
        # a graph of the caller's that uses the tensor is as good as it was: the values are
        torch._C._autograd._unsafe_set_version_counter((tensor,), (kept.version,))


def storage(data: Tensor) -> int | None:
    """What tells its storage from others; None for layouts that have none."""
    if data.layout is not torch.strided or data.device.type == "meta":
        return None
    try:
        return int(data.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # tensors whose class keeps its values elsewhere
        return None


class Memory:
    """Where the values of some tensors lie: ``data in memory`` where some of its own lie there, too."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._data: dict[int | None, list[Tensor]] = {}
        for tensor in tensors:
            data = tensor.data
            self._data.setdefault(storage(data), []).append(data)

    def __contains__(self, data: Tensor) -> bool:
        key = storage(data)
        if key is None or key not in self._data:
            return False
        start, end = _span(data)
        return any(start < last and first < end for first, last in map(_span, self._data[key]))


class Copies:
    """Tensors that get storages of their own: a fresh copy of what they had for each ``place``.

    One copy a storage, of the part that they look at: whoever shared memory still does.
    """

    def __init__(self, kept: Iterable[TensorRecord]) -> None:
        together: dict[int, list[TensorRecord]] = {}
        self._alone: list[TensorRecord] = []
        self._together: list[list[TensorRecord]] = []
        for one in kept:
            key = storage(one.data)
            if key is None:
                self._alone.append(one)
            else:
                together.setdefault(key, []).append(one)
        for group in together.values():
            if len(group) == 1 and group[0].data.is_contiguous():
                self._alone.append(group[0])
            else:
                self._together.append(group)

    def place(self) -> None:
        """Put the tensors on a fresh copy of what was recorded."""
        for kept in self._alone:
            try:
                kept.tensor.data = kept.data.clone()
            except (NotImplementedError, RuntimeError, ValueError):
                put_back_storage(kept)  # what cannot be copied is shared
        for group in self._together:
            _place_together([kept.data for kept in group], [kept.tensor for kept in group])


def _place_together(originals: Sequence[Tensor], tensors: Sequence[Tensor]) -> None:
    spans = [_span(data) for data in originals]
    first = min(start for start, _ in spans) // 16 * 16
    whole = originals[0].untyped_storage()
    octets = torch.empty(0, dtype=torch.uint8, device=originals[0].device).set_(whole)
    copy = octets[first : max(end for _, end in spans)].clone().untyped_storage()
    for data, tensor, (start, _) in zip(originals, tensors, spans, strict=True):
        offset = (start - first) // data.element_size()
        view = torch.empty(0, dtype=data.dtype, device=data.device)
        tensor.data = view.set_(copy, offset, data.size(), data.stride())


def _span(data: Tensor) -> tuple[int, int]:
    """The octets of its storage that a tensor looks at: (first, one after the last)."""
    start = int(data.storage_offset()) * data.element_size()
    if data.numel() == 0:
        return start, start
    last = sum((int(size) - 1) * int(stride) for size, stride in zip(data.shape, data.stride(), strict=True))
    return start, start + (last + 1) * data.element_size()


def changed(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[bool]:
    """Whether the bits of two tensors differ, pair by pair; one wait for each device."""
    found = [False] * len(pairs)
    waiting: dict[torch.device, list[tuple[int, Tensor]]] = {}
    for index, (old, new) in enumerate(pairs):
        differ = _differ(old, new)
        if isinstance(differ, bool):
            found[index] = differ
        else:
            waiting.setdefault(old.device, []).append((index, differ))
    for several in waiting.values():
        told = torch.stack([differ for _, differ in several]).tolist()
        for (index, _), differs in zip(several, told, strict=True):
            found[index] = differs
    return found


def _differ(old: Tensor, new: Tensor) -> bool | Tensor:
    try:
        if old.shape != new.shape or old.dtype is not new.dtype or old.device != new.device:
            return True
        if old.device.type == "meta":
            return False
        if old.layout is torch.strided and (old.is_floating_point() or old.is_complex()):
            if old.is_complex():
                old, new = torch.view_as_real(old.resolve_conj()), torch.view_as_real(new.resolve_conj())
            # as bits: a NaN is itself, and 0 is not -0
            integers = AS_INTEGERS[old.element_size()]
            old, new = old.view(integers), new.view(integers)
        if old.device.type == "cpu":
            return not torch.equal(old, new)
        return (old != new).any()
    except (NotImplementedError, RuntimeError, KeyError):  # layouts that cannot be compared
        return False


def contents(kept: Iterable[TensorRecord]) -> list[tuple[TensorRecord, Tensor]]:
    """The values of tensors that stay where they are, since others may look at the same memory."""
    found = []
    for one in kept:
        try:
            data = _distinct(one.data)
            found.append((one._replace(data=data), data.clone()))
        except (NotImplementedError, RuntimeError):
            continue  # what cannot be copied is shared
    return found


def _distinct(data: Tensor) -> Tensor:
    """Each element once: what is expanded cannot be written."""
    if data.layout is torch.strided:
        for dimension, (size, stride) in enumerate(zip(data.shape, data.stride(), strict=True)):
            if stride == 0 and size > 1:
                data = data.narrow(dimension, 0, 1)
    return data


def put_back_contents(kept: Sequence[tuple[TensorRecord, Tensor]]) -> None:
    """Write the values that differ."""
    differ = changed([(values, one.data) for one, values in kept])
    for (one, values), differs in zip(kept, differ, strict=True):
        if differs:
            one.data.copy_(values)

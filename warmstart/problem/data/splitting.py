"""Which parts of a mini-batch hold one entry for each sample, and some of the samples.

The number of samples, N, is the one length under which all of a mini-batch can be read:

- A tensor or an array with dimensions has N entries in the first, so has a packed sequence; sparse and nested
  tensors as well. Without dimensions it is a constant.
- A dictionary or named tuple is made of parts.
- A list or tuple is made of parts, if each of its members can be read under N and one of them holds
  samples. Otherwise it has N entries, one for each sample: numbers, texts, tensors of different lengths,
  dictionaries of one sample each. What can be read in both ways is refused, as is what can be in neither.
- ``None``, a number, a text by itself is a constant.
- Anything else has to be split by a function of the user's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from asha_core.errors import SettingError, TaskError

Pair = tuple[Any, Any]
Rows = slice | Tensor

_CONSTANTS = (str, bytes, bool, int, float, complex, np.generic, torch.dtype, torch.device, Enum, type(None))
_SPLIT = (
    "give split=, a function of a mini-batch that gives ((inputs, targets), (inputs, targets)): what to "
    "train on, and what is held out"
)


class _Kind(Enum):
    SAMPLES = auto()
    PARTS = auto()
    CONSTANT = auto()


class _Unlike(Exception):
    """It cannot be read under this number of samples; the text says what."""


def count(pair: Pair) -> int:
    """How many samples a mini-batch has.

    Raises:
        SettingError: it can be read under no number, or under several.
        TaskError: its tensors differ in length.
    """
    inputs, targets = pair
    whole = {"inputs": inputs} if targets is None else {"inputs": inputs, "targets": targets}
    for what, values in whole.items():
        if not (lengths := _lengths(values)) or isinstance(values, np.ndarray):
            other = "" if lengths or not _unknown(values) else f"; for other data {_SPLIT}"
            if isinstance(values, np.ndarray):
                other = "; torch.as_tensor makes one of an array"
            raise SettingError(
                f"{what} (a {type(values).__name__}) must be a tensor, or a tuple, list or dict of tensors, "
                f"with the samples in the first dimension of each{other}"
            )
    candidates = sorted({length for values in whole.values() for length in _lengths(values)})
    fitting = [number for number in candidates if _fits(whole, number)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise SettingError(
            f"a mini-batch may hold {' or '.join(map(str, fitting))} samples: its lists may be of samples or "
            f"of parts. Give parts by name, in a dictionary, or {_SPLIT}"
        )
    raise _not_fitting(whole, candidates)


def taken(values: Any, whole: int, rows: Rows) -> Any:
    """Some of ``whole`` samples, in memory of their own; constants as they are."""
    if isinstance(values, PackedSequence):
        return _packed(values, rows)
    if isinstance(values, Tensor):
        return _tensor_rows(values, rows) if values.dim() else _own(values)
    if isinstance(values, np.ndarray):
        return values[_index(rows)].copy() if values.ndim else values.copy()
    if not _is_container(values) or _kind(values, whole) is _Kind.CONSTANT:
        return values
    if _kind(values, whole) is _Kind.PARTS:
        return _mapped(lambda part: taken(part, whole, rows), values)
    chosen = range(len(values))[rows] if isinstance(rows, slice) else rows.tolist()
    return _like(values, [moved(values[row], None) for row in chosen])


def moved(values: Any, device: str | torch.device | None) -> Any:
    """The same on a device, in memory of its own; None: where it is."""
    if isinstance(values, PackedSequence):
        there: Any = values if device is None else values.to(device)  # type: ignore[arg-type]
        return PackedSequence(_own(there.data), *there[1:]) if there.data is values.data else there
    if isinstance(values, Tensor):
        return _own(values, device)
    if isinstance(values, np.ndarray):
        return values.copy()
    if _is_container(values):
        return _mapped(lambda part: moved(part, device), values)
    to = None if device is None or isinstance(values, type | torch.nn.Module) else getattr(values, "to", None)
    return to(device) if callable(to) else values


def copied(values: Any) -> Any:
    """The same, in memory of their own: for a pass, which may write to it."""
    return moved(values, None)


# -- how a mini-batch is read ----------------------------------------------------------------------


def _kind(value: Any, number: int) -> _Kind:
    length = _own_length(value)
    if length is not None:
        if length != number:
            raise _Unlike(f"a {type(value).__name__} of length {length}")
        return _Kind.SAMPLES
    if isinstance(value, (*_CONSTANTS, Tensor, np.ndarray)):
        return _Kind.CONSTANT
    if isinstance(value, Mapping) or hasattr(value, "_fields"):
        parts = [_kind(part, number) for part in _members(value)]
        return _Kind.CONSTANT if all(part is _Kind.CONSTANT for part in parts) else _Kind.PARTS
    if isinstance(value, list | tuple):
        return _kind_of_list(value, number)
    raise _Unlike(f"a {type(value).__name__}")


def _kind_of_list(value: Any, number: int) -> _Kind:
    if not value:
        return _Kind.CONSTANT
    of_samples = len(value) == number and (_alike(value) or not all(isinstance(v, Tensor) for v in value))
    try:
        kinds = [] if _records(value) else [_kind(part, number) for part in value]
        if all(kind is _Kind.CONSTANT for kind in kinds):
            raise _Unlike(f"a {type(value).__name__} of {len(value)} entries")
    except _Unlike:
        if of_samples:
            return _Kind.SAMPLES
        raise
    if of_samples and number > 1:
        raise _Unlike(f"a {type(value).__name__} of {number} entries that may be {number} samples, or parts")
    return _Kind.PARTS


def _alike(values: Any) -> bool:
    """Whether these are tensors that could be one sample each."""
    return all(isinstance(value, Tensor) for value in values) and (
        len({(value.dtype, value.dim()) for value in values}) == 1
    )


def _records(values: Any) -> bool:
    """Whether these are dictionaries of the same names: one a sample."""
    return all(isinstance(value, Mapping) for value in values) and len(set(map(frozenset, values))) == 1


def _fits(whole: Mapping[str, Any], number: int) -> bool:
    try:
        return all(_kind(values, number) is not _Kind.CONSTANT for values in whole.values())
    except _Unlike:
        return False


def _not_fitting(whole: Mapping[str, Any], candidates: list[int]) -> Exception:
    tensors = [length for values in whole.values() for length in _lengths(values, lists=False)]
    unlike = []
    for number in sorted(set(tensors)) or candidates:
        try:
            for values in whole.values():
                _kind(values, number)
        except _Unlike as error:
            unlike.append(str(error))
    if len(set(tensors)) > 1:
        return TaskError(
            f"the tensors of a mini-batch hold {sorted(set(tensors))} samples: they must be of one length, "
            f"the samples in the first dimension; for other data {_SPLIT}"
        )
    what = unlike[0] if unlike else "lists of different lengths"
    why = f"not one entry for each of {tensors[0]} samples" if tensors else "not one entry for each sample"
    return SettingError(f"a mini-batch holds {what}, which is {why}: {_SPLIT}")


def _own_length(value: Any) -> int | None:
    """Of what is not made of parts; None: of what is, and of constants."""
    if isinstance(value, PackedSequence):
        return int(value.batch_sizes[0])
    if isinstance(value, Tensor):
        return int(value.size(0)) if value.dim() else None
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else None
    return None


def _lengths(values: Any, *, lists: bool = True) -> list[int]:
    """Every number of samples that could be meant."""
    own = _own_length(values)
    if own is not None:
        return [own]
    if not _is_container(values):
        return []
    found = [length for value in _members(values) for length in _lengths(value, lists=lists)]
    if lists and values and not isinstance(values, Mapping) and not hasattr(values, "_fields"):
        found.append(len(values))
    return found


def _unknown(values: Any) -> bool:
    if _is_container(values):
        return any(map(_unknown, _members(values)))
    return not isinstance(values, (*_CONSTANTS, Tensor, np.ndarray))


# -- structures ------------------------------------------------------------------------------------


def _is_container(values: Any) -> bool:
    return isinstance(values, Mapping | list | tuple)


def _members(values: Any) -> list[Any]:
    return list(values.values()) if isinstance(values, Mapping) else list(values)


def _mapped(function: Callable[[Any], Any], values: Any) -> Any:
    if not isinstance(values, Mapping):
        return _like(values, [function(part) for part in values])
    made = {name: function(part) for name, part in values.items()}
    if type(values) is dict:
        return made
    try:  # a tokenizer's, which its model may want
        same: Any = copy.copy(values)
        same.update(made)
    except Exception:
        return made
    return same


def _like(values: Any, parts: list[Any]) -> Any:
    """A list, tuple or named tuple of these."""
    if hasattr(values, "_fields"):
        return type(values)(*parts)
    return parts if isinstance(values, list) else tuple(parts)


# -- tensors ---------------------------------------------------------------------------------------


def _own(tensor: Tensor, device: str | torch.device | None = None) -> Tensor:
    """A copy that knows nothing of the caller's."""
    there = tensor.detach()
    there = there.clone() if device is None else there.to(device, copy=True)
    return there.requires_grad_() if tensor.requires_grad else there


def _tensor_rows(tensor: Tensor, rows: Rows) -> Tensor:
    plain = tensor.detach()
    if plain.is_nested:
        chosen = range(tensor.size(0))[rows] if isinstance(rows, slice) else rows.tolist()
        each = plain.unbind()
        some = torch.nested.as_nested_tensor([each[row].clone() for row in chosen], layout=tensor.layout)
    elif plain.layout is not torch.strided:
        some = _sparse_rows(plain, rows)
    elif isinstance(rows, slice):
        some = plain[rows].clone()
    else:
        some = plain[rows.to(plain.device)]
    return some.requires_grad_() if tensor.requires_grad else some


def _sparse_rows(tensor: Tensor, rows: Rows) -> Tensor:
    if isinstance(rows, slice):
        rows = torch.arange(tensor.size(0))[rows]
    coo: Tensor = tensor.to_sparse_coo()  # type: ignore[no-untyped-call]
    chosen = coo.index_select(0, rows.to(tensor.device))
    return chosen if tensor.layout is torch.sparse_coo else chosen.to_sparse(layout=tensor.layout)


def _packed(packed: PackedSequence, rows: Rows) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    some = _tensor_rows(padded, rows)
    return pack_padded_sequence(some, lengths[rows], batch_first=True, enforce_sorted=False)


def _index(rows: Rows) -> Any:
    return rows if isinstance(rows, slice) else rows.numpy()

"""Mini-batches of any structure: tensors in tuples, lists and dictionaries, and what lies beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only


def as_tensors(values: Any) -> Any:
    """The same with tensors for numpy's arrays; those of float64 get torch's default precision."""
    return tree_map(_as_tensor, values)


def _as_tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.as_tensor(value)
    return tensor.to(torch.get_default_dtype()) if tensor.dtype == torch.float64 else tensor


def moved(values: Any, device: torch.device, *, non_blocking: bool = False) -> Any:
    """The same with every tensor on the device, and whatever is none (a text, say) as it is."""
    return tree_map_only(Tensor, lambda tensor: tensor.to(device, non_blocking=non_blocking), values)


def rows_of(values: Any, rows: Tensor | slice) -> Any:
    """Some samples: of every tensor those rows."""
    if type(values) is tuple and all(isinstance(value, Tensor) for value in values):  # 1% of a small step
        return tuple(value[rows] for value in values)
    return tree_map_only(Tensor, lambda tensor: tensor[rows], values)


def lengths(values: Any) -> list[int]:
    """How many samples each tensor holds: its first dimension; 0 for a tensor without one."""
    return [len(leaf) if leaf.ndim else 0 for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def joined(parts: Sequence[Any]) -> Any:
    """Several batches as one; of texts and the like, lists one after the other."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Mapping):
        return {key: joined([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple) and lengths(first):
        columns = [joined(column) for column in zip(*parts, strict=True)]
        return columns if isinstance(first, list) else tuple(columns)
    return [item for part in parts for item in part]

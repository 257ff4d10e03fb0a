"""Mini-batches for a warm start, drawn beside the caller's own iterators, samplers and generators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sized
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from asha_core.errors import SettingError, TaskError

Pair = tuple[Any, Any]
Data = Pair | Callable[[int], Pair] | DataLoader[Any]


def check_data(what: str, data: Any) -> None:
    """Raise ``SettingError`` for what cannot be drawn from, with what can."""
    if isinstance(data, DataLoader):
        if isinstance(data.dataset, IterableDataset) or data.batch_size is None:
            raise SettingError(
                f"{what}: the DataLoader has an iterable data set or a batch sampler of its own, which a "
                "warm start would have to advance: give a function of a draw number that gives (inputs, "
                "targets)"
            )
    elif not callable(data) and not _is_pair(data):
        raise SettingError(
            f"{what} is a {type(data).__name__}: it must be a mini-batch (inputs, targets), a function of a "
            "draw number that gives one, or a DataLoader"
        )


def mini_batch(data: Data, draw: int, generator: torch.Generator, device: str) -> Pair:
    """One mini-batch, on the device, its samples in an order that ``generator`` decides.

    Raises:
        SettingError: it is no pair, or holds no tensors.
        TaskError: inputs and targets differ in length.
    """
    pair = _one_batch(data, draw, generator)
    if not _is_pair(pair):
        raise SettingError(
            f"a mini-batch is a {type(pair).__name__}: it must be a pair (inputs, targets); wrap other "
            "data as a function of a draw number that gives one"
        )
    count(tuple(pair))
    inputs, targets = pytree.tree_map_only(Tensor, lambda tensor: tensor.to(device), tuple(pair))
    return inputs, targets


def count(pair: Pair) -> int:
    """How many samples a mini-batch has: every tensor's first dimension."""
    lengths = []
    for what, values in zip(("inputs", "targets"), pair, strict=True):
        leaves = [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]
        if not leaves or any(leaf.ndim == 0 for leaf in leaves):
            raise SettingError(
                f"{what} (a {type(values).__name__}) must be a tensor, or a tuple, list or dict of tensors, "
                "with the samples in the first dimension of each"
            )
        lengths += [len(leaf) for leaf in leaves]
    if len(set(lengths)) > 1:
        raise TaskError(
            f"the tensors of a mini-batch hold {sorted(set(lengths))} samples: they must be of one length, "
            "the samples in the first dimension"
        )
    return lengths[0]


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """The model's outputs; a dictionary's entries go to it by name, those of a tuple or list by position."""
    positional, named = arguments(inputs)
    return model(*positional, **named)


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, named) arguments of a model for its inputs; see ``call``."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {}


def part(values: Any, start: int, end: int) -> Any:
    """Some of the samples."""
    return pytree.tree_map_only(Tensor, lambda tensor: tensor[start:end], values)


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2


def _one_batch(data: Data, draw: int, generator: torch.Generator) -> Any:
    if isinstance(data, DataLoader):
        rows = _rows(data, generator)
        return data.collate_fn([data.dataset[row] for row in rows])
    if callable(data):
        return data(draw)
    order = torch.randperm(count(data), generator=generator)
    return pytree.tree_map_only(Tensor, lambda tensor: tensor[order.to(tensor.device)], tuple(data))


def _rows(loader: DataLoader[Any], generator: torch.Generator) -> list[Any]:
    """A random mini-batch of what the loader's sampler may give: it may keep to a part of the data set."""
    sampler: Any = loader.sampler
    rows: Any = range(len(cast(Sized, loader.dataset)))
    if not isinstance(sampler, SequentialSampler | RandomSampler):
        sampler = copy.copy(sampler)
        if getattr(sampler, "generator", None) is not None:
            sampler.generator = generator
        rows = list(sampler)
    chosen = torch.randperm(len(rows), generator=generator)[: loader.batch_size]
    return [rows[index] for index in chosen.tolist()]

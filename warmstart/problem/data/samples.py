"""Mini-batches for a warm start, drawn beside the caller's own iterators, samplers and generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset

from asha_core.errors import SettingError, TaskError
from warmstart.problem.data.loader import LoaderDraws
from warmstart.problem.data.splitting import Pair, count, moved, taken
from warmstart.problem.data.unpacking import unpacked
from warmstart.problem.randomness import generator_for

MiniBatch = Pair | Mapping[str, Any]
Data = MiniBatch | Sequence[MiniBatch] | Callable[[int], Any] | DataLoader[Any]
Split = Callable[[Any], tuple[Pair, Pair]]

_GIVE_A_PAIR = (
    "give a pair (inputs, targets), a function of a draw number that gives one, or split=, a function of a "
    "mini-batch that gives two, what to train on and what is held out"
)


def check_data(what: str, data: Any, split: Split | None = None) -> None:
    """Raise ``SettingError`` for what cannot be drawn from, with what can."""
    if isinstance(data, DataLoader) or callable(data):
        return
    if isinstance(data, Mapping | list | tuple):
        _batches(what, data, split)
    elif split is None or isinstance(data, Dataset):
        raise SettingError(
            f"{what} is a {type(data).__name__}: it must be a mini-batch (inputs, targets), a list of them, "
            "a function of a draw number that gives one, or a DataLoader"
        )


class Draws:
    """Mini-batches by draw number, on a device, in memory of their own.

    Args:
        data: what ``check_data`` accepts.
        seed: of all that is random about them, but for what a function of a draw number does.
        stream: its name among those of the seed.
        device: where they are moved to.
        split: a mini-batch -> (training, held-out) samples. None: each of its parts, in halves.
    """

    def __init__(self, data: Data, seed: int, stream: str, device: str, split: Split | None = None) -> None:
        self._seed, self._stream, self._device, self._split = seed, stream, device, split
        self._draw: Callable[[int], Any]
        self._ordered = True  # a loader's rows and a function's samples are as random as they should be
        if isinstance(data, DataLoader):
            loader = LoaderDraws(data, seed, stream)
            self._draw, self._ordered = loader, loader.ordered
        elif callable(data):
            self._draw, self._ordered = data, False
        else:
            given = _batches("data", data, split)
            self._draw = lambda draw: given[draw % len(given)]

    def whole(self, draw: int) -> Pair:
        """A mini-batch; with ``split``, its training half.

        Raises:
            SettingError: it cannot be told what are its inputs, its targets, its samples.
            TaskError: its tensors differ in length.
        """
        if self._split is not None:
            return self.halves(draw)[0]
        pair = unpacked(self._draw(draw), _GIVE_A_PAIR)
        number = count(pair)
        if self._ordered:
            generator = generator_for(self._seed, self._stream, draw)
            pair = _of_pair(pair, number, torch.randperm(number, generator=generator))
        return self._there(pair)

    def heldout(self, draw: int) -> Pair:
        """A mini-batch; with ``split``, its held-out half."""
        return self.whole(draw) if self._split is None else self.halves(draw)[1]

    def halves(self, draw: int) -> tuple[Pair, Pair]:
        """(training half, held-out half) of a mini-batch; errors as in ``whole``."""
        if self._split is not None:
            return self._by_split(self._split, self._draw(draw))
        pair = self.whole(draw)
        number = count(pair)
        if number < 2:
            raise TaskError(
                f"a warm start splits a mini-batch in halves, and this one has {number} samples: give "
                'at least 2, or validation samples and heldout="validation"'
            )
        half = number // 2
        return _of_pair(pair, number, slice(half)), _of_pair(pair, number, slice(half, number))

    def _by_split(self, split: Split, batch: Any) -> tuple[Pair, Pair]:
        found = split(batch)
        if not _is_pair(found) or not all(map(_is_pair, found)):
            raise SettingError(
                f"split gave a {type(found).__name__}: it must give ((inputs, targets), (inputs, targets)), "
                "what to train on and what is held out"
            )
        train, heldout = found
        return self._there(tuple(train)), self._there(tuple(heldout))

    def _there(self, pair: Any) -> Pair:
        inputs, targets = pair
        return moved(inputs, self._device), moved(targets, self._device)


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """The model's outputs; a dictionary's entries go to it by name, those of a tuple or list by position."""
    positional, named = arguments(inputs)
    return model(*positional, **named)


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, named) arguments of a model for its inputs; see ``call``."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {}


def _of_pair(pair: Pair, number: int, rows: Any) -> Pair:
    return taken(pair[0], number, rows), taken(pair[1], number, rows)


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2


# -- one mini-batch, or several --------------------------------------------------------------------


def _batches(what: str, data: Any, split: Split | None) -> Sequence[Any]:
    """The mini-batches that were given; one, mostly.

    A list of pairs or dictionaries that are alike is several: ``[(x1, y1), (x2, y2)]``.
    """
    if isinstance(data, list | tuple) and data and all(map(_may_be_batch, data)) and _alike(data):
        if isinstance(data, list):
            return data
        if len(data) == 2:
            raise SettingError(
                f"{what} is a tuple of two {type(data[0]).__name__}s that are alike: one mini-batch, or two? "
                "Give several as a list; of one whose inputs and targets have parts, give the parts by "
                "name, in dictionaries"
            )
    if split is None:
        _check_one(what, data)
    return [data]


def _check_one(what: str, data: Any) -> None:
    try:
        unpacked(data, _GIVE_A_PAIR)
    except TaskError as error:
        raise SettingError(f"{what}: {error}") from None


def _may_be_batch(data: Any) -> bool:
    return isinstance(data, Mapping) or (isinstance(data, list | tuple) and len(data) >= 2)


def _alike(batches: Sequence[Any]) -> bool:
    """Whether all have one structure, and tensors of the same types and widths at the same places."""
    return len({_outline(batch) for batch in batches}) == 1


def _outline(batch: Any) -> Any:
    leaves, structure = pytree.tree_flatten(batch)
    return str(structure), tuple(
        (leaf.dtype, tuple(leaf.shape[1:])) if isinstance(leaf, torch.Tensor) else type(leaf)
        for leaf in leaves
    )

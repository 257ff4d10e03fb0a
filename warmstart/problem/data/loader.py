"""Mini-batches of a ``DataLoader`` by draw number, with no trace in what the caller has.

A data set, a sampler or a collate function may open files, draw from generators of its own, count or cache.
So all three run in a process forked for it; or, where there can be none, on a copy.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
import torch.utils.data._utils.worker as torch_worker
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from asha_core.errors import SettingError, TaskError
from asha_core.streams import stream_seed
from warmstart.problem.data.forked import CannotFork, ForkedFunction
from warmstart.problem.randomness import generator_for, own_randomness

MANY = 100_000  # batches of a batch sampler, among which one is chosen
REACHED = 10_000  # objects among which generators are looked for


class LoaderDraws:
    """A loader's mini-batches by draw number, each a function of the seed, the stream and the number alone.

    The order is another one than the loader's, but for a loader that can only be gone through (an iterable
    data set, a class with an ``__iter__`` of its own): there, draw 0 is its first mini-batch.
    """

    def __init__(self, loader: DataLoader[Any], seed: int, stream: str) -> None:
        self._reading = Reading(loader, seed, stream)
        self._read: Callable[[int], Any] | None = self._reading.batch if _changes_nothing(loader) else None
        self._forked: ForkedFunction | None = None if self._read else ForkedFunction(self._reading.alone)

    @property
    def ordered(self) -> bool:
        """Whether the samples of a mini-batch come in an order that may mean something."""
        return self._reading.ordered

    def __call__(self, draw: int) -> Any:
        """One mini-batch, as the loader's collate function makes it.

        Raises:
            SettingError: the data set can be read neither elsewhere nor as a copy.
            Exception: what the data set raised.
        """
        if self._forked is not None:
            try:
                return self._forked(draw)
            except CannotFork as error:
                self.close()
                self._read = self._reading.copied(str(error)).seeded_batch
        assert self._read is not None
        return self._read(draw)

    def close(self) -> None:
        """End the process that reads; it ends with this object, too."""
        if self._forked is not None:
            self._forked.close()
            self._forked = None


class Reading:
    """What reads a loader's mini-batches; it changes what it reads from."""

    def __init__(self, loader: DataLoader[Any], seed: int, stream: str) -> None:
        self._loader = loader
        self._seed, self._stream = seed, stream
        self._generators: list[Any] | None = None
        self._passing: Iterator[Any] | None = None
        self._passed: list[Any] = []

    @property
    def ordered(self) -> bool:
        """Whether samples come in an order of the loader's; or at random."""
        return _only_passed_through(self._loader) or not _rows_are_drawn(self._loader)

    def copied(self, why: str) -> Reading:
        """The same with copies of all that is read."""
        try:
            return Reading(_with_parts(self._loader, copied=True), self._seed, self._stream)
        except Exception as error:
            raise SettingError(
                f"the DataLoader cannot be read without a trace: {why}, and it cannot be copied "
                f"({type(error).__name__}: {error}). Give data= as a mini-batch (inputs, targets), or as a "
                "function of a draw number that gives one"
            ) from error

    def alone(self, draw: int) -> Any:
        """One mini-batch, in a process in which there is nothing but this: as by a loader's only worker."""
        if self._generators is None and self._loader.num_workers > 0:
            loader, seed = self._loader, stream_seed(self._seed, self._stream, 0)
            torch_worker._worker_info = torch_worker.WorkerInfo(
                id=0, num_workers=1, seed=seed, dataset=loader.dataset
            )
            if loader.worker_init_fn is not None:
                with own_randomness(seed, "cpu"):
                    loader.worker_init_fn(0)
        return self.seeded_batch(draw)

    def seeded_batch(self, draw: int) -> Any:
        """One mini-batch; all generators, those of the data set too, are seeded for it."""
        if self._generators is None:
            loader = self._loader
            self._generators = generators_within(
                *(loader.dataset, loader._index_sampler, loader.collate_fn),
                *(loader.worker_init_fn, loader.generator),
            )
        with self._seeded(draw):
            return self.batch(draw)

    def _seeded(self, number: int) -> AbstractContextManager[object]:
        seed = stream_seed(self._seed, self._stream, number)
        seed_each(self._generators or [], seed)
        return own_randomness(seed, "cpu")

    def batch(self, draw: int) -> Any:
        """One mini-batch."""
        try:
            if _only_passed_through(self._loader):
                return self._in_order(draw)
            generator = generator_for(self._seed, self._stream, draw)
            return self._fetched(self._rows(generator))
        except StopIteration as error:  # a loop over batches would take it for their end
            raise RuntimeError("the data set raised StopIteration while it read samples") from error

    def _rows(self, generator: torch.Generator) -> Any:
        """A random mini-batch of what the sampler may give: it may keep to a part of the data set."""
        loader = self._loader
        if not _rows_are_drawn(loader):
            given = _some(loader._index_sampler)
            if not given:
                raise TaskError("the DataLoader's sampler gives nothing")
            return given[int(torch.randint(len(given), (), generator=generator))]
        sampler = loader.sampler
        rows = _all_rows(sampler)
        rows = _some(sampler) if rows is None else rows
        if not len(rows):
            raise TaskError("the DataLoader has no sample: its data set or its sampler is empty")
        chosen = torch.randperm(len(rows), generator=generator)[: loader.batch_size]
        return [rows[index] for index in chosen.tolist()]

    def _fetched(self, rows: Any) -> Any:
        data: Any = self._loader.dataset
        if self._loader.batch_sampler is None:
            return self._loader.collate_fn(data[rows])
        many = getattr(data, "__getitems__", None)  # torch's own name for "a whole batch at once"
        return self._loader.collate_fn(many(rows) if many else [data[row] for row in rows])

    def _in_order(self, draw: int) -> Any:
        """The mini-batch of that number of a pass; after the last, of another pass."""
        while len(self._passed) <= draw:
            with self._seeded(len(self._passed)):
                batch = self._next()
            if batch is None:
                raise TaskError("the DataLoader gives no mini-batch: its data set is empty")
            self._passed.append(batch)
        return self._passed[draw]

    def _next(self) -> Any:
        if self._passing is not None and (batch := next(self._passing, None)) is not None:
            return batch
        self._passing = iter(_with_parts(self._loader))
        return next(self._passing, None)


def _only_passed_through(loader: DataLoader[Any]) -> bool:
    own = type(loader)
    plain = own.__iter__ is DataLoader.__iter__ and own._get_iterator is DataLoader._get_iterator
    return isinstance(loader.dataset, IterableDataset) or not plain


def _rows_are_drawn(loader: DataLoader[Any]) -> bool:
    """Or it has a batch sampler of the user's, or none, and a mini-batch is what that gives."""
    return loader.batch_size is not None and type(loader.batch_sampler) is BatchSampler


def _with_parts(loader: DataLoader[Any], *, copied: bool = False) -> DataLoader[Any]:
    """The same loader without processes, threads and iterators; with its parts, or with copies of them."""
    made = copy.copy(loader)
    state = vars(made)
    state.update(
        num_workers=0, prefetch_factor=None, timeout=0, pin_memory=False, persistent_workers=False,
        _iterator=None, _DataLoader__multiprocessing_context=None,
    )  # fmt: skip
    if copied:
        state.update(worker_init_fn=None)
        state.update(copy.deepcopy(state))
    return made


def _all_rows(sampler: Any) -> Any:
    """All rows that a sampler of torch's may give; None: what it gives has to be seen."""
    if type(sampler) in (SequentialSampler, RandomSampler):
        return range(len(sampler.data_source))
    if type(sampler) is SubsetRandomSampler and type(sampler.indices) in (list, tuple, range, Tensor):
        return sampler.indices
    return None


def _some(sampler: Any) -> list[Any]:
    """What it gives, of which there may be no end."""
    try:
        count = len(sampler)
    except (TypeError, NotImplementedError):
        count = MANY
    return list(islice(sampler, max(count, 1)))


def _changes_nothing(loader: DataLoader[Any]) -> bool:
    """Whether nothing is changed by reading it, because all of its parts are plain ones of torch's."""
    data: Any = loader.dataset
    while type(data) is Subset and type(data.indices) in (list, tuple, range, Tensor):
        data = data.dataset
    plain = type(data) in (list, tuple) or (
        type(data) is TensorDataset and all(type(tensor) is Tensor for tensor in data.tensors)
    )
    return (
        plain
        and loader.collate_fn is default_collate
        and _rows_are_drawn(loader)
        and _all_rows(loader.sampler) is not None
        and not _only_passed_through(loader)
    )


# -- generators ------------------------------------------------------------------------------------


def seed_each(generators: list[Any], seed: int) -> None:
    """Each with a seed of its own."""
    for index, generator in enumerate(generators):
        own = stream_seed(seed, "generator", index)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(own)
        elif isinstance(generator, np.random.Generator):
            bits = generator.bit_generator
            bits.state = type(bits)(own).state
        else:
            generator.seed(own % 2**32)


def generators_within(*roots: Any) -> list[Any]:
    """Random generators in attributes, containers and closures of these, in an order that is theirs."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = list(roots)[::-1]
    while waiting and len(seen) < REACHED:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
            found.append(value)
        else:
            waiting += _inside(value)
    return found


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        inside = list(islice(value.values(), REACHED))
    elif isinstance(value, list | tuple):
        inside = list(value[:REACHED])
    elif isinstance(value, partial):
        inside = [value.func, *value.args, value.keywords]
    elif isinstance(value, FunctionType):
        cells = [cell for cell in value.__closure__ or () if cell != CellType()]  # not the empty ones
        inside = [cell.cell_contents for cell in cells]
    elif isinstance(value, MethodType | BuiltinMethodType):
        inside = [value.__self__]
    elif isinstance(value, type | ModuleType | Tensor | np.ndarray):
        inside = []
    else:
        inside = [getattr(value, "__dict__", None)]
    return [part for part in reversed(inside) if not isinstance(part, str | bytes | int | float | None)]

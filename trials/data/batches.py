"""Mini-batches in an order that a generator decides, from tensors in memory or from a data set.

A data set may be read by processes of its own. They are forked for each pass over it and gone after it, in
the middle of one too: when the iterator is closed or forgotten, or a read fails. What they read does not
depend on how many they are: the randomness of a sample comes from a seed of its own (``SeededDataset``), and
for a data set that draws from the global generators these are seeded sample by sample, or batch by batch if
it reads so (``__getitems__``).
"""

from __future__ import annotations

import inspect
import pickle
import warnings
from collections.abc import Generator, Iterator, Sequence, Sized
from contextlib import closing, nullcontext
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from asha_core.arguments import integer
from asha_core.errors import AshaError, TaskError
from asha_core.streams import stream_seed
from warmstart.problem.randomness import own_randomness

Source = tuple[Tensor, Tensor] | Dataset[Any]
Pair = tuple[Tensor, Tensor]


class SeededDataset(Protocol):
    """A map-style data set whose training samples are random, each by a seed of its own.

    Training reads ``sample(index, seed)``, with a seed that is a function of the trial's seed, the unit and
    the index; so a sample is the same whoever reads it, and whatever was read before. Validation reads
    ``dataset[index]``. A ``torch.utils.data.Subset`` of one is read in the same way. See ``is_seeded``.
    """

    def __getitem__(self, index: int, /) -> Any:
        """(input, target), nothing about them random."""

    def sample(self, index: int, seed: int) -> Any:
        """(input, target), their randomness from ``seed`` alone: 0 to 2**63 - 1."""


def is_seeded(dataset: Dataset[Any]) -> bool:
    """Whether it, or what it is a ``Subset`` of, has a method ``sample`` that takes two things by position.

    Something else of that name, such as a number, does not make a data set a ``SeededDataset``.
    """
    sample = getattr(_looked_through(dataset)[0], "sample", None)
    try:
        inspect.signature(sample).bind(0, 0)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # not to be called, or not so; or it does not say how
        return False
    return True


class Batches:
    """Training or validation data as a source of batches on one device.

    Args:
        source: (inputs, targets), both (N, ...), moved to the device whole; or a map-style data set
            of such pairs (``SeededDataset``, if reading them is random).
        device: where batches are wanted.
        workers: processes that read a data set, ahead of time; 0: it is read in this process. Tensors need
            none.
    Raises:
        TaskError: the source is neither, is empty, or its parts differ in length.
        SettingError: a number of workers below 0.
    """

    def __init__(self, source: Source, device: str, workers: int = 0) -> None:
        self.device = torch.device(device)
        self.workers = integer("loader_workers", workers, 0)
        self._tensors: Pair | None = None
        self._dataset: Dataset[Any] | None = None
        if isinstance(source, tuple):
            inputs, targets = source
            if len(inputs) != len(targets):
                raise TaskError(f"data() gave {len(inputs)} inputs and {len(targets)} targets")
            self._tensors = (inputs.to(self.device), targets.to(self.device))
            self.size = len(inputs)
        elif isinstance(source, Dataset) and hasattr(source, "__len__"):
            self._dataset = source
            self.size = len(cast(Sized, source))
        else:
            raise TaskError(
                f"data() gave a {type(source).__name__}: give a pair of tensors (inputs, targets), or a "
                "torch.utils.data.Dataset with a length"
            )
        if self.size == 0:
            raise TaskError("data() gave an empty data set")

    def steps(self, batch_size: int) -> int:
        """How many training batches an epoch has: full ones only, unless there is none."""
        return max(self.size // batch_size, 1)

    def shuffled(self, batch_size: int, generator: torch.Generator, first: int = 0) -> Iterator[Pair]:
        """One epoch in random order: only full batches.

        Args:
            generator: a CPU generator; drawn from now, not when the first batch is asked for.
            first: the batch to start at. Earlier ones are not read, unless reading a sample may change the
                next: a data set that is not seeded, read in this process, is read to there, now.
        """
        order = torch.randperm(self.size, generator=generator)[: self.steps(batch_size) * batch_size]
        rows = order.split(batch_size)
        if self._tensors is not None:
            return self._gathered(order, batch_size, first)
        reader = self._training_reader(generator)
        if not reader.repeatable:
            for skipped in rows[:first]:
                reader[skipped.tolist()]
        return self._read(reader, rows[first:])

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        """``count`` different samples (all of them, if there are fewer)."""
        order = torch.randperm(self.size, generator=generator)[:count]
        if self._tensors is not None:
            return next(self._gathered(order, count))
        reader = self._training_reader(generator)
        # every process reads a part of the one batch, unless samples depend on which are read with them
        share = len(order) if reader.whole else -(-len(order) // max(self.workers, 1))
        parts = list(self._read(reader, order.split(share)))
        inputs, targets = zip(*parts, strict=True)
        return torch.cat(inputs), torch.cat(targets)

    def ordered(self, batch_size: int) -> Iterator[Pair]:
        """Everything once, in order."""
        if self._tensors is not None:
            inputs, targets = self._tensors
            return zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
        assert self._dataset is not None
        reader = _Reader(self._dataset, seed=0 if self.workers else None)
        return self._read(reader, torch.arange(self.size).split(batch_size))

    def _gathered(self, order: Tensor, batch_size: int, first: int = 0) -> Iterator[Pair]:
        assert self._tensors is not None
        inputs, targets = self._tensors
        for rows in order.to(self.device).split(batch_size)[first:]:
            yield inputs[rows], targets[rows]

    def _training_reader(self, generator: torch.Generator) -> _Reader:
        assert self._dataset is not None
        random = is_seeded(self._dataset)
        seed = None
        if random or self.workers:
            seed = int(torch.empty((), dtype=torch.int64).random_(generator=generator))
        return _Reader(self._dataset, seed, random)

    def _read(self, reader: _Reader, batches: Sequence[Tensor]) -> Iterator[Pair]:
        rows = [batch.tolist() for batch in batches]
        if not self.workers or not rows:
            for batch in map(reader.__getitem__, rows):
                x, y = batch
                yield x.to(self.device), y.to(self.device)
            return
        pinned = self.device.type == "cuda"
        with closing(_ended(self._processes(reader, rows))) as found:
            for batch in found:
                x, y = batch
                yield x.to(self.device, non_blocking=pinned), y.to(self.device, non_blocking=pinned)

    def _processes(self, reader: _Reader, rows: list[list[int]]) -> Iterator[Any]:
        """What ``reader`` makes of each of ``rows``, in order, by processes that begin now."""
        cuda = self.device.type == "cuda"
        with warnings.catch_warnings(), torch.cuda.device(self.device) if cuda else nullcontext():
            # Python 3.12 warns of forks beside threads. A loader's process takes no lock of ours, and torch
            # has it compute in one thread; to import torch anew in each would cost seconds an epoch
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            loader = DataLoader(
                _ForProcesses(reader),
                batch_size=None,  # the rows are those of a batch already
                sampler=rows,
                num_workers=min(self.workers, len(rows)),
                collate_fn=_as_it_is,
                pin_memory=cuda,
                multiprocessing_context="fork",
                generator=torch.Generator(),  # its own: by default a loader draws from the global one
            )
            return iter(loader)


class _Reader(Dataset[Any]):
    """A data set by lists of rows, each list a mini-batch: (inputs, targets).

    Args:
        seed: of the samples' randomness; None: of the data set's own, whatever it draws from.
        random: the data set is a ``SeededDataset``, read for training.

    Attributes:
        repeatable: a mini-batch is the same, whatever was read before.
        whole: samples depend on which others are in the mini-batch.
    """

    def __init__(self, source: Dataset[Any], seed: int | None, random: bool = False) -> None:
        self._source, self._places = _looked_through(source)
        many = getattr(self._source, "__getitems__", None)  # torch's own name for "a whole batch at once"
        self._many = many if callable(many) else None
        self._seed = seed
        self._random = random
        self.repeatable = seed is not None
        self.whole = self._many is not None and not random

    def __getitem__(self, rows: list[int]) -> Any:
        try:
            return default_collate(self._samples(rows))
        except StopIteration as error:  # a loop over batches would take it for their end
            raise RuntimeError(
                f"the data set raised StopIteration while it read samples {_few(rows)}: a call of next() on "
                "something that had come to its end"
            ) from error

    def _samples(self, rows: list[int]) -> list[Any]:
        seed = self._seed
        if seed is None:
            return self._plain(rows)
        if self.whole:
            with own_randomness(stream_seed(seed, "sample", rows[0]), "cpu"):
                return self._plain(rows)
        return [self._one(row, stream_seed(seed, "sample", row)) for row in rows]

    def _plain(self, rows: list[int]) -> list[Any]:
        places = [self._place(row) for row in rows]
        samples: list[Any] = self._many(places) if self._many else [self._source[place] for place in places]
        return samples

    def _one(self, row: int, seed: int) -> Any:
        if self._random:
            return cast(SeededDataset, self._source).sample(int(self._place(row)), seed)
        with own_randomness(seed, "cpu"):
            return self._source[self._place(row)]

    def _place(self, row: Any) -> Any:
        """Where a row lies in what the data set is a subset of."""
        for indices in self._places:
            row = indices[row]
        return row


def _looked_through(source: Dataset[Any]) -> tuple[Dataset[Any], list[Sequence[Any]]]:
    """(what it is a subset of, the indices on the way there, outermost first)."""
    places: list[Sequence[Any]] = []
    while type(source) is Subset:  # one that is derived from it may read in a way of its own
        places.append(source.indices)
        source = source.dataset
    return source, places


def _few(rows: list[int]) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return ", ".join(map(str, rows[:5])) + more


def _ended(found: Iterator[Any]) -> Generator[Any, None, None]:
    """What torch's iterator over processes gives; on every way out of it, they end.

    By itself it ends them when it is forgotten. But an error is raised by a frame of torch's that holds the
    error, so that the error holds the frame, and with it the iterator: it would be there, with its processes
    and the batches which they have read ahead, until the next garbage collection, in the middle of whatever.
    """
    try:
        for batch in found:
            if isinstance(batch, _Mistake):
                raise batch.error()
            yield batch
    except Exception as error:
        raise error.with_traceback(None)  # noqa: B904 - it is the same; the frames were torch's alone
    finally:
        end = getattr(found, "_shutdown_workers", None)  # which torch calls in its __del__
        if callable(end):
            end()


class _ForProcesses(Dataset[Any]):
    """A reader whose mistakes come back as they are: torch would put a traceback into their text."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def __getitem__(self, rows: list[int]) -> Any:
        try:
            return self._reader[rows]
        except AshaError as error:
            return _Mistake(error)


class _Mistake:
    """An ``AshaError`` on its way from a loader's process: as it was, or a ``TaskError`` of its text."""

    def __init__(self, error: AshaError) -> None:
        self._text = str(error)
        self._pickled = b""
        try:
            pickled = pickle.dumps(error)
            if type(pickle.loads(pickled)) is type(error):
                self._pickled = pickled
        except Exception:  # whatever its class does when it is made again
            pass

    def error(self) -> AshaError:
        """To be raised; a new one each time, so that nothing holds what its traceback holds."""
        if not self._pickled:
            return TaskError(self._text)
        error: AshaError = pickle.loads(self._pickled)
        return error


def _as_it_is(batch: Any) -> Any:
    return batch

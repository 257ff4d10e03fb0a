"""Mini-batches in an order that a generator decides, from tensors in memory or from a data set.

A data set may be read by processes of its own. They are forked for each pass over it and gone after it, in
the middle of one too: when the iterator is closed or forgotten, or a read fails. What they read does not
depend on how many they are: the randomness of a sample comes from a seed of its own (``SeededDataset``), and
for a data set that draws from the global generators these are seeded sample by sample, or batch by batch if
it reads so (``__getitems__``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset

from asha_core.arguments import integer
from asha_core.errors import TaskError
from trials.data.loader_processes import read_by_processes
from trials.data.sample_reader import SampleReader, is_seeded
from trials.data.sample_reader import SeededDataset as SeededDataset  # noqa: PLC0414 - its documented place
from trials.data.trees import as_tensors, joined, lengths, moved, rows_of

Source = tuple[Any, ...] | Mapping[str, Any] | Dataset[Any]


class Batches:
    """Training or validation data as a source of batches on one device.

    Args:
        source: tensors or numpy arrays in a tuple or dictionary, all (N, ...), such as (inputs, targets),
            moved to the device whole; or a map-style data set (``SeededDataset``, if reading it is random).
            A batch has the structure that the source, or a sample of the data set, has.
        device: where batches are wanted.
        workers: processes that read a data set, ahead of time; 0: it is read in this process. Tensors need
            none.
        collate: samples of a data set -> a batch, such as one that pads; None: torch's own.
    Raises:
        TaskError: the source is neither, is empty, or its parts differ in length.
        SettingError: a number of workers below 0.
    """

    def __init__(
        self,
        source: Source,
        device: str,
        workers: int = 0,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.workers = integer("loader_workers", workers, 0)
        self._collate = collate
        self._tensors: Any = None
        self._dataset: Dataset[Any] | None = None
        if isinstance(source, tuple | Mapping):
            self._tensors = moved(as_tensors(source), self.device)
            self.size = _length(self._tensors)
        elif isinstance(source, Dataset) and hasattr(source, "__len__"):
            self._dataset = source
            self.size = len(cast(Sized, source))
        else:
            raise TaskError(
                f"data() gave a {type(source).__name__}: give a pair of tensors (inputs, targets), a "
                "dictionary of tensors, or a torch.utils.data.Dataset with a length"
            )
        if self.size == 0:
            raise TaskError("data() gave an empty data set")

    def steps(self, batch_size: int) -> int:
        """How many training batches an epoch has: full ones only, unless there is none."""
        return max(self.size // batch_size, 1)

    def shuffled(
        self, batch_size: int, generator: torch.Generator, first: int = 0, chosen: Tensor | None = None
    ) -> Iterator[Any]:
        """One epoch in random order, or the samples that are chosen: only full batches.

        Args:
            generator: a CPU generator; drawn from now, not when the first batch is asked for.
            chosen: (batches * batch_size,) rows, in the order in which they come.
            first: the batch to start at. Earlier ones are not read, unless reading a sample may change the
                next: a data set that is not seeded, read in this process, is read to there, now.
        """
        order = chosen
        if order is None:
            order = torch.randperm(self.size, generator=generator)[: self.steps(batch_size) * batch_size]
        rows = order.split(batch_size)
        if self._tensors is not None:
            return self._gathered(order, batch_size, first)
        reader = self._training_reader(generator)
        if not reader.repeatable:
            for skipped in rows[:first]:
                reader[skipped.tolist()]
        return self._read(reader, rows[first:])

    def draw(self, count: int, generator: torch.Generator) -> Any:
        """``count`` different samples (all of them, if there are fewer)."""
        order = torch.randperm(self.size, generator=generator)[:count]
        if self._tensors is not None:
            return next(self._gathered(order, count))
        reader = self._training_reader(generator)
        # every process reads a part of the one batch, unless samples depend on which are read with them
        whole = reader.whole or self._collate is not None
        share = len(order) if whole else -(-len(order) // max(self.workers, 1))
        return joined(list(self._read(reader, order.split(share))))

    @property
    def read_here(self) -> bool:
        """Whether it is a data set that is read in this process, and may change by that."""
        return self._dataset is not None and not self.workers

    def on_cpu(self) -> Batches:
        """The same data set, with batches as they are read."""
        assert self._dataset is not None
        return Batches(self._dataset, "cpu", self.workers, self._collate)

    def ordered(self, batch_size: int) -> Iterator[Any]:
        """Everything once, in order."""
        if self._tensors is not None:
            starts = range(0, self.size, batch_size)
            return (rows_of(self._tensors, slice(start, start + batch_size)) for start in starts)
        assert self._dataset is not None
        reader = SampleReader(self._dataset, 0 if self.workers else None, collate=self._collate)
        return self._read(reader, torch.arange(self.size).split(batch_size))

    def _gathered(self, order: Tensor, batch_size: int, first: int = 0) -> Iterator[Any]:
        assert self._tensors is not None
        for rows in order.to(self.device).split(batch_size)[first:]:
            yield rows_of(self._tensors, rows)

    def _training_reader(self, generator: torch.Generator) -> SampleReader:
        assert self._dataset is not None
        random = is_seeded(self._dataset)
        seed = None
        if random or self.workers:
            seed = int(torch.empty((), dtype=torch.int64).random_(generator=generator))
        return SampleReader(self._dataset, seed, random, self._collate)

    def _read(self, reader: SampleReader, batches: Sequence[Tensor]) -> Iterator[Any]:
        rows = [batch.tolist() for batch in batches]
        if not self.workers or not rows:
            for batch in map(reader.__getitem__, rows):
                yield moved(as_tensors(batch), self.device)
            return
        pinned = self.device.type == "cuda"
        with closing(read_by_processes(reader, rows, self.workers, self.device)) as found:
            for batch in found:
                yield moved(as_tensors(batch), self.device, non_blocking=pinned)


def _length(tensors: Any) -> int:
    """How many samples there are."""
    found = lengths(tensors)
    if isinstance(tensors, tuple) and len(tensors) == len(found) == 2 and found[0] != found[1]:
        raise TaskError(f"data() gave {found[0]} inputs and {found[1]} targets")
    if len(set(found)) != 1:
        raise TaskError(
            f"data() gave tensors of {sorted(set(found))} samples: give at least one, and all of one length, "
            "the samples in the first dimension"
        )
    return found[0]

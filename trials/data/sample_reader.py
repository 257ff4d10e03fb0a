"""A data set read by lists of rows, with the randomness of each sample from a seed of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from torch.utils.data import Dataset, Subset, default_collate

from asha_core.streams import stream_seed
from warmstart.problem.randomness import seeded_generators


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
    sample = getattr(_unwrapped(dataset)[0], "sample", None)
    try:
        inspect.signature(sample).bind(0, 0)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # not to be called, or not so; or it does not say how
        return False
    return True


class SampleReader(Dataset[Any]):
    """A data set by lists of rows, each list a mini-batch.

    Args:
        seed: of the samples' randomness; None: of the data set's own, whatever it draws from.
        random: the data set is a ``SeededDataset``, read for training.
        collate: samples -> a mini-batch; None: torch's own.

    Attributes:
        repeatable: a mini-batch is the same, whatever was read before.
        whole: samples depend on which others are in the mini-batch.
    """

    def __init__(
        self,
        source: Dataset[Any],
        seed: int | None,
        random: bool = False,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        self._source, self._places = _unwrapped(source)
        many = getattr(self._source, "__getitems__", None)  # torch's own name for "a whole batch at once"
        self._many = many if callable(many) else None
        self._seed = seed
        self._random = random
        self._collate = collate or default_collate
        self.repeatable = seed is not None
        self.whole = self._many is not None and not random

    def __getitem__(self, rows: list[int]) -> Any:
        try:
            return self._collate(self._samples(rows))
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
            with seeded_generators(stream_seed(seed, "sample", rows[0]), "cpu"):
                return self._plain(rows)
        return [self._one(row, stream_seed(seed, "sample", row)) for row in rows]

    def _plain(self, rows: list[int]) -> list[Any]:
        places = [self._place(row) for row in rows]
        samples: list[Any] = self._many(places) if self._many else [self._source[place] for place in places]
        return samples

    def _one(self, row: int, seed: int) -> Any:
        if self._random:
            return cast(SeededDataset, self._source).sample(int(self._place(row)), seed)
        with seeded_generators(seed, "cpu"):
            return self._source[self._place(row)]

    def _place(self, row: Any) -> Any:
        """Where a row lies in what the data set is a subset of."""
        for indices in self._places:
            row = indices[row]
        return row


def _unwrapped(source: Dataset[Any]) -> tuple[Dataset[Any], list[Sequence[Any]]]:
    """(what it is a subset of, the indices on the way there, outermost first)."""
    places: list[Sequence[Any]] = []
    while type(source) is Subset:  # one that is derived from it may read in a way of its own
        places.append(source.indices)
        source = source.dataset
    return source, places


def _few(rows: list[int]) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return ", ".join(map(str, rows[:5])) + more

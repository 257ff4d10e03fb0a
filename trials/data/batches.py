"""Mini-batches in an order that a generator decides, from tensors in memory or from a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from asha_core.errors import TaskError

Source = tuple[Tensor, Tensor] | Dataset[Any]
Pair = tuple[Tensor, Tensor]


class Batches:
    """Training or validation data as a source of batches on one device.

    Args:
        source: (inputs, targets), both (N, ...), moved to the device whole; or a map-style data set
            of such pairs, read by a ``DataLoader`` in this process.
        device: where batches are wanted.
    Raises:
        TaskError: the source is neither, is empty, or its parts differ in length.
    """

    def __init__(self, source: Source, device: str) -> None:
        self.device = torch.device(device)
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

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[Pair]:
        """One epoch in random order. ``generator`` is a CPU generator; only full batches."""
        order = torch.randperm(self.size, generator=generator)
        order = order[: self.steps(batch_size) * batch_size]
        yield from self._take(order, batch_size)

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        """``count`` different samples (all of them, if there are fewer)."""
        order = torch.randperm(self.size, generator=generator)[:count]
        return next(iter(self._take(order, count)))

    def ordered(self, batch_size: int) -> Iterator[Pair]:
        """Everything once, in order."""
        if self._tensors is not None:
            inputs, targets = self._tensors
            yield from zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
        else:
            yield from self._take(torch.arange(self.size), batch_size)

    def _take(self, order: Tensor, batch_size: int) -> Iterator[Pair]:
        if self._tensors is not None:
            inputs, targets = self._tensors
            for rows in order.to(self.device).split(batch_size):
                yield inputs[rows], targets[rows]
        else:
            assert self._dataset is not None
            # its own generator: by default a loader draws a seed from the global one
            loader = DataLoader(
                Subset(self._dataset, order.tolist()), batch_size, generator=torch.Generator()
            )
            for x, y in loader:
                yield x.to(self.device), y.to(self.device)

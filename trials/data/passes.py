"""Which samples a unit is trained on, where a unit is a fixed number of samples and no epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def rows_of_unit(size: int, count: int, unit: int, generator: Callable[[int], torch.Generator]) -> Tensor:
    """The samples of a unit: the next ``count`` of an endless series of shuffled passes over the data.

    So no sample comes again before all others have come, whatever a unit's size, and what a unit is trained
    on depends on its number alone, not on the units before it.

    Args:
        size: samples there are.
        count: samples of a unit.
        unit: its number, from 1.
        generator: of a pass, by its number from 0: a fresh CPU generator each time.
    Returns:
        (count,) int64.
    """
    start = (unit - 1) * count
    first, last = start // size, (start + count - 1) // size
    passes = [torch.randperm(size, generator=generator(number)) for number in range(first, last + 1)]
    begin = start - first * size
    return torch.cat(passes)[begin : begin + count]

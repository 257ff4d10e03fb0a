"""The global random generators, borrowed and given back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from asha_core.streams import stream_seed


@contextmanager
def own_randomness(seed: int, device: str) -> Iterator[None]:
    """The global generators of torch (the CPU's, and the device's), numpy and ``random``: seeded inside,
    and as before outside.

    Not ``torch.random.fork_rng`` and ``manual_seed``: they visit every backend, two milliseconds a time.
    """
    cuda = device.startswith("cuda")
    kept = torch.get_rng_state(), torch.cuda.get_rng_state(device) if cuda else None
    others = random.getstate(), np.random.get_state()
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if cuda:
        torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        random.setstate(others[0])
        np.random.set_state(others[1])
        if kept[1] is not None:
            torch.cuda.set_rng_state(kept[1], device)


def generator_for(seed: int, name: str, index: int, device: str = "cpu") -> torch.Generator:
    """A generator that owns the stream (seed, name, index)."""
    return torch.Generator(device).manual_seed(stream_seed(seed, name, index))

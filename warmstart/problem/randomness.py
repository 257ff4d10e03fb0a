"""Random numbers inside a block from a seed alone, and the generators outside as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch

from asha_core.streams import stream_seed
from warmstart.private_randomness import PrivateRandomness, alone, private_randomness


def own_randomness(seed: int, device: str) -> AbstractContextManager[object]:
    """What is drawn inside, from torch (on the CPU and the device), numpy or ``random``, comes from ``seed``.

    Outside, the global generators are as before. Beside other threads, which may draw from them meanwhile,
    they are not touched at all; nor on other kinds of devices, whose generators ``_borrowed`` does not know.
    """
    known = device.partition(":")[0] in ("cpu", "cuda")
    if private_randomness() is None and not (known and alone()):
        return PrivateRandomness(seed)
    return seeded_generators(seed, device)


def seeded_generators(seed: int, device: str) -> AbstractContextManager[object]:
    """As ``own_randomness``, for a thread that has the global generators to itself."""
    private = private_randomness()
    return _borrowed(seed, device) if private is None else private.seeded(seed)


@contextmanager
def _borrowed(seed: int, device: str) -> Iterator[None]:
    """The global generators, seeded inside, and as before outside.

    Not ``torch.random.fork_rng`` and ``manual_seed``: they visit every backend, two milliseconds a time.
    """
    generators = _generators(device)
    kept = [generator.get_state() for generator in generators]
    others = random.getstate(), np.random.get_state()
    try:
        for generator in generators:
            generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        yield
    finally:
        for generator, state in zip(generators, kept, strict=True):
            generator.set_state(state)
        random.setstate(others[0])
        np.random.set_state(others[1])


def _generators(device: str) -> list[torch.Generator]:
    """The CPU's, and those of all GPUs: a model may lie on several, or on another than the current one."""
    if device.startswith("cuda"):
        torch.cuda.init()  # type: ignore[no-untyped-call]
        return [torch.default_generator, *torch.cuda.default_generators]
    return [torch.default_generator]


def generator_for(seed: int, name: str, index: int, device: str = "cpu") -> torch.Generator:
    """A generator that owns the stream (seed, name, index)."""
    return torch.Generator(device).manual_seed(stream_seed(seed, name, index))

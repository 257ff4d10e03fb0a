"""Generators in the place of the process's."""

from __future__ import annotations

import random
from functools import cached_property

import numpy as np
import torch


class Streams:
    """Generators of their own, all with one seed; each is made when it is asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = self._torch_seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    @cached_property
    def python(self) -> random.Random:
        """In the place of ``random``'s."""
        return random.Random(self._seed)

    @cached_property
    def numpy(self) -> np.random.RandomState:
        """In the place of ``numpy.random``'s."""
        return np.random.RandomState(self._seed % 2**32)

    def generator(self, device: torch.device | str | int = "cpu") -> torch.Generator:
        """In the place of PyTorch's for this device."""
        device = torch.device(device)
        if device.index is None and device.type == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._torch_seed)
        return self._generators[device]

    def seed_torch(self, seed: int) -> torch.Generator:
        """As ``torch.manual_seed``."""
        self._torch_seed = int(seed)
        self._generators.clear()
        return self.generator()

    def seed_torch_anew(self) -> int:
        """As ``torch.seed``."""
        seed = torch.Generator().seed()
        self.seed_torch(seed)
        return seed

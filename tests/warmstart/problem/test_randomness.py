"""Generators are seeded inside a block, and outside as they were; those of every GPU, too."""

from __future__ import annotations

import pytest
import torch

from warmstart.problem.randomness import seeded_generators


def test_each_gpus_generator_is_borrowed_whichever_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model may lie on cuda:1, or on several, while cuda:0 is the current device."""
    gpus = [torch.Generator().manual_seed(number) for number in range(3)]
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "default_generators", tuple(gpus))
    before = [gpu.get_state() for gpu in gpus]
    drawn = []
    for _ in range(2):
        with seeded_generators(7, "cuda:1"):
            drawn.append([torch.rand(2, generator=gpu).tolist() for gpu in gpus])
        assert all(map(torch.equal, before, (gpu.get_state() for gpu in gpus)))
    assert drawn[0] == drawn[1]

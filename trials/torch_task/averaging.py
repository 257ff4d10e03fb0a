"""A moving average of a network's weights (EMA), which is what is measured and kept as the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """The exponential moving average of a network's weights; its buffers are those of the network.

    After the n-th step w <- d*w + (1-d)*theta with d = min(decay, (1+n)/(10+n)): the initial weights are soon
    forgotten, so that trials can be compared at the first rung, too.

    Args:
        model: another network like the one that is trained, with the same weights; it becomes the average.
        decay: of the average, at least 0 and below 1.

    Source: Polyak and Juditsky 1992; the beginning is that of TensorFlow's ``ExponentialMovingAverage``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model.requires_grad_(False)
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, trained: nn.Module) -> None:
        """One more step of the optimiser was made."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        own: list[Tensor] = list(self.model.parameters())
        new: list[Tensor] = list(trained.parameters())
        if own:
            torch._foreach_lerp_(own, new, 1.0 - decay)
        for buffer, other in zip(self.model.buffers(), trained.buffers(), strict=True):
            buffer.copy_(other)

    def state(self) -> dict[str, Any]:
        """For a checkpoint; ``model`` is a state dictionary like any."""
        return {"model": self.model.state_dict(), "steps": self._steps}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave."""
        self.model.load_state_dict(state["model"])
        self._steps = int(state["steps"])

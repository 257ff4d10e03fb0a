"""What the training loop and a warm start need of a task; ``TorchTask`` says what each means, and is one."""

# ruff: noqa: D102 - a second docstring would say it twice

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from asha_core.space import Configuration, SearchSpace
from trials.data.batches import Source


class TrainableTask(Protocol):
    """A space, settings, data, and what is trained on them."""

    space: SearchSpace
    batch_size: int
    eval_batch_size: int
    channels_last: bool
    precision: str
    deterministic: bool
    compile: str
    loader_workers: int

    def describe(self) -> dict[str, Any]: ...
    def model(self, config: Configuration) -> nn.Module: ...
    def data(self) -> tuple[Source, Source]: ...
    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor: ...
    def heldout_loss(self, outputs: Tensor, targets: Tensor) -> Tensor: ...
    def score(self, outputs: Tensor, targets: Tensor) -> float: ...
    def optimizer(
        self, parameters: Iterable[nn.Parameter], config: Configuration
    ) -> torch.optim.Optimizer: ...
    def normalize(self, inputs: Tensor) -> Tensor: ...
    def training_inputs(
        self, inputs: Tensor, config: Configuration, generator: torch.Generator
    ) -> Tensor: ...
    def schedule(self, progress: float) -> float: ...
    def converged(self, scores: Sequence[float], config: Configuration) -> bool: ...

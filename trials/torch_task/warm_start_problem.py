"""A ``TorchTask``'s network as a warm start sees it, and what its refinements cost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from asha_core.space import Configuration
from trials.costs.flops import structure
from trials.costs.warm_start_flops import KnownFlops, RefinementFlops
from trials.torch_task.acceleration import Precision
from trials.torch_task.learner import fresh_model, heldout_inputs, load_data, training_inputs
from trials.torch_task.options import batch_size, clipping
from trials.torch_task.trainable import TrainableTask
from warmstart.base import Losses
from warmstart.problem.model_losses import Ingredients
from warmstart.problem.model_problem import ModelProblem
from warmstart.problem.randomness import generator_for


class TrainingProblem(ModelProblem):
    """A ``TorchTask``'s network as a warm start sees it: the trial's own initial weights.

    Batches come from streams of their own, and the precision is that of training.
    """

    def __init__(self, task: TrainableTask, seed: int, device: str) -> None:
        self._network: Hashable = None  # of the losses that were asked for last
        self._refinement: RefinementFlops | None = None
        load_data(task, device)  # now: what it may draw from the global generators, training would have drawn
        precision = Precision(task.precision, device)
        mixed = precision.mixed and precision.dtype is torch.bfloat16

        self._draws = partial(_draws, task, seed, device)
        self._task = task

        def model(config: Configuration) -> nn.Module:
            made = fresh_model(task, config, seed, device)
            if self._network is None and self._refinement is not None:
                self._network = structure(made)
            return made

        super().__init__(
            task.space,
            model=model,
            optimizer=lambda model, config: task.optimizer(task.param_groups(model, config), config),
            data=self._draws(0, "warm-start", task.batch_size),
            loss=task.loss,
            heldout_loss=task.heldout_loss,
            augment=lambda inputs, config, noise: training_inputs(task, inputs, config, noise),
            prepare=lambda inputs: heldout_inputs(task, inputs),
            max_grad_norm=lambda config: clipping(task, config).norm,
            max_grad_value=lambda config: clipping(task, config).value,
            autocast=torch.bfloat16 if mixed else None,
            device=device,
            seed=seed,
        )

    def losses(self, configuration: Configuration) -> Losses:
        """The network under this configuration: what a strategy measures."""
        self._network = None
        losses = super().losses(configuration)
        return losses if self._refinement is None else self._refinement.watched(losses, self._network)

    def ingredients(self, configuration: Configuration) -> Ingredients:
        """With mini-batches of the size that the trial has."""
        size = batch_size(self._task, configuration)
        data, validation = self._draws(0, "warm-start", size), self._draws(1, "warm-start-validation", size)
        return replace(super().ingredients(configuration), data=data, validation=validation)

    @contextmanager
    def counting(self, known: dict[str, Any]) -> Iterator[Callable[[Mapping[str, Any]], float | None]]:
        """Count the operations of the refinement inside.

        Args:
            known: what was counted of earlier ones of the same strategy; empty at first.
        Returns:
            A function of the refinement's diagnostics, to be called when it is over: how many operations it
            took; None if that is not known.
        """
        refinement = self._refinement = RefinementFlops(known.setdefault("flops", KnownFlops()))
        try:
            yield refinement.flops
        finally:
            refinement.close()
            self._refinement = None


def _draws(
    task: TrainableTask, seed: int, device: str, which: int, stream: str, size: int
) -> Callable[[int], tuple[Any, Any]]:
    """A function of a draw number that gives a mini-batch: of training (0) or validation (1) data."""

    def batch(number: int) -> tuple[Any, Any]:
        source = load_data(task, device)[which]
        return task.unpack_batch(source.draw(size, generator_for(seed, stream, number)))

    return batch

"""A ``TorchTask``'s network as a warm start sees it, and what its refinements cost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from asha_core.space import Configuration
from asha_core.streams import stream_seed
from trials.costs.flops import structure
from trials.costs.warm_start_flops import KnownFlops, RefinementFlops
from trials.data.batches import Batches
from trials.data.trees import moved
from trials.torch_task.acceleration import Precision
from trials.torch_task.learner import fresh_model, heldout_inputs, load_data, training_inputs
from trials.torch_task.options import batch_size, clipping, step_settings
from trials.torch_task.trainable import TrainableTask
from warmstart.base import Losses
from warmstart.problem.data.forked import CannotFork, ForkedFunction
from warmstart.problem.model_losses import Ingredients
from warmstart.problem.model_problem import ModelProblem
from warmstart.problem.randomness import generator_for, own_randomness


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial has come that is promoted."""

    weights: Mapping[str, Any]  # the network's, and its buffers
    done: int  # units
    max_resource: int

    def rate(self, task: TrainableTask, config: Configuration, batches: Batches) -> float:
        """What the learning rate's peak is multiplied by in the next step."""
        settings = step_settings(task, config)
        updates = -(-settings.steps(batches) // settings.gradient_accumulation_steps)
        return task.lr_lambda(self.done * updates, self.done / self.max_resource, config)


class TrainingProblem(ModelProblem):
    """A ``TorchTask``'s network as a warm start sees it: the trial's own initial weights.

    Batches come from streams of their own, and the precision is that of training.

    Args:
        progress: of a trial that is promoted: its weights are seen, at the rate that it has come to. The
            virtual steps begin with an optimiser that remembers nothing, whatever the trial's own does.

    Attributes:
        promoted: there is such progress.
    """

    def __init__(self, task: TrainableTask, seed: int, device: str, progress: Progress | None = None) -> None:
        self.promoted = progress is not None
        self._network: Hashable = None  # of the losses that were asked for last
        self._refinement: RefinementFlops | None = None
        load_data(task, device)  # now: what it may draw from the global generators, training would have drawn
        precision = Precision(task.precision, device)
        mixed = precision.mixed and precision.dtype is torch.bfloat16

        self._draws = [
            _Draws(task, seed, device, which, stream)
            for which, stream in enumerate(("warm-start", "warm-start-validation"))
        ]
        self._task = task

        def model(config: Configuration) -> nn.Module:
            made = fresh_model(task, config, seed, device)
            if progress is not None:
                made.load_state_dict(progress.weights)
            if self._network is None and self._refinement is not None:
                self._network = structure(made)
            return made

        def optimizer(model: nn.Module, config: Configuration) -> torch.optim.Optimizer:
            made = task.optimizer(task.param_groups(model, config), config)
            if progress is not None:
                rate = progress.rate(task, config, load_data(task, device)[0])
                for group in made.param_groups:
                    group["lr"] = group["lr"] * rate
            return made

        super().__init__(
            task.space,
            model=model,
            optimizer=optimizer,
            data=partial(self._draws[0].batch, task.batch_size),
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
        data, validation = (partial(draws.batch, size) for draws in self._draws)
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


class _Draws:
    """Mini-batches of training (0) or validation (1) data, by the size of one and its number.

    A data set that training reads in this process is read in another, forked for it: its counters, files and
    generators are training's.
    """

    def __init__(self, task: TrainableTask, seed: int, device: str, which: int, stream: str) -> None:
        self._task, self._seed, self._device = task, seed, device
        self._which, self._stream = which, stream
        self._elsewhere: ForkedFunction | None = None
        if load_data(task, device)[which].read_here:
            self._elsewhere = ForkedFunction(partial(_read, task, seed, device, which, stream))

    def batch(self, size: int, number: int) -> tuple[Any, Any]:
        return self._task.unpack_batch(self._samples(size, number))

    def _samples(self, size: int, number: int) -> Any:
        if self._elsewhere is not None:
            try:
                return moved(self._elsewhere(size, number), torch.device(self._device))
            except CannotFork:
                self._elsewhere = None  # then in this process, for want of another
        generator = generator_for(self._seed, self._stream, number)
        return load_data(self._task, self._device)[self._which].draw(size, generator)


def _read(
    task: TrainableTask, seed: int, device: str, which: int, stream: str, size: int, number: int
) -> Any:
    with own_randomness(stream_seed(seed, stream, number), "cpu"):
        batches = load_data(task, device)[which].on_cpu()
        return batches.draw(size, generator_for(seed, stream, number))

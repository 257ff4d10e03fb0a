"""Many configurations of one ``TorchTask`` trained at once, as its worker would train each.

Small networks leave a core idle most of the time: a step of a few thousand weights is mostly calls. Here a
step of many trials is one step of one large network (``torch.func.vmap``). Each trial keeps its own initial
weights, order of batches, augmentation, optimiser, schedule and losses, from the streams of its own seed, so
its curve is the one that a worker reports for that configuration and seed: to rounding, which a long or wild
training makes larger; with dropout in distribution, since masks are drawn for all trials together. A trial
that diverges gives what the worker gives.

    curves = train(task, configurations, seeds, units=27)
    curves.value                       # (N, 27) the task's metric after each unit

The seed of trial i of a search is ``stream_seed(search_seed, "trial", i)``.

Not done: networks that are averaged (``ema_decay``), gradients that are accumulated, other precisions than
float32, batches of a size of their own, data that are no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asha_core.errors import SettingError
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from benchmarks.batched_inputs import Inputs
from benchmarks.batched_network import Networks
from trials.torch_task.acceleration import Precision
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import fresh_model, load_data
from trials.torch_task.options import StepSettings, step_settings
from trials.torch_task.torch_task import TorchTask
from warmstart.problem.randomness import seeded_generators

Floats = NDArray[np.float64]
_WEIGHTS = (
    2**20
)  # about so many numbers in the weights of those that are trained at once: they stay in a cache


@dataclass(frozen=True, slots=True)
class TrainedCurves:
    """What N trials report.

    Attributes:
        batches: the mini-batches after which they were measured, (U,).
        value: the task's metric, (N, U).
        loss: the validation loss, (N, U).
    """

    batches: tuple[int, ...]
    value: Floats
    loss: Floats


def train(
    task: TorchTask,
    configurations: Sequence[Configuration],
    seeds: Sequence[int],
    units: int,
    *,
    max_resource: int | None = None,
    at: Sequence[int] | None = None,
    chunk: int | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> TrainedCurves:
    """Train each configuration to ``units`` units on the CPU, and measure it after each.

    Args:
        seeds: of the trials, one for each configuration.
        max_resource: units of a complete trial, over which the learning rate falls; by default ``units``.
        at: in place of the ends of units the numbers of mini-batches, growing, after which to measure.
        chunk: how many are trained at once; by default as many as fit in a processor's cache.
        told: is given how many are trained, after each chunk.
    Raises:
        SettingError: the task, or a configuration, asks for what is not done here.
    """
    steps = _checked(task, configurations).steps(load_data(task, "cpu")[0])
    marks = tuple(at or (steps * unit for unit in range(1, units + 1)))
    if chunk is None:
        weights = sum(w.numel() for w in fresh_model(task, configurations[0], 0, "cpu").parameters())
        chunk = min(max(_WEIGHTS // weights, 8), 64)
    value, loss = (np.full((len(configurations), len(marks)), np.nan) for _ in range(2))
    for start in range(0, len(configurations), chunk):
        rows = slice(start, start + chunk)
        trials = _Trials(task, configurations[rows], seeds[rows], max_resource or units)
        value[rows], loss[rows] = trials.trained(marks)
        told(min(start + chunk, len(configurations)))
    return TrainedCurves(marks, value, loss)


def _checked(task: TorchTask, configurations: Sequence[Configuration]) -> StepSettings:
    """The settings of a step, the same for all."""
    settings = {step_settings(task, configuration) for configuration in configurations}
    one = next(iter(settings))
    for refused, why in (
        (len(settings) > 1, "trials have batches, accumulation, averages or clipping of their own"),
        (one.ema_decay > 0, "weights are averaged (ema_decay)"),
        (one.gradient_accumulation_steps > 1, "gradients are accumulated"),
        (Precision(task.precision, "cpu").mixed, f"precision is {task.precision}"),
        (load_data(task, "cpu")[0]._tensors is None, "its data are no tensors"),
        (type(task).converged is not TorchTask.converged, "trials end by themselves (converged)"),
    ):
        if refused:
            raise SettingError(f"{type(task).__name__}: {why}: record it with asha-curves record")
    return one


class _Trials:
    """Some trials, trained as one."""

    def __init__(
        self,
        task: TorchTask,
        configurations: Sequence[Configuration],
        seeds: Sequence[int],
        max_resource: int,
    ) -> None:
        self.task, self.configurations, self.seeds = task, configurations, seeds
        self.max_resource = max_resource
        self.settings = step_settings(task, configurations[0])
        train_data, self.valid = load_data(task, "cpu")
        self.inputs = Inputs(task, train_data, self.settings, configurations, seeds)
        models = [
            fresh_model(task, configuration, seed, "cpu")
            for configuration, seed in zip(configurations, seeds, strict=True)
        ]
        groups = [
            _groups(task.optimizer(task.param_groups(model, configuration), configuration), model)
            for model, configuration in zip(models, configurations, strict=True)
        ]
        rates = [c["dropout"] for c in configurations] if "dropout" in configurations[0] else None
        first = [name for group in groups[0][1] for name in group["params"]]
        self.networks = Networks(models, rates, first)
        self.optimizer = _joint_optimizer(groups, self.networks)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._smoothing: Tensor | None = None
        self._usual: bool | None = None  # whether the loss is the usual one, of all trials at once

    def trained(self, marks: Sequence[int]) -> tuple[Floats, Floats]:
        """(value, loss), each (N, U), after so many mini-batches."""
        values: list[list[tuple[float, float]]] = []
        done = 0
        for unit in range(1, -(-marks[-1] // self.inputs.steps) + 1):
            self.inputs.begin(unit)
            with seeded_generators(stream_seed(self.seeds[0], "unit", unit), "cpu"):
                for step in range(self.inputs.steps):
                    self._step(unit, step)
                    done += 1
                    if done in marks:
                        values.append([self._measured(row) for row in range(len(self.seeds))])
                    if done == marks[-1]:
                        break
        both = np.array(values).transpose(2, 1, 0)
        return both[0], both[1]

    def _step(self, unit: int, step: int) -> None:
        inputs, targets = self.inputs.batch(step)
        progress = (unit - 1 + step / self.inputs.steps) / self.max_resource
        taken = (unit - 1) * self.inputs.steps + step
        factors = [self.task.lr_lambda(taken, progress, each) for each in self.configurations]
        each_has = len(self.peaks) // len(factors)
        for place, (group, peak) in enumerate(zip(self.optimizer.param_groups, self.peaks, strict=True)):
            group["lr"] = peak * factors[place // each_has]
        gradients = self.networks.gradients(self._losses(self.networks.forward(inputs), targets))
        self._clip(gradients)
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = gradients[weight.row, weight.columns]
        self.optimizer.step()

    def _clip(self, gradients: Tensor) -> None:
        clipping = self.settings.clipping
        if clipping.norm is not None:  # as torch.nn.utils.clip_grad_norm_
            norms = torch.linalg.vector_norm(gradients, clipping.norm_type, dim=1)
            gradients.mul_((clipping.norm / (norms + 1e-6)).clamp(max=1.0)[:, None])
        if clipping.value is not None:
            gradients.clamp_(-clipping.value, clipping.value)

    def _losses(self, outputs: Any, targets: Any) -> Tensor:
        """(N,) training losses."""
        if self._usual is None:
            self._usual = self._is_usual(outputs, targets)
        if self._usual:
            return self._cross_entropies(outputs, targets)
        return self._own_losses(outputs, targets, len(self.seeds))

    def _own_losses(self, outputs: Any, targets: Any, count: int) -> Tensor:
        """Those of the task itself, of the first so many trials."""
        return torch.stack([
            self.task.loss(outputs[row], targets[row], self.configurations[row]) for row in range(count)
        ])  # fmt: skip

    def _is_usual(self, outputs: Any, targets: Any) -> bool:
        """Whether the task's loss is cross-entropy, smoothed: at the first batch, of the first trials."""
        if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
            return False
        if targets.shape != outputs.shape[:-1] or targets.is_floating_point():
            return False
        few = min(3, len(self.seeds))
        own = self._own_losses(outputs.detach(), targets, few)
        return torch.allclose(own, self._cross_entropies(outputs.detach(), targets)[:few], rtol=1e-4)

    def _cross_entropies(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self._smoothing is None:
            self._smoothing = torch.tensor([c.get("label_smoothing", 0.0) for c in self.configurations])
        scores = outputs.log_softmax(-1)
        right = scores.gather(-1, targets.long()[..., None]).flatten(1).mean(1)
        return (self._smoothing - 1) * right - self._smoothing * scores.flatten(1).mean(1)

    def _measured(self, row: int) -> tuple[float, float]:
        """(value, validation loss), as the worker measures them."""
        return evaluate(self.task, self.networks.at(row), self.valid)


class _Row(torch.nn.Parameter):
    """Weights of one trial in the rows of all: where they lie."""

    row: int
    columns: slice


def _groups(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> tuple[type, list[dict[str, Any]]]:
    """The optimiser's class, and its groups with names in place of weights."""
    names = {id(weight): name for name, weight in model.named_parameters()}
    groups = [
        {**group, "params": [names.pop(id(weight)) for weight in group["params"]]}
        for group in optimizer.param_groups
    ]
    if names:
        raise SettingError(f"{', '.join(names.values())} are not trained: record it with asha-curves record")
    return type(optimizer), groups


def _joint_optimizer(
    found: Sequence[tuple[type, list[dict[str, Any]]]], networks: Networks
) -> torch.optim.Optimizer:
    """One optimiser of the task's own class for all trials, each with groups of its own."""
    starts, start = {}, 0
    for name, count in networks.order:
        starts[name] = slice(start, start + count)
        start += count
    groups = []
    for row, (_, of_trial) in enumerate(found):
        for group in of_trial:
            weights = [_row(networks.flat, row, each) for each in _joined(group["params"], starts)]
            groups.append({**group, "params": weights, "foreach": False, "fused": True})
    return cast(torch.optim.Optimizer, found[0][0](groups, lr=0.0))


def _joined(names: Sequence[str], starts: dict[str, slice]) -> list[slice]:
    """Where these weights lie in a row, neighbours as one."""
    places: list[slice] = []
    for name in names:
        here = starts[name]
        if places and places[-1].stop == here.start:
            here = slice(places.pop().start, here.stop)
        places.append(here)
    return places


def _row(flat: Tensor, row: int, columns: slice) -> _Row:
    made = _Row(flat[row, columns])
    made.row, made.columns = row, columns
    return made

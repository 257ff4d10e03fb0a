"""What a trial of a ``TorchTask`` trains: its data on the device, its network and its optimiser."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any, cast

import torch
from torch import Tensor, nn

from asha_core.arguments import plain
from asha_core.errors import TaskError
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration, stored
from asha_core.streams import stream_seed
from trials.checkpoints.files import write_content
from trials.costs.flops import Cache, FlopCounter
from trials.data.batches import Batches
from trials.torch_task.acceleration import Precision, compiled, laid_out, placed
from trials.torch_task.averaging import WeightAverage
from trials.torch_task.options import check_speed, step_settings
from trials.torch_task.trainable import TrainableTask
from warmstart.problem.randomness import seeded_generators


def load_data(task: TrainableTask, device: str) -> tuple[Batches, Batches]:
    """The task's data on the device; loaded once for each task object and device."""
    cache = task.__dict__.setdefault("_batches", {})
    if device not in cache:
        train, valid = (
            Batches(source, device, task.loader_workers, task.collate_fn) for source in task.data()
        )
        cache[device] = train, valid
    batches: tuple[Batches, Batches] = cache[device]
    return batches


def fresh_model(task: TrainableTask, config: Configuration, seed: int, device: str) -> nn.Module:
    """The trial's network with its initial weights: a function of (configuration, seed)."""
    with seeded_generators(stream_seed(seed, "weights"), device):
        return placed(task.model(config), device, task.channels_last)


def training_inputs(
    task: TrainableTask, inputs: Any, config: Configuration, generator: torch.Generator
) -> Any:
    """A batch as the network is trained on it."""
    return laid_out(task.training_inputs(inputs, config, generator), task.channels_last)


def heldout_inputs(task: TrainableTask, inputs: Any) -> Any:
    """A batch as the network is measured on it."""
    return laid_out(task.normalize(inputs), task.channels_last)


class Learner:
    """What a trial trains: the network, its optimiser, and the scaler of mixed precision.

    Attributes:
        settings: of its steps.
        average: of the weights; None: there is none.
        scores: of its validations, one a unit.
        trained: the batches that went through the network forward and back.
        measured: those that went through it only forward.
    """

    def __init__(self, task: TrainableTask, config: Configuration, seed: int, device: str) -> None:
        check_speed(task.compile, task.precision)
        self.kind = device.partition(":")[0]
        self.settings = step_settings(task, config)
        self.model = fresh_model(task, config, seed, device)
        self.optimizer = _checked(task.optimizer(task.param_groups(self.model, config), config))
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.precision = Precision(task.precision, device)
        self.network = compiled(self.model, task.compile)  # the same weights; for training steps alone
        self.average: WeightAverage | None = None
        if self.settings.ema_decay:
            twin = fresh_model(task, config, seed, device)  # not a copy: not every network can be copied
            twin.load_state_dict(self.model.state_dict())
            self.average = WeightAverage(twin, self.settings.ema_decay)
        self.scores: list[float] = []
        counted: Cache = task.__dict__.setdefault("_flops", {})
        self.trained = FlopCounter(self.model, counted, backward=True)
        self.measured = FlopCounter(self.model, counted, backward=False)

    @property
    def measurable(self) -> nn.Module:
        """The network that is measured: the average of the weights, where there is one."""
        return self.model if self.average is None else self.average.model

    def step(self, samples: Any = 1) -> None:
        """One step of the optimiser, by the gradients that the weights have.

        Args:
            samples: by which they are divided: what was added up counts for so much.
        """
        scaler, settings = self.precision.scaler, self.settings
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        found = [weight.grad for weight in weights if weight.grad is not None]
        if settings.gradient_accumulation_steps > 1 and found:
            torch._foreach_div_(found, samples)
        if settings.clipping.limit is not None:
            scaler.unscale_(self.optimizer)
            settings.clipping.apply(weights)
        scaler.step(self.optimizer)
        scaler.update()
        if self.average is not None:
            self.average.update(self.model)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        average = {} if self.average is None else {"ema": self.average.state()}
        return {
            "model": self.model.state_dict(),
            "optimizer": _optimizer_state(self.optimizer),
            "scaler": self.precision.scaler.state_dict(),
            "scores": list(self.scores),
            **average,
        }

    def load(self, state: Mapping[str, Any], *, reconfigured: bool = False) -> None:
        """Go on from what ``state`` gave.

        Args:
            reconfigured: its optimiser had the settings of another configuration; what it remembers is kept.
        """
        self.model.load_state_dict(state["model"])
        groups = self.optimizer.param_groups
        own = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        self.optimizer.load_state_dict(state["optimizer"])
        if reconfigured:
            for group, settings in zip(self.optimizer.param_groups, own, strict=True):
                group.update(settings)
        self.scores = list(state.get("scores", ()))  # an earlier version kept none
        if self.average is not None:
            self.average.load(state.get("ema") or {"model": state["model"], "steps": 0})
        if state["scaler"] and self.precision.scaler.is_enabled():  # it may come from another kind of device
            self.precision.scaler.load_state_dict(state["scaler"])


def _checked(optimizer: Any) -> torch.optim.Optimizer:
    if not hasattr(optimizer, "param_groups"):
        raise TaskError(
            f"optimizer gave a {type(optimizer).__name__}: return the optimiser alone (how its rate goes is "
            "said by schedule or lr_lambda)"
        )
    found: torch.optim.Optimizer = optimizer
    return found


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its state; of its settings, those that a task has reckoned with numpy as Python's own."""
    state = optimizer.state_dict()
    groups = [{name: _plain(value) for name, value in each.items()} for each in state.get("param_groups", [])]
    return {**state, "param_groups": groups} if groups else state


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = map(_plain, value)
        return list(items) if isinstance(value, list) else tuple(items)
    return value if isinstance(value, Tensor) else plain(value)


def checkpoint_size(task: TrainableTask) -> int:
    """Bytes of a checkpoint of the task's network, under the first configuration of a search."""
    configuration = RandomSearch(task.space, 0).propose(0)
    learner = Learner(task, configuration, 0, "cpu")
    for parameter in learner.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    learner.optimizer.step()  # with which it makes what it keeps for each weight
    file = _SizeOnly()
    origin = {"configuration": stored(configuration), "task": task.describe()}
    write_content(cast(IO[bytes], file), {"resource": 1, **origin, "state": learner.state()})
    return file.size


class _SizeOnly(io.RawIOBase):
    """A file that keeps nothing but its size."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)

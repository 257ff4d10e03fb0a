"""The training loop that ``TorchTask`` runs, and the same network as a warm start's problem.

Every unit draws from streams named after the trial's seed and the unit's number, so nothing but
weights and optimiser state has to be kept for a bitwise resume.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asha_core.errors import TaskError
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed
from trials.data.batches import Batches
from trials.task import TorchTask
from trials.trial import Trial
from warmstart.base import GroupSettings, Losses


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


def load_data(task: TorchTask, device: str) -> tuple[Batches, Batches]:
    """The task's data on the device; loaded once for each task object and device."""
    cache = task.__dict__.setdefault("_batches", {})
    if device not in cache:
        train, valid = task.data()
        cache[device] = Batches(train, device), Batches(valid, device)
    batches: tuple[Batches, Batches] = cache[device]
    return batches


def fresh_model(task: TorchTask, config: Configuration, seed: int, device: str) -> nn.Module:
    """The trial's network with its initial weights: a function of (configuration, seed)."""
    with own_randomness(stream_seed(seed, "weights"), device):
        return task.model(config).to(device)


def train(task: TorchTask, trial: Trial) -> None:
    """Train one job of a ``TorchTask``: from the last checkpoint to ``trial.until``."""
    device = trial.device
    train_batches, valid_batches = load_data(task, device)
    model = fresh_model(task, trial.config, trial.seed, device)
    optimizer = task.optimizer(model.parameters(), trial.config)
    peaks = [group["lr"] for group in optimizer.param_groups]
    precision = _Precision(device)
    state = trial.resume_from()
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] and precision.scaler.is_enabled():  # it may come from another kind of device
            precision.scaler.load_state_dict(state["scaler"])
    for unit in trial.units():
        with own_randomness(stream_seed(trial.seed, "unit", unit), device):
            loss = _train_unit(task, trial, unit, model, optimizer, peaks, precision, train_batches)
            score, valid_loss = evaluate(task, model, valid_batches)
        trial.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": precision.scaler.state_dict(),
            }
        )
        trial.report(score, train_loss=loss, valid_loss=valid_loss)


class _Precision:
    """Mixed precision where there is a GPU: bfloat16 if it has it, else float16 with a scaler."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        half = self.cuda and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = torch.float16 if half else torch.bfloat16
        self.scaler = torch.amp.GradScaler("cuda", enabled=half)

    def autocast(self) -> torch.autocast:
        return torch.autocast("cuda" if self.cuda else "cpu", dtype=self.dtype, enabled=self.cuda)


def _train_unit(
    task: TorchTask,
    trial: Trial,
    unit: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    peaks: Sequence[float],
    precision: _Precision,
    batches: Batches,
) -> float:
    """One epoch; returns the mean training loss."""
    order = generator_for(trial.seed, "order", unit)
    noise = generator_for(trial.seed, "augmentation", unit, trial.device)
    steps = batches.steps(task.batch_size)
    total = torch.zeros((), device=trial.device)
    model.train()
    for step, (inputs, targets) in enumerate(batches.shuffled(task.batch_size, order)):
        factor = task.schedule((unit - 1 + step / steps) / trial.max_resource)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        augmented = task.normalize(task.augment(inputs, trial.config, noise))
        with precision.autocast():
            loss = task.loss(model(augmented), targets, trial.config)
        optimizer.zero_grad(set_to_none=True)
        precision.scaler.scale(loss).backward()
        precision.scaler.step(optimizer)
        precision.scaler.update()
        total += loss.detach()
    return total.item() / steps


@torch.inference_mode()
def evaluate(task: TorchTask, model: nn.Module, batches: Batches) -> tuple[float, float]:
    """(score, loss) over the whole validation set, in eval mode and full precision."""
    model.eval()
    outputs, targets = [], []
    for x, y in batches.ordered(task.eval_batch_size):
        outputs.append(model(task.normalize(x)).float())
        targets.append(y)
    every, truth = torch.cat(outputs), torch.cat(targets)
    return task.score(every, truth), task.heldout_loss(every, truth).item()


@dataclass(frozen=True, slots=True)
class _Half:
    """Half of a mini-batch, and the seed of all that is random about it."""

    inputs: Tensor
    targets: Tensor
    seed: int


class TrainingProblem:
    """A ``TorchTask``'s network as a warm start sees it: the trial's own initial weights.

    Nothing of the trial is touched: the network is built here, buffers are cloned, batches come from a
    stream of their own, and global generators are restored.
    """

    def __init__(self, task: TorchTask, seed: int, device: str) -> None:
        self.space: SearchSpace = task.space
        self._task = task
        self._seed = seed
        self._device = device

    def losses(self, configuration: Configuration) -> Losses:
        """The network under this configuration, as a function of its parameters."""
        task, seed, device = self._task, self._seed, self._device
        model = fresh_model(task, configuration, seed, device).train()
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        forward = _stateless(model)
        batches, _ = load_data(task, device)

        def train_loss(theta: Mapping[str, Tensor], half: _Half, config: Mapping[str, Any]) -> Tensor:
            assert isinstance(config, Configuration)
            noise = torch.Generator(device).manual_seed(half.seed)
            with own_randomness(half.seed, device):
                inputs = task.normalize(task.augment(half.inputs, config, noise))
                return task.loss(forward(theta, inputs), half.targets, config)

        def heldout_loss(theta: Mapping[str, Tensor], half: _Half) -> Tensor:
            with own_randomness(half.seed, device):
                return task.heldout_loss(forward(theta, task.normalize(half.inputs)), half.targets)

        def halves(draw: int) -> tuple[_Half, _Half]:
            with own_randomness(stream_seed(seed, "warm-start-data", draw), device):  # a Dataset may draw
                x, y = batches.draw(task.batch_size, generator_for(seed, "warm-start", draw))
            if len(x) < 2:
                raise TaskError("a warm start needs a mini-batch of at least 2 samples, to split in halves")
            half, noise = len(x) // 2, stream_seed(seed, "warm-start-noise", draw)
            return _Half(x[:half], y[:half], noise), _Half(x[half:], y[half:], noise + 1)

        def settings(config: Mapping[str, Any]) -> list[GroupSettings]:
            assert isinstance(config, Configuration)
            return sgd_settings(task.optimizer(model.parameters(), config), model)

        return Losses(parameters, train_loss, heldout_loss, halves, settings)


def _stateless(model: nn.Module) -> Callable[[Mapping[str, Tensor], Tensor], Tensor]:
    """``model`` as a function of its parameters; buffers (batch-norm statistics) are clones, discarded."""
    buffers = dict(model.named_buffers())

    def forward(theta: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        clones = {name: buffer.clone() for name, buffer in buffers.items()}
        outputs: Tensor = torch.func.functional_call(model, {**theta, **clones}, (inputs,))
        return outputs

    return forward


def sgd_settings(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[GroupSettings]:
    """The settings of an SGD optimiser, with parameters by name.

    Raises:
        TaskError: another optimiser; its step is not the one that the hyper-gradient differentiates.
    """
    if type(optimizer) is not torch.optim.SGD:
        raise TaskError(
            f"hyper-gradient warm starts differentiate torch.optim.SGD, and optimizer() gave "
            f"{type(optimizer).__name__}: use SGD, or --variation baseline or random-warm"
        )
    if any(group["maximize"] for group in optimizer.param_groups):
        raise TaskError("hyper-gradient warm starts descend, and optimizer() gave SGD(maximize=True)")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [
        GroupSettings(
            parameters=tuple(names[id(p)] for p in group["params"] if p.requires_grad),
            lr=float(group["lr"]),
            momentum=float(group["momentum"]),
            dampening=float(group["dampening"]),
            weight_decay=float(group["weight_decay"]),
            nesterov=bool(group["nesterov"]),
        )
        for group in optimizer.param_groups
    ]

"""The training loop that ``TorchTask`` runs, and the same network as a warm start's problem.

Every unit draws from streams named after the trial's seed and the unit's number, so nothing but
weights and optimiser state has to be kept for a bitwise resume at the end of a unit. A unit that is left
in the middle, because the search is being stopped, keeps the state of its streams as well.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NoReturn, cast

import numpy as np
import torch
from torch import Tensor, nn

from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from trials.checkpoints.files import write_content
from trials.costs.flops import Cache, Seen, structure
from trials.costs.warm_start_flops import Known, Refinement
from trials.data.batches import Batches
from trials.task import TorchTask
from trials.torch_task.acceleration import (
    Precision,
    compiled,
    heldout_batch,
    heldout_inputs,
    placed,
    repeatable,
    training_inputs,
)
from trials.trial import Trial
from warmstart.base import Losses
from warmstart.problem.model_problem import ModelProblem
from warmstart.problem.randomness import generator_for, own_randomness


def _global_states(device: str) -> dict[str, Any]:
    """The states of the global generators, as ``weights_only`` loading takes them."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.startswith("cuda") else None,
        "random": [version, torch.tensor(numbers), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
    }


def _set_global_states(states: Mapping[str, Any], device: str) -> None:
    torch.set_rng_state(states["torch"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(states["cuda"], device)
    version, numbers, gauss = states["random"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))


def load_data(task: TorchTask, device: str) -> tuple[Batches, Batches]:
    """The task's data on the device; loaded once for each task object and device."""
    cache = task.__dict__.setdefault("_batches", {})
    if device not in cache:
        train, valid = (Batches(source, device, task.loader_workers) for source in task.data())
        cache[device] = train, valid
    batches: tuple[Batches, Batches] = cache[device]
    return batches


def fresh_model(task: TorchTask, config: Configuration, seed: int, device: str) -> nn.Module:
    """The trial's network with its initial weights: a function of (configuration, seed)."""
    with own_randomness(stream_seed(seed, "weights"), device):
        return placed(task.model(config), task, device)


def train(task: TorchTask, trial: Trial) -> None:
    """Train one job of a ``TorchTask``: from the last checkpoint to ``trial.until``."""
    device = trial.device
    train_batches, valid_batches = load_data(task, device)
    learner = _Learner(task, trial.config, trial.seed, device)
    kept = trial.resume_from()
    if kept is not None:
        learner.load(kept)
    begun = trial.resume_unfinished()
    if begun is not None and begun["device"] != learner.kind:  # its streams go on on no other kind of device
        begun = None
    if begun is not None:
        learner.load(begun)
    for unit in trial.units():
        with repeatable(task), own_randomness(stream_seed(trial.seed, "unit", unit), device):
            with trial.costs.timed("train_seconds"):
                loss = _train_unit(task, trial, unit, learner, train_batches, begun)
            begun = None
            with trial.costs.timed("evaluate_seconds"):
                score, valid_loss = evaluate(task, learner.model, valid_batches, learner.measured)
        _count(trial, "flops", learner.trained)
        _count(trial, "evaluate_flops", learner.measured)
        trial.save(learner.state(), wait=False)
        trial.report(score, train_loss=loss, valid_loss=valid_loss)


def _count(trial: Trial, name: str, seen: Seen) -> None:
    operations = seen.flops()
    if operations is not None:
        trial.costs.add(name, operations)


def checkpoint_size(task: TorchTask) -> int:
    """Bytes of a checkpoint of the task's network, under the first configuration of a search."""
    configuration = RandomSearch(task.space, 0).propose(0)
    learner = _Learner(task, configuration, 0, "cpu")
    for parameter in learner.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    learner.optimizer.step()  # with which it makes what it keeps for each weight
    file = _Counter()
    origin = {"configuration": dict(configuration), "task": task.describe()}
    write_content(cast(IO[bytes], file), {"resource": 1, **origin, "state": learner.state()})
    return file.size


class _Counter(io.RawIOBase):
    """A file that keeps nothing but its size."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


class _Learner:
    """What a trial trains: the network, its optimiser, and the scaler of mixed precision.

    Attributes:
        trained, measured: the batches that went through the network, forward and back, and only forward.
    """

    def __init__(self, task: TorchTask, config: Configuration, seed: int, device: str) -> None:
        self.kind = device.partition(":")[0]
        self.model = fresh_model(task, config, seed, device)
        self.optimizer = task.optimizer(self.model.parameters(), config)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.precision = Precision(task, device)
        self.network = compiled(self.model, task)  # the same weights; for training steps alone
        counted: Cache = task.__dict__.setdefault("_flops", {})
        self.trained = Seen(self.model, counted, backward=True)
        self.measured = Seen(self.model, counted, backward=False)

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"] and self.precision.scaler.is_enabled():  # it may come from another kind of device
            self.precision.scaler.load_state_dict(state["scaler"])


def _train_unit(
    task: TorchTask,
    trial: Trial,
    unit: int,
    learner: _Learner,
    batches: Batches,
    begun: Mapping[str, Any] | None,
) -> float:
    """One epoch; returns the mean training loss.

    Args:
        begun: what ``_pause`` kept of it; ``learner`` has loaded its weights.
    """
    order = generator_for(trial.seed, "order", unit)
    noise = generator_for(trial.seed, "augmentation", unit, trial.device)
    steps = batches.steps(task.batch_size)
    total = torch.zeros((), device=trial.device)
    first = 0 if begun is None else begun["step"]
    pairs = batches.shuffled(task.batch_size, order, first)
    if begun is not None:
        total += begun["total"].to(trial.device)
        noise.set_state(begun["noise"])
        _set_global_states(begun["randomness"], trial.device)
    learner.model.train()
    for step, (inputs, targets) in enumerate(pairs, first):
        factor = task.schedule((unit - 1 + step / steps) / trial.max_resource)
        for group, peak in zip(learner.optimizer.param_groups, learner.peaks, strict=True):
            group["lr"] = peak * factor
        total += _step(task, learner, inputs, targets, trial.config, noise)
        if step + 1 < steps and trial.stopping:  # before the next batch is read, which may draw numbers
            _pause(trial, learner, step + 1, total, noise)
    return total.item() / steps


def _step(
    task: TorchTask,
    learner: _Learner,
    inputs: Tensor,
    targets: Tensor,
    config: Configuration,
    noise: torch.Generator,
) -> Tensor:
    """One mini-batch; returns its loss, a 0-d tensor on the device.

    What it does is a function of weights, buffers, optimiser state, batch, hyper-parameters and the states of
    the generators, and of nothing else: no clock, no file, no trial. So it can be repeated, a warm start can
    differentiate through it, and several trials could be trained as one.
    """
    optimizer, precision = learner.optimizer, learner.precision
    augmented = training_inputs(task, inputs, config, noise)
    learner.trained(augmented)
    with precision.autocast():
        loss = task.loss(learner.network(augmented), targets, config)
    optimizer.zero_grad(set_to_none=True)
    precision.scaler.scale(loss).backward()
    precision.scaler.step(optimizer)
    precision.scaler.update()
    return loss.detach()


def _pause(trial: Trial, learner: _Learner, step: int, total: Tensor, noise: torch.Generator) -> NoReturn:
    """Leave a unit before its ``step``, with all that the rest of it depends on."""
    _count(trial, "flops", learner.trained)
    trial.pause(
        {
            **learner.state(),
            "device": learner.kind,
            "step": step,
            "total": total,
            "noise": noise.get_state(),
            "randomness": _global_states(trial.device),
        }
    )


def evaluate(
    task: TorchTask, model: nn.Module, batches: Batches, seen: Seen | None = None
) -> tuple[float, float]:
    """(score, loss) over the whole validation set, in eval mode and full precision.

    Args:
        seen: is told of each batch, as the network takes it.
    """
    every, truth = outputs_of(task, model, batches, seen)
    with torch.inference_mode():
        return task.score(every, truth), task.heldout_loss(every, truth).item()


@torch.inference_mode()
def outputs_of(
    task: TorchTask, model: nn.Module, batches: Batches, seen: Seen | None = None
) -> tuple[Tensor, Tensor]:
    """(outputs, targets) of everything in order, in eval mode and full precision."""
    model.eval()
    outputs, targets = [], []
    for x, y in batches.ordered(heldout_batch(task, batches.device)):
        inputs = heldout_inputs(task, x)
        if seen is not None:
            seen(inputs)
        outputs.append(model(inputs).float())
        targets.append(y)
    return torch.cat(outputs), torch.cat(targets)


class TrainingProblem(ModelProblem):
    """A ``TorchTask``'s network as a warm start sees it: the trial's own initial weights.

    Batches come from streams of their own, and the precision is that of training.
    """

    def __init__(self, task: TorchTask, seed: int, device: str) -> None:
        self._network: Hashable = None  # of the losses that were asked for last
        self._refinement: Refinement | None = None
        load_data(task, device)  # now: what it may draw from the global generators, training would have drawn
        precision = Precision(task, device)
        mixed = precision.mixed and precision.dtype is torch.bfloat16

        def draw(which: int, stream: str) -> Callable[[int], tuple[Tensor, Tensor]]:
            def batch(number: int) -> tuple[Tensor, Tensor]:
                source = load_data(task, device)[which]
                return source.draw(task.batch_size, generator_for(seed, stream, number))

            return batch

        def model(config: Configuration) -> nn.Module:
            made = fresh_model(task, config, seed, device)
            if self._network is None and self._refinement is not None:
                self._network = structure(made)
            return made

        super().__init__(
            task.space,
            model=model,
            optimizer=lambda model, config: task.optimizer(model.parameters(), config),
            data=draw(0, "warm-start"),
            loss=task.loss,
            heldout_loss=task.heldout_loss,
            augment=lambda inputs, config, noise: training_inputs(task, inputs, config, noise),
            prepare=lambda inputs: heldout_inputs(task, inputs),
            validation=draw(1, "warm-start-validation"),
            autocast=torch.bfloat16 if mixed else None,
            device=device,
            seed=seed,
        )

    def losses(self, configuration: Configuration) -> Losses:
        """The network under this configuration: what a strategy measures."""
        self._network = None
        losses = super().losses(configuration)
        return losses if self._refinement is None else self._refinement.watched(losses, self._network)

    @contextmanager
    def counting(self, known: dict[str, Any]) -> Iterator[Callable[[Mapping[str, Any]], float | None]]:
        """Count the operations of the refinement inside.

        Args:
            known: what was counted of earlier ones of the same strategy; empty at first.
        Returns:
            A function of the refinement's diagnostics, to be called when it is over: how many operations it
            took; None if that is not known.
        """
        refinement = self._refinement = Refinement(known.setdefault("flops", Known()))
        try:
            yield refinement.flops
        finally:
            refinement.close()
            self._refinement = None

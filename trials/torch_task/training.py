"""The training loop that ``TorchTask`` runs.

Every unit draws from streams named after the trial's seed and the unit's number, so nothing but
weights and optimiser state has to be kept for a bitwise resume at the end of a unit. A unit that is left
in the middle, because the search is being stopped, keeps the state of its streams as well.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from asha_core.space import Configuration
from asha_core.streams import stream_seed
from trials.costs.flops import FlopCounter
from trials.data.batches import Batches
from trials.data.passes import rows_of_unit
from trials.torch_task.acceleration import repeatable
from trials.torch_task.evaluation import evaluate
from trials.torch_task.learner import Learner, load_data, training_inputs
from trials.torch_task.trainable import TrainableTask
from trials.trial import Trial, as_number
from warmstart.problem.data.samples import call
from warmstart.problem.randomness import generator_for, seeded_generators


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


def train(task: TrainableTask, trial: Trial) -> None:
    """Train one job of a ``TorchTask``: from the last checkpoint to ``trial.until``."""
    device = trial.device
    trial.unshared()  # the processes that read data know no configuration
    train_batches, valid_batches = load_data(task, device)
    learner = Learner(task, trial.config, trial.seed, device)
    kept = trial.resume_from()
    if kept is not None:
        learner.load(kept, reconfigured=trial.reconfigured)
    begun = trial.resume_unfinished()
    if begun is not None and begun["device"] != learner.kind:  # its streams go on on no other kind of device
        begun = None
    if begun is not None:
        learner.load(begun)
    if learner.scores and task.converged(learner.scores, trial.config):  # killed before it could say so
        trial.stop_early()
    for unit in trial.units():
        with repeatable(task.deterministic), seeded_generators(stream_seed(trial.seed, "unit", unit), device):
            with trial.costs.timed("train_seconds"):
                loss = _train_unit(task, trial, unit, learner, train_batches, begun)
            begun = None
            with trial.costs.timed("evaluate_seconds"):
                score, valid_loss = evaluate(task, learner.measurable, valid_batches, learner.measured)
        _count(trial, "flops", learner.trained)
        _count(trial, "evaluate_flops", learner.measured)
        learner.scores.append(as_number(score, "value"))
        trial.save(learner.state(), wait=False)
        trial.report(score, train_loss=loss, valid_loss=valid_loss)
        if task.converged(learner.scores, trial.config):
            trial.stop_early()


def _count(trial: Trial, name: str, seen: FlopCounter) -> None:
    operations = seen.flops()
    if operations is not None:
        trial.costs.add(name, operations)


def _train_unit(
    task: TrainableTask,
    trial: Trial,
    unit: int,
    learner: Learner,
    batches: Batches,
    begun: Mapping[str, Any] | None,
) -> float:
    """One unit, an epoch or so many samples; returns the mean training loss.

    Args:
        begun: what ``_pause`` kept of it; ``learner`` has loaded its weights.
    """
    order = generator_for(trial.seed, "order", unit)
    noise = generator_for(trial.seed, "augmentation", unit, trial.device)
    settings = learner.settings
    steps, window = settings.steps(batches), settings.gradient_accumulation_steps
    total = torch.zeros((), device=trial.device)
    first = 0 if begun is None else begun["step"]
    chosen = _chosen(trial, unit, steps, learner, batches)
    found = batches.shuffled(settings.batch_size, order, first, chosen)
    if begun is not None:
        total += begun["total"].to(trial.device)
        noise.set_state(begun["noise"])
        _set_global_states(begun["randomness"], trial.device)
    learner.model.train()
    samples: Any = 0
    for step, batch in enumerate(found, first):
        inputs, targets = task.unpack_batch(batch)
        if step % window == 0:
            progress = (unit - 1 + step / steps) / trial.max_resource
            updates = (unit - 1) * -(-steps // window) + step // window
            _set_rates(learner, task.lr_lambda(updates, progress, trial.config))
            learner.optimizer.zero_grad(set_to_none=True)
            samples = 0
        share = 1 if window == 1 else task.batch_weight(targets) / settings.batch_size
        total += _backward(task, learner, inputs, targets, trial.config, noise, share)
        samples += share
        if (step + 1) % window and step + 1 < steps:
            continue
        learner.step(samples)
        if step + 1 < steps and trial.stopping:  # before the next batch is read, which may draw numbers
            trial.costs.add("train_batches", step + 1 - first)
            _pause(trial, learner, step + 1, total, noise)
    trial.costs.add("train_batches", steps - first)
    return total.item() / steps


def _chosen(trial: Trial, unit: int, steps: int, learner: Learner, batches: Batches) -> Tensor | None:
    """The samples of a unit that is no epoch."""
    if learner.settings.samples_per_unit is None:
        return None
    return rows_of_unit(
        batches.size, steps * learner.settings.batch_size, unit, partial(generator_for, trial.seed, "pass")
    )


def _set_rates(learner: Learner, factor: float) -> None:
    """The learning rate of each parameter group: its own peak, times the factor."""
    for group, peak in zip(learner.optimizer.param_groups, learner.peaks, strict=True):
        group["lr"] = peak * factor


def _backward(
    task: TrainableTask,
    learner: Learner,
    inputs: Any,
    targets: Any,
    config: Configuration,
    noise: torch.Generator,
    share: Any,
) -> Tensor:
    """Add a mini-batch's gradient, times ``share``; returns its loss, a 0-d tensor on the device.

    What it does is a function of weights, buffers, batch, hyper-parameters and the states of the generators,
    and of nothing else: no clock, no file, no trial. So it can be repeated, a warm start can differentiate
    through it, and several trials could be trained as one.
    """
    augmented = training_inputs(task, inputs, config, noise)
    learner.trained(augmented)
    with learner.precision.autocast():
        loss = task.loss(call(learner.network, augmented), targets, config)
    counted = loss if learner.settings.gradient_accumulation_steps == 1 else loss * share
    learner.precision.scaler.scale(counted).backward()
    return loss.detach()


def _pause(trial: Trial, learner: Learner, step: int, total: Tensor, noise: torch.Generator) -> NoReturn:
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

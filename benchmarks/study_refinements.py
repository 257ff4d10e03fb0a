"""Warm starts on a task's own problem, as a worker runs them, and their cost in mini-batches of training."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from asha_core import Configuration
from trials.torch_task.learner import Learner, load_data, training_inputs
from trials.torch_task.torch_task import TorchTask
from warmstart.base import WarmStart, accepted
from warmstart.problem.data.samples import call
from warmstart.problem.randomness import generator_for

_BLOCK = 10  # refinements between two measurements of a mini-batch
_STEPS = 25  # mini-batches in such a measurement


@dataclass(frozen=True, slots=True)
class Refined:
    """What a warm start made of N configurations.

    Attributes:
        configurations: N of them.
        time: processor time of each refinement, in mini-batches of training, (N,).
        batches: its arithmetic, in those of training, (N,); NaN: not known.
    """

    configurations: list[Configuration]
    time: np.ndarray
    batches: np.ndarray


def refined(
    task: TorchTask, strategy: WarmStart, configurations: Sequence[Configuration], seeds: Sequence[int]
) -> Refined:
    """Refine each as a worker would, and measure what that takes."""
    peer = TrainingLoop(task, configurations[0])
    known: dict[str, Any] = {}
    made, seconds, batches, peers = [], [], [], [peer.seconds(2 * _STEPS)]
    for number, (configuration, seed) in enumerate(zip(configurations, seeds, strict=True)):
        began = time.process_time()
        problem = task.problem(seed, "cpu")
        counting = getattr(problem, "counting", None)
        context: AbstractContextManager[Any] = (
            nullcontext(lambda told: None) if counting is None else counting(known)
        )
        with context as flops:
            outcome = strategy.refine(problem, configuration, seed)
        outcome = accepted(strategy.name, task.space, configuration, outcome)
        operations = flops(outcome.diagnostics)
        seconds.append(time.process_time() - began)
        made.append(outcome.configuration)
        batches.append(math.nan if operations is None else operations / peer.flops)
        if (number + 1) % _BLOCK == 0 or number + 1 == len(seeds):
            peers.append(peer.seconds(_STEPS))
    near = [(peers[i // _BLOCK] + peers[i // _BLOCK + 1]) / 2 for i in range(len(seeds))]
    return Refined(made, np.array(seconds) / near, np.array(batches))


class TrainingLoop:
    """Mini-batches of the worker's own training, one after the other."""

    def __init__(self, task: TorchTask, configuration: Configuration) -> None:
        self.task, self.configuration = task, configuration
        self.learner = Learner(task, configuration, 0, "cpu")
        self.learner.model.train()
        self.noise = generator_for(0, "augmentation", 1)
        self.batches = self._endless()
        self.seconds(5)
        self.flops = (self.learner.trained.flops() or math.nan) / 5

    def _endless(self) -> Any:
        order = generator_for(0, "order", 1)
        while True:
            yield from load_data(self.task, "cpu")[0].shuffled(self.learner.settings.batch_size, order)

    def seconds(self, count: int) -> float:
        """Processor time of one of so many."""
        began = time.process_time()
        for _ in range(count):
            self._step()
        return (time.process_time() - began) / count

    def _step(self) -> None:
        """As ``trials.torch_task.training`` does it."""
        inputs, targets = self.task.unpack_batch(next(self.batches))
        for group, peak in zip(self.learner.optimizer.param_groups, self.learner.peaks, strict=True):
            group["lr"] = peak * self.task.lr_lambda(0, 0.0, self.configuration)
        self.learner.optimizer.zero_grad(set_to_none=True)
        augmented = training_inputs(self.task, inputs, self.configuration, self.noise)
        self.learner.trained(augmented)
        self.task.loss(call(self.learner.network, augmented), targets, self.configuration).backward()
        self.learner.step()

"""The warm-start protocol, the registry of strategies, and the variations of the study.

A strategy sees a *problem* (the search space and, if it asks, a freshly initialised network with its
losses) and a configuration, and answers with the configuration that the trial should have. It leaves
no trace: weights, iterators and global random states are as they were.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from asha_core.errors import SettingError, nearest
from asha_core.space import Configuration, Float, SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

Batch = Any  # whatever the problem's own losses take; a strategy only passes it on


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """The settings of one SGD parameter group, in PyTorch's convention.

    parameters: the names of the group's parameters. decoupled: weight decay is applied to the weights
    (l2) instead of to the gradient (l1).
    """

    parameters: tuple[str, ...]
    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    decoupled: bool = False


@dataclass(frozen=True, slots=True)
class Losses:
    """A freshly initialised network as a function of its parameters.

    parameters: name -> tensor; a strategy leaves them as they were.
    train_loss: (parameters, batch, configuration) -> scalar. Must depend on the configuration where
        training does (label smoothing, augmentation), with the same randomness for the same batch.
    heldout_loss: (parameters, batch) -> scalar: plain, no smoothing, no augmentation.
    batches: draw number -> (training half, held-out half) of one mini-batch: different samples.
    settings: configuration -> the optimiser's settings, at the peak of any schedule.
    """

    parameters: Mapping[str, Tensor]
    train_loss: Callable[[Mapping[str, Tensor], Batch, Mapping[str, Any]], Tensor]
    heldout_loss: Callable[[Mapping[str, Tensor], Batch], Tensor]
    batches: Callable[[int], tuple[Batch, Batch]]
    settings: Callable[[Mapping[str, Any]], Sequence[GroupSettings]]


class Problem(Protocol):
    """What a warm start may look at."""

    space: SearchSpace

    def losses(self, configuration: Configuration) -> Losses:
        """The network that the trial would start from.

        Raises:
            TaskError: this task has none (it is not a ``TorchTask``), or its optimiser is unsupported.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a warm start made of a configuration.

    diagnostics: JSON-able; at least "strategy", and "step" (name -> change in search coordinates).
    """

    configuration: Configuration
    diagnostics: dict[str, Any] = field(default_factory=dict)


class WarmStart(Protocol):
    """One strategy.

    needs_losses: it asks the problem for its network; a task without one is refused before a search.
    """

    name: str
    needs_losses: bool

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """A better configuration, or the same one.

        Args:
            problem: what may be looked at.
            configuration: what the searcher proposed.
            seed: the trial's seed; all randomness comes from streams of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Variation:
    """A named warm start with fixed settings: one arm of a study.

    cost: about what it costs, in ordinary mini-batches of arithmetic, with D searched dimensions that
    act through the loss or the augmentation instead of the optimiser.
    """

    strategy: str
    settings: Mapping[str, Any]
    cost: str


STRATEGIES = {
    "none": "warmstart.none:NoWarmStart",
    "random": "warmstart.random_step:RandomStep",
    "hypergradient": "warmstart.hypergradient:HyperGradient",
}

VARIATIONS = {
    "baseline": Variation("none", {}, "0"),
    "random-warm": Variation("random", {"sigma": 0.01}, "0"),
    "ohgw-1step": Variation("hypergradient", {"eta_h": 1e-3, "steps": 1}, "1 + D"),
    "ohgw-3step": Variation("hypergradient", {"eta_h": 1e-3, "steps": 3}, "3 + 3D"),
}


def build(strategy: str, settings: Mapping[str, Any] | None = None) -> WarmStart:
    """A strategy by its name in the registry.

    Raises:
        SettingError: an unknown strategy or setting, or a value out of its range.
    """
    if strategy not in STRATEGIES:
        raise SettingError(f"unknown warm start {strategy!r}{nearest(strategy, STRATEGIES)}")
    module, _, name = STRATEGIES[strategy].partition(":")
    kind = getattr(importlib.import_module(module), name)
    try:
        warm_start: WarmStart = kind(**(settings or {}))
    except TypeError as error:
        raise SettingError(f"warm start {strategy!r}: {error}") from None
    return warm_start


def variation(name: str) -> Variation:
    """A variation by name.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in VARIATIONS:
        raise SettingError(f"unknown variation {name!r}{nearest(name, VARIATIONS)}")
    return VARIATIONS[name]


def movable(space: SearchSpace, configuration: Configuration) -> dict[str, Float]:
    """The dimensions that a warm start may move: the real ones, where they exist."""
    return {name: d for name, d in space.items() if isinstance(d, Float) and name in configuration}


def moved(space: SearchSpace, configuration: Configuration, step: Mapping[str, float]) -> Configuration:
    """The configuration after a step in search coordinates, clamped to the space.

    Args:
        step: name -> change; dimensions that are not named stay as they are. A step of exactly 0
            leaves the value as it is, to the last bit.
    """
    values = dict(configuration)
    for name, dimension in movable(space, configuration).items():
        change = step.get(name, 0.0)
        if change != 0.0:
            values[name] = dimension.from_search(dimension.to_search(values[name]) + change)
    return Configuration(tuple(values), tuple(values.values()))


def taken(space: SearchSpace, before: Configuration, after: Configuration) -> dict[str, float]:
    """The step that was really taken, in search coordinates, after clamping."""
    return {
        name: dimension.to_search(after[name]) - dimension.to_search(before[name])
        for name, dimension in movable(space, before).items()
    }

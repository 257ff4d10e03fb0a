"""What a search is made of before it runs, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.errors import SettingError
from asha_core.launch.naming import short_name
from asha_core.runtime.budget import Budget
from asha_core.runtime.observers import Observer, Outcome
from asha_core.runtime.storage.results import RunDirectory
from asha_core.runtime.trial_timeouts import Limits
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Best
from asha_core.space import Configuration
from trials.devices import Devices
from trials.spec import TaskSpec
from trials.task import Task
from warmstart.registry import Variation, variation

_LEAST_HEARTBEAT = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found.

    best: the best value reported, with its trial, resource and configuration; None if there was none.
    outcome: how it ended. directory: where its journal, logs and checkpoints lie.
    summary: the content of results.json.
    """

    best: Best | None
    outcome: Outcome
    directory: Path
    summary: Mapping[str, Any]

    @property
    def best_configuration(self) -> Configuration | None:
        """The configuration with the best value."""
        return self.best.configuration if self.best is not None else None

    @property
    def best_value(self) -> float | None:
        """The best value reported."""
        return self.best.value if self.best is not None else None


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What protects a search from its trials; times in seconds, None: no limit.

    limits: how long a trial may train or be silent. heartbeat: how long a worker may give no sign of life.
    checkpoint_budget: bytes that all checkpoints together may take; None: no limit.
    """

    limits: Limits = field(default_factory=Limits)
    heartbeat: float | None = 60.0
    checkpoint_budget: int | None = None

    def __post_init__(self) -> None:
        if self.heartbeat is not None and self.heartbeat < _LEAST_HEARTBEAT:
            raise SettingError(
                f"heartbeat-timeout is {self.heartbeat:g} s: a worker gives a sign of life once a second, so "
                f"give at least {_LEAST_HEARTBEAT:g} s"
            )


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that a search is made of, checked and resolved; nothing is started or written yet.

    task: the task itself, or how workers build it. built: the task in this process.
    inline: run jobs in this process. settings: what the user asked for, for the manifest.
    notes: lines for the user, said when the search begins.
    resume: go on with the search in the directory, if there is one. changes: settings that differ from
    those it was begun with. warm_start_options: settings in the place of the variation's own.
    """

    task: TaskSpec | Task
    built: Task
    scheduler: Scheduler
    variation: str
    devices: Devices
    budget: Budget
    directory: RunDirectory
    progress: str = "auto"
    target: float | None = None
    inline: bool = False
    settings: Mapping[str, Any] | None = None
    observers: Sequence[Observer] = ()
    notes: Sequence[str] = ()
    safety: SafetyLimits = field(default_factory=SafetyLimits)
    resume: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    warm_start_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def warm_start(self) -> Variation:
        """The variation, with the settings that it really has."""
        return variation(self.variation, self.warm_start_options)

    @property
    def name(self) -> str:
        """The task's name for people: "digits"."""
        return short_name(self.built.describe()["target"])

    @property
    def title(self) -> str:
        """The search in a few words."""
        where = "inline" if self.inline else f"{len(self.devices.slots)} x {self.devices.slots[0].label}"
        if not self.inline and len({slot.label for slot in self.devices.slots}) > 1:
            where = ", ".join(slot.label for slot in self.devices.slots)
        scheduler = self.scheduler
        return (
            f"{self.name}: {scheduler.name} {self.variation}, seed {scheduler.seed}, "
            f"rungs {'/'.join(map(str, scheduler.levels))}, {where}"
        )

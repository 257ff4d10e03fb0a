"""What a search is made of before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asha_core.arguments import instance, number, one_of
from asha_core.errors import SettingError
from asha_core.launch.naming import short_name
from asha_core.launch.replaceable import ExecutorFactory, check_observer
from asha_core.runtime.budget import Budget
from asha_core.runtime.early_end import Patience
from asha_core.runtime.observers import Observer
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.console import PROGRESS
from asha_core.runtime.trial_timeouts import Limits
from asha_core.runtime.units import abridged, counted, parse_bytes, parse_duration
from asha_core.schedulers.base import Scheduler
from trials.devices import INLINE, Devices
from trials.spec import TaskSpec
from trials.task import Task
from warmstart.base import WarmStart
from warmstart.registry import absolute_strategy, build, is_variation, strategy_label, variation

if TYPE_CHECKING:
    from asha_core.launch.simulated import Simulation

_LEAST_HEARTBEAT = 3.0


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What protects a search from its trials."""

    limits: Limits = field(default_factory=Limits)  # how long a trial may train, or be silent
    heartbeat: float | None = 60.0  # seconds that a worker may give no sign of life; None: for ever
    start: float | None = 600.0  # likewise while it starts
    checkpoint_budget: int | None = None  # bytes that all checkpoints may take; None: any number

    def __post_init__(self) -> None:
        for name, time in (("heartbeat-timeout", self.heartbeat), ("start-timeout", self.start)):
            if time is not None and time < _LEAST_HEARTBEAT:
                raise SettingError(
                    f"{name} is {time:g} s: a worker gives a sign of life once a second, so give at least "
                    f"{_LEAST_HEARTBEAT:g} s"
                )

    @classmethod
    def read(
        cls,
        *,
        trial_timeout: str | float | None,
        no_progress_timeout: str | float | None,
        heartbeat_timeout: str | float | None,
        start_timeout: str | float | None,
        checkpoint_budget: str | int | None,
    ) -> SafetyLimits:
        """From times and sizes as people give them: "30m", "20GB", or numbers of seconds and bytes."""

        def seconds(time: str | float | None, name: str) -> float | None:
            return None if time is None else parse_duration(time, name)

        return cls(
            Limits(
                seconds(trial_timeout, "trial_timeout"), seconds(no_progress_timeout, "no_progress_timeout")
            ),
            seconds(heartbeat_timeout, "heartbeat_timeout"),
            seconds(start_timeout, "start_timeout"),
            None if checkpoint_budget is None else parse_bytes(checkpoint_budget),
        )


@dataclass(frozen=True, slots=True)
class ChosenWarmStart:
    """The warm start of a search."""

    name: str  # of the variation, as it was asked for
    strategy: str  # how workers build it, with the settings
    settings: dict[str, Any]
    built: WarmStart  # in this process


def choose_warm_start(name: str, options: Mapping[str, Any] | None = None) -> ChosenWarmStart:
    """A variation, built to see that it can be.

    Args:
        options: settings in the place of the variation's own.
    Raises:
        SettingError: there is none of that name, it does not take these settings, or JSON cannot hold them.
    """
    if options is not None:
        instance("warm_start_options", options, Mapping, "a mapping from settings to values")
    chosen = variation(absolute_strategy(name), options)
    for setting, value in chosen.settings.items():
        try:
            to_json(value)
        except (TypeError, ValueError) as error:
            raise SettingError(
                f"warm start {chosen.strategy!r}: the setting {setting} is {value!r}, which JSON cannot hold "
                f"({error}): give plain numbers, text and lists"
            ) from None
    return ChosenWarmStart(
        strategy_label(name), chosen.strategy, dict(chosen.settings), build(chosen.strategy, chosen.settings)
    )


def recorded_warm_start(arm: str) -> ChosenWarmStart:
    """The warm start of a simulated search: what it did is recorded, and nothing is computed.

    Args:
        arm: of the curves; not every one is the name of a variation.
    """
    nothing = build("none", {})
    if not is_variation(arm):
        return ChosenWarmStart(arm, "recorded", {}, nothing)
    chosen = variation(arm)
    return ChosenWarmStart(arm, chosen.strategy, dict(chosen.settings), nothing)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that a search is made of, checked and resolved; nothing is started or written yet.

    Attributes:
        task: the task itself, or how workers build it.
        built: the task in this process.
        scheduler: a fresh one.
        warm_start: what is done to fresh configurations.
        devices: what the search runs on; ``INLINE``: jobs run in this process.
        budget: when to stop.
        directory: where everything is written.
        progress: what is shown of it.
        target: a value whose time to reach is told; the search goes on past it.
        stop_at: a value that is good enough; the search ends when it is reached.
        patience: how long the search goes on without a better best; None: to its end.
        settings: what the user asked for, for the manifest.
        observers: called along with the progress display.
        executor: makes what runs the jobs; None: worker processes, or this process.
        own_settings: of scheduler and searcher, those that are theirs alone, for the manifest.
        notes: lines for the user, said when the search begins.
        safety: what protects the search from its trials.
        resume: go on with the search in the directory, if there is one.
        retry_failed: of a search that goes on, try trials again that have failed.
        changes: settings that differ from those it was begun with.
        simulation: recorded curves that stand in the place of jobs; None: jobs are run.
    """

    task: TaskSpec | Task
    built: Task
    scheduler: Scheduler
    warm_start: ChosenWarmStart
    devices: Devices
    budget: Budget
    directory: RunDirectory
    progress: str = "auto"
    target: float | None = None
    stop_at: float | None = None
    patience: Patience | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    observers: Sequence[Observer] = ()
    executor: ExecutorFactory | None = None
    own_settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    safety: SafetyLimits = field(default_factory=SafetyLimits)
    resume: bool = False
    retry_failed: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    simulation: Simulation | None = None

    def __post_init__(self) -> None:
        one_of("progress", self.progress, PROGRESS)
        if self.target is not None:
            number("target", self.target)
        if self.stop_at is not None:
            number("stop_at", self.stop_at)
        for observer in instance("observers", self.observers, Sequence, "a list of observers"):
            check_observer(observer)

    @property
    def inline(self) -> bool:
        """Whether jobs run in this process."""
        return self.devices is INLINE and self.executor is None

    @property
    def by_script(self) -> bool:
        """Whether a script asked for it, by ``tune``, and not ``asha-run``."""
        return not self.settings

    @property
    def for_people(self) -> bool:
        """Whether its progress is told to people, rather than to a program or to nobody."""
        return self.progress not in ("json", "none")

    @property
    def name(self) -> str:
        """The task's name for people: "digits"."""
        if self.simulation is not None:
            return self.simulation.task.name
        return short_name(self.built.describe()["target"])

    @property
    def title(self) -> str:
        """The search in a few words."""
        labels = [slot.label for slot in self.devices.slots]
        alike = len(set(labels)) == 1
        where = "inline" if self.inline else f"{len(labels)} x {labels[0]}" if alike else ", ".join(labels)
        if self.simulation is not None:
            where = f"{counted(len(labels), 'simulated worker')}, in virtual time"
        scheduler = self.scheduler
        return (
            f"{self.name}: {scheduler.name} {self.warm_start.name}, seed {scheduler.seed}, "
            f"rungs {'/'.join(abridged([str(level) for level in scheduler.levels]))}, {where}"
        )

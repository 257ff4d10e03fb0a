"""Put the parts of a search together, run it, or go on with one that was stopped or killed."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, SettingError, TaskError
from asha_core.launch.session import Session, begun_session, held_directory
from asha_core.runtime.budget import Budget
from asha_core.runtime.clock import WallClock
from asha_core.runtime.executor import Executor
from asha_core.runtime.interrupts import StopSignal, stop_signals
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, Outcome
from asha_core.runtime.resume import (
    Earlier,
)
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.disk import DiskWatch
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.storage.results import (
    RunDirectory,
    keep_best,
    summarise,
    write_json,
)
from asha_core.runtime.terminal.console import make_console
from asha_core.runtime.trial_timeouts import Limits
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Best
from asha_core.space import Configuration
from trials.devices import Devices
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.spec import TaskSpec
from trials.task import Task
from trials.worker.job_runner import WorkerSettings
from warmstart.registry import Variation, build, variation

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
class Guards:
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
    guards: Guards = field(default_factory=Guards)
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


def short_name(target: str) -> str:
    """A task for people: "digits" for "trials.tasks.digits:Digits"; as ``--task`` takes it, if it is ours."""
    from trials.tasks import TASKS

    ours = {path: name for name, path in TASKS.items()}
    return ours.get(target, target.rpartition(":")[2].lower())


def launch(plan: Launch, *, then_exit: bool = False) -> Result:
    """Run a search from its first file to its last, or from where it was stopped.

    Args:
        then_exit: the process ends after this; once interrupted, it is not disturbed again.
    Raises:
        AshaError: the data is missing, the directory cannot be used, a worker cannot be started. A search
            that had reports before an error leaves its results behind; one that had none, nothing.
    """
    if plan.scheduler.trials:
        raise SettingError("this scheduler has been used by a search: make a new one")
    if not (plan.resume and plan.directory.begun):
        plan.directory.check()
    plan.scheduler.searcher.propose(0)  # a constraint that raises or refuses everything is refused here
    chosen = plan.warm_start
    _check_storable(chosen)
    warm_start = build(chosen.strategy, chosen.settings)
    if warm_start.needs_losses and not plan.built.has_losses():
        plan.built.problem(0, "cpu").losses(Configuration((), ()))  # says what is missing
    with stop_signals(then_exit=then_exit) as stop:
        _prepare(plan.built)
        token = secrets.token_hex(8)
        with held_directory(plan, token), begun_session(plan) as session:
            _say_notes(plan, session.earlier)
            return _run(plan, session, stop, token)


def _check_storable(chosen: Variation) -> None:
    """Raise ``SettingError`` for settings of a warm start that the manifest could not keep."""
    for name, value in chosen.settings.items():
        try:
            to_json(value)
        except (TypeError, ValueError) as error:
            raise SettingError(
                f"warm start {chosen.strategy!r}: the setting {name} is {value!r}, which JSON cannot hold "
                f"({error}): give plain numbers, text and lists"
            ) from None


def _run(plan: Launch, session: Session, stop: StopSignal, token: str) -> Result:
    leaderboard = Leaderboard(plan.built.mode)
    observers = [leaderboard, *_keepers(plan), *_displays(plan), *plan.observers]
    with closing(_executor(plan, token)) as executor:
        search = Search(
            plan.scheduler,
            executor,
            session.journal,
            WallClock(session.budget.spent),
            session.budget,
            observers,
            limits=plan.guards.limits,
            disk=DiskWatch(plan.directory.path, len(plan.devices.slots)),
            stop=None if plan.inline else stop,  # a job in this process does not look up
            earlier=session.earlier,
        )
        if isinstance(executor, InlineExecutor):
            executor.listener = search.hear
        try:
            outcome = search.run()
        except BaseException:
            if plan.scheduler.units:
                _write_results(plan, leaderboard, search.outcome("error"))
            raise
    summary = _write_results(plan, leaderboard, outcome)
    return Result(plan.scheduler.best, outcome, plan.directory.path, summary)


def _say_notes(plan: Launch, earlier: Earlier | None) -> None:
    if plan.progress in ("json", "none"):
        return
    notes = [plan.devices.note, *plan.notes]
    if earlier is not None:
        if earlier.record["torn"]:
            notes.append("warning: the journal's last line was torn when its engine died: cut off")
        notes.append(earlier.describe(plan.scheduler, plan.built.unit))
    for note in filter(None, notes):
        with suppress(OSError):  # nobody reads it
            print(note, file=sys.stderr)


def _prepare(task: Task) -> None:
    try:
        task.prepare()
    except AshaError:
        raise
    except Exception as error:
        raise TaskError(f"the task cannot be prepared: {type(error).__name__}: {error}") from error


def _displays(plan: Launch) -> list[Observer]:
    """The console, and the warnings that go with one for people."""
    console = make_console(plan.progress, plan.title, plan.built.metric, plan.built.unit)
    if plan.progress in ("json", "none"):
        return [console]
    return [console, SmallBudget()]


def _keepers(plan: Launch) -> list[Observer]:
    budget = plan.guards.checkpoint_budget
    if budget is None:
        return []
    from asha_core.runtime.storage.checkpoint_budget import CheckpointKeeper

    return [CheckpointKeeper(plan.directory, budget)]


def _write_results(plan: Launch, leaderboard: Leaderboard, outcome: Outcome) -> dict[str, Any]:
    try:
        checkpoint = keep_best(plan.directory, plan.scheduler)
    except OSError as error:  # such as a full disk: the summary may still fit
        print(f"checkpoints/best.pt cannot be written: {error.strerror}", file=sys.stderr)
        checkpoint = None
    summary = summarise(outcome, plan.scheduler, leaderboard, plan.built.metric, checkpoint)
    try:
        write_json(plan.directory.results, summary)
    except OSError as error:
        print(
            f"results.json cannot be written: {error.strerror}; everything is in journal.jsonl, and resuming "
            "the search writes it again",
            file=sys.stderr,
        )
    return summary


def _executor(plan: Launch, token: str) -> Executor:
    chosen = plan.warm_start
    settings = WorkerSettings(
        plan.task,
        str(plan.directory.path.absolute()),
        plan.scheduler.levels[-1],
        chosen.strategy,
        dict(chosen.settings),
    )
    if plan.inline:
        return InlineExecutor(settings, plan.devices.slots[0].device)
    return ProcessPool(settings, plan.devices.slots, heartbeat_timeout=plan.guards.heartbeat, token=token)


def run_stem(name: str, scheduler: str, variation_name: str, seed: int) -> str:
    """How directories of a search begin that are named for it."""
    return f"{name}-{scheduler}-{variation_name}-seed{seed}"


def default_directory(name: str, scheduler: str, variation_name: str, seed: int) -> RunDirectory:
    """A new directory under results/, named after what is run and when."""
    stem = f"{run_stem(name, scheduler, variation_name, seed)}-{time.strftime('%Y%m%d-%H%M%S')}"
    path = Path("results") / stem
    number = 2
    while path.exists():
        path = Path("results") / f"{stem}-{number}"
        number += 1
    return RunDirectory(path)

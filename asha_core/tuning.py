"""Put the parts together: ``tune`` for library users, ``launch`` for it and the command line."""

from __future__ import annotations

import copy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from asha_core.errors import AshaError, SettingError, TaskError
from asha_core.runtime.budget import Budget, parse_duration
from asha_core.runtime.clock import WallClock
from asha_core.runtime.console import make_console
from asha_core.runtime.executor import Executor
from asha_core.runtime.journal import JournalWriter
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, Outcome
from asha_core.runtime.results import (
    RunDirectory,
    hardware,
    keep_best,
    manifest,
    summarise,
    write_json,
)
from asha_core.runtime.small_budget import SmallBudget
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Best
from asha_core.space import Configuration
from trials.devices import INLINE, Devices, parse_devices
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.spec import TaskSpec
from trials.task import FunctionTask, Task
from trials.worker import INTERRUPTS, WorkerSettings
from warmstart.base import build, variation

if TYPE_CHECKING:
    from trials.trial import Trial


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
class Launch:
    """Everything that a search is made of, checked and resolved; nothing is started or written yet.

    task: the task itself, or how workers build it. built: the task in this process.
    inline: run jobs in this process. settings: what the user asked for, for the manifest.
    notes: lines for the user, said when the search begins.
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
    """A task for people: "digits" for "trials.tasks.digits:Digits"."""
    return target.rpartition(":")[2].lower()


def launch(plan: Launch, *, then_exit: bool = False) -> Result:
    """Run a search from its first file to its last.

    Args:
        then_exit: the process ends after this; once interrupted, it is not disturbed again.
    Raises:
        AshaError: the data is missing, the directory cannot be used, a worker cannot be started. A search
            that had reports before an error leaves its results behind; one that had none, nothing.
    """
    if plan.scheduler.trials:
        raise SettingError("this scheduler has been used by a search: make a new one")
    plan.directory.check()
    plan.scheduler.searcher.propose(0)  # a constraint that raises or refuses everything is refused here
    chosen = variation(plan.variation)
    warm_start = build(chosen.strategy, chosen.settings)
    if warm_start.needs_losses and not plan.built.has_losses():
        plan.built.problem(0, "cpu").losses(Configuration((), ()))  # says what is missing
    _prepare(plan.built)
    leaderboard = Leaderboard(plan.built.mode)
    observers = [leaderboard, *_displays(plan), *plan.observers]
    with _one_interrupt(then_exit=then_exit), _directory(plan):
        if plan.progress not in ("json", "none"):
            for note in filter(None, (plan.devices.note, *plan.notes)):
                print(note, file=sys.stderr)
        write_json(plan.directory.manifest, _manifest(plan))
        settings = WorkerSettings(
            plan.task,
            str(plan.directory.path.absolute()),
            plan.scheduler.levels[-1],
            chosen.strategy,
            dict(chosen.settings),
        )
        journal = JournalWriter(plan.directory.journal)
        clock = WallClock()
        try:
            executor = _executor(plan, settings)
        except BaseException:
            journal.close()
            raise
        with closing(executor):
            search = Search(plan.scheduler, executor, journal, clock, plan.budget, observers)
            try:
                outcome = search.run()
            except BaseException:
                if plan.scheduler.units:
                    _write_results(plan, leaderboard, search.outcome("error"))
                raise
        summary = _write_results(plan, leaderboard, outcome)
    return Result(plan.scheduler.best, outcome, plan.directory.path, summary)


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


@contextmanager
def _directory(plan: Launch) -> Iterator[None]:
    """The results directory, made; taken back if an error ends the search before its first report."""
    there = plan.directory.path.exists()
    plan.directory.create()
    try:
        yield
    except AshaError:
        if plan.scheduler.units == 0:
            shutil.rmtree(plan.directory.path, ignore_errors=True)
            if there:
                plan.directory.path.mkdir()
        raise


@contextmanager
def _one_interrupt(*, then_exit: bool) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM raises KeyboardInterrupt; more of them do not disturb the way out.

    That way takes seconds: running jobs are killed, results are written.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in INTERRUPTS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if not (then_exit and signal.getsignal(number) is signal.SIG_IGN):
                signal.signal(number, handler)


def _write_results(plan: Launch, leaderboard: Leaderboard, outcome: Outcome) -> dict[str, Any]:
    try:
        checkpoint = keep_best(plan.directory, plan.scheduler)
    except OSError as error:  # such as a full disk: the summary may still fit
        print(f"checkpoints/best.pt cannot be written: {error.strerror}", file=sys.stderr)
        checkpoint = None
    summary = summarise(outcome, plan.scheduler, leaderboard, plan.built.metric, checkpoint)
    write_json(plan.directory.results, summary)
    return summary


def _executor(plan: Launch, settings: WorkerSettings) -> Executor:
    if plan.inline:
        return InlineExecutor(settings, plan.devices.slots[0].device)
    return ProcessPool(settings, plan.devices.slots)


def _manifest(plan: Launch) -> dict[str, Any]:
    labels = [slot.label for slot in plan.devices.slots]
    chosen = variation(plan.variation)
    return manifest(
        task={
            "name": plan.name,
            **plan.built.describe(),
            "metric": plan.built.metric,
            "mode": plan.built.mode,
            "unit": plan.built.unit,
        },
        space=plan.scheduler.space.to_dict(),
        scheduler=plan.scheduler.describe(),
        variation={
            "name": plan.variation,
            "strategy": chosen.strategy,
            "settings": dict(chosen.settings),
        },
        budget=asdict(plan.budget),
        target=plan.target,
        hardware=hardware(labels, list(plan.devices.names)),
        settings=dict(plan.settings or {}),
    )


def default_directory(name: str, scheduler: str, variation_name: str, seed: int) -> RunDirectory:
    """A new directory under results/, named after what is run and when."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    stem = f"{name}-{scheduler}-{variation_name}-seed{seed}-{stamp}"
    path = Path("results") / stem
    number = 2
    while path.exists():
        path = Path("results") / f"{stem}-{number}"
        number += 1
    return RunDirectory(path)


def tune(
    train: Callable[[Trial], None] | Task,
    scheduler: Scheduler,
    *,
    gpus: str = "auto",
    workers_per_gpu: int | None = None,
    budget: str | float | None = None,
    variation: str = "baseline",
    metric: str = "value",
    target: float | None = None,
    results_dir: str | Path | None = None,
    progress: str = "auto",
    observers: Sequence[Observer] = (),
) -> Result:
    """Search in worker processes, from a script.

    Args:
        train: a function ``train(trial)`` at the top level of a module, or a ``Task``.
        scheduler: such as ``ASHA(space, max_trials=100)``; give it ``max_trials``, or give a budget.
        gpus: "auto", "cpu", "0,1,2,3", or "inline": in this very process, for debugging.
        workers_per_gpu: workers on each GPU; on the CPU how many in all, by default one a core.
        budget: wall-clock such as "90m", or seconds.
        variation: the warm start; all but "baseline" and "random-warm" need a ``TorchTask``.
        metric: what ``train`` reports, for people.
        target: a value whose time to reach the report gives; the search goes on past it.
        results_dir: a new directory; by default one under results/.
        progress: "auto", "rich", "plain", "json" or "none".
        observers: called along with the progress display; see ``asha_core.runtime.observers``.
    Returns:
        The best configuration and where everything lies.
    Raises:
        AshaError: an argument that cannot be used, in one line.

    A script must call it under ``if __name__ == "__main__":``, because worker processes import it.
    """
    task: Task = (
        train
        if isinstance(train, Task)
        else FunctionTask(train, scheduler.space, metric=metric, mode=scheduler.mode)
    )
    if task.space != scheduler.space:  # such as a frozen one: warm starts move in what is searched
        task = copy.copy(task)
        task.space = scheduler.space
    if task.mode != scheduler.mode:
        raise SettingError(f"the task has mode {task.mode!r} and the scheduler {scheduler.mode!r}")
    if scheduler.trial_limit is None and budget is None:
        raise SettingError("the search would never end: give the scheduler max_trials, or give a budget")
    devices = parse_devices(gpus, workers_per_gpu)
    limit = Budget(None if budget is None else parse_duration(budget), None, devices.held)
    if results_dir is None:
        name = short_name(task.describe()["target"])
        directory = default_directory(name, scheduler.name, variation, scheduler.seed)
    else:
        directory = RunDirectory(Path(results_dir))
    return launch(
        Launch(
            task,
            task,
            scheduler,
            variation,
            devices,
            limit,
            directory,
            progress=progress,
            target=target,
            inline=devices is INLINE,
            observers=observers,
        )
    )

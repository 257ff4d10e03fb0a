"""Put the parts of a search together, run it, or go on with one that was stopped or killed."""

from __future__ import annotations

import secrets
import sys
from contextlib import closing, suppress
from typing import Any

from asha_core.errors import AshaError, SettingError, TaskError
from asha_core.launch.session import Session, begun_session, held_directory
from asha_core.launch.types import Launch, Result
from asha_core.runtime.clock import WallClock
from asha_core.runtime.executor import Executor
from asha_core.runtime.interrupts import StopSignal, stop_signals
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, Outcome
from asha_core.runtime.resume import Earlier
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.disk import DiskWatch
from asha_core.runtime.storage.json_files import write_json
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.storage.results import keep_best, summarise
from asha_core.runtime.terminal.console import make_console
from asha_core.space import Configuration
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.task import Task
from trials.worker.job_runner import WorkerSettings
from warmstart.registry import Variation, build


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
            limits=plan.safety.limits,
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
    budget = plan.safety.checkpoint_budget
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
    return ProcessPool(settings, plan.devices.slots, heartbeat_timeout=plan.safety.heartbeat, token=token)

"""Put the parts of a search together, run it, or go on with one that was stopped or killed."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from asha_core.errors import AshaError, SettingError, TaskError
from asha_core.launch.argument_names import with_arguments
from asha_core.launch.closing import shown
from asha_core.launch.few_trials import few_trials
from asha_core.launch.metric_names import mode_warning
from asha_core.launch.result import Result
from asha_core.launch.session import Session, begun_session, held_directory
from asha_core.launch.time_to_target import TargetWatch
from asha_core.launch.types import Launch
from asha_core.runtime.clock import Clock, VirtualClock, WallClock
from asha_core.runtime.early_end import EarlyEnd
from asha_core.runtime.executor import Executor
from asha_core.runtime.interrupts import StopSignal, stop_signals
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, Outcome
from asha_core.runtime.replay import EarlierSessions
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.disk import DiskWatch
from asha_core.runtime.storage.journal import JournalGone
from asha_core.runtime.storage.json_files import write_json
from asha_core.runtime.storage.results import keep_best, summarise
from asha_core.runtime.terminal.console import make_console
from asha_core.runtime.terminal.streams import fill_descriptors, say
from asha_core.runtime.units import counted
from asha_core.runtime.unread import UnreadWatch
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.grid import configurations
from asha_core.simulation.decision_costs import SlowDecisions
from asha_core.simulation.executor import SimulatedExecutor
from asha_core.space import Configuration
from asha_core.user_files import refuse_while_importing
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.task import Task
from trials.worker.job_runner import WorkerSettings
from warmstart.base import acts


def launch(setup: Launch, *, then_exit: bool = False) -> Result:
    """Run a search from its first file to its last, or from where it was stopped.

    Args:
        then_exit: the process ends after this; once interrupted, it is not disturbed again.
    Raises:
        AshaError: the data is missing, the directory cannot be used, a worker cannot be started. A search
            that had reports before an error leaves its results behind; one that had none, nothing.
    """
    refuse_while_importing()
    fill_descriptors()
    if setup.scheduler.trials:
        raise SettingError("this scheduler has been used by a search: make a new one")
    with ExitStack() as unheard:
        for observer in setup.observers:  # of a search that never comes to close them
            unheard.callback(observer.close)
        return _launch(setup, unheard, then_exit=then_exit)


def _launch(setup: Launch, unheard: ExitStack, *, then_exit: bool) -> Result:
    # from here on the path is whole: a task or an observer in this process may go to another folder
    setup = replace(setup, directory=setup.directory.seen_from(Path.cwd()))
    if not (setup.resume and setup.directory.begun):
        setup.directory.check()  # before the data is read; under its lock ``held_directory`` checks it again
    if setup.warm_start.built.needs_losses and not setup.built.has_losses():
        setup.built.problem(0, "cpu").losses(Configuration((), ()))  # says what is missing
    if acts(setup.warm_start.built, promoted=True):
        _refine_promoted(setup)
    with stop_signals(then_exit=then_exit, tasks_here=setup.inline) as stop:
        _prepare(setup.built)
        token = secrets.token_hex(8)
        with held_directory(setup, token) as held, begun_session(held) as session:
            if setup.for_people:
                _print_notes(held, session.earlier, told=not setup.directory.numbered)
            return _run(held, session, stop, token, unheard)


def _refine_promoted(setup: Launch) -> None:
    """Let the warm start act where trials are promoted, too.

    Raises:
        SettingError: it cannot: nobody is promoted, or not with another configuration.
    """
    name, scheduler = setup.warm_start.name, setup.scheduler
    acts_there = f"variation {name} acts where a trial is promoted"
    if not setup.built.has_promoted_problem():
        raise SettingError(
            f"{acts_there}, and task {setup.name} cannot be looked at there: subclass trials.TorchTask, "
            "or give it promoted_problem(trial, state)"
        )
    if scheduler.learns:
        raise SettingError(
            f"{acts_there}, and scheduler {scheduler.name} takes a trial's configuration to stay what it is: "
            "take asha, or another that learns nothing"
        )
    if len(scheduler.levels) == 1:
        raise SettingError(f"{acts_there}, and with scheduler {scheduler.name} none is: take asha, say")
    scheduler.refines_promoted = True


def _run(setup: Launch, session: Session, stop: StopSignal, token: str, unheard: ExitStack) -> Result:
    leaderboard = Leaderboard(setup.built.mode)
    target = None if setup.target is None else TargetWatch(setup.target, leaderboard, session.held)
    early = EarlyEnd(leaderboard, setup.stop_at, setup.patience)
    own = [leaderboard, early] if target is None else [leaderboard, early, target]
    virtual = setup.simulation is not None
    observers = [
        *own,
        *([] if virtual else [UnreadWatch(setup.scheduler.space), *_checkpoint_pruners(setup)]),
        *_displays(setup),
        *setup.observers,
    ]
    clock: Clock = VirtualClock(session.budget.spent) if virtual else WallClock(session.budget.spent)
    with closing(_executor(setup, token, stop, clock)) as executor:
        search = Search(
            _decider(setup, clock),
            executor,
            session.journal,
            clock,
            session.budget,
            observers,
            limits=setup.safety.limits,
            disk=None if virtual else DiskWatch(setup.directory.path, len(setup.devices.slots)),
            stop=None if setup.inline else stop,  # a job in this process does not look up
            earlier=session.earlier,
            may_end=early.reason,
            may_end_at=early.due,
        )
        if isinstance(executor, InlineExecutor):
            executor.listener = search.handle
        unheard.pop_all()  # the search closes them
        try:
            outcome = search.run()
        except BaseException as error:
            if setup.scheduler.units and not isinstance(error, JournalGone):
                _write_results(setup, leaderboard, search.outcome("error"), executor)
            raise
    summary = _write_results(setup, leaderboard, outcome, executor)
    if setup.simulation is not None and setup.for_people:
        for line in setup.simulation.afterwards(summary["simulated"], outcome.trials):
            say(line)
    reached = None if target is None else target.reached
    return Result(setup.scheduler.best, outcome, setup.directory.path, summary, reached, setup.built)


def _print_notes(setup: Launch, earlier: EarlierSessions | None, *, told: bool) -> None:
    """Say what is to be said when it begins.

    Args:
        told: its user has named its directory, and need not be told.
    """
    where = "" if told else f"results: {shown(setup.directory.path)}"
    few = few_trials(setup.scheduler, len(setup.devices.slots))
    notes = [
        where,
        setup.devices.note,
        *([] if setup.simulation is None else setup.simulation.notes(setup.scheduler)),
        *setup.notes,
        with_arguments(few) if setup.by_script else few,
        _few_configurations(setup.scheduler),
    ]
    if earlier is None:
        notes.append(mode_warning(setup.built.metric, setup.built.mode))
    else:
        if earlier.record["torn"]:
            notes.append("warning: the journal's last line was torn when its engine died: cut off")
        taken_up = earlier.describe(setup.scheduler, setup.built.unit)
        notes.append(with_arguments(taken_up) if setup.by_script else taken_up)
        if setup.retry_failed and not earlier.retried:
            notes.append("note: no trial has failed, so none is tried again")
    for note in filter(None, notes):
        say(note)


def _few_configurations(scheduler: Scheduler) -> str:
    """A note if trials must repeat each other's configurations; else nothing."""
    limit = scheduler.trial_limit
    if limit is None or scheduler.searcher.size is not None:
        return ""
    many = configurations(scheduler.space, limit)
    if many is None or many >= limit:
        return ""
    return (
        f"note: the space has {counted(many, 'configuration')}, and {limit:,} trials will repeat them with "
        "other seeds; --searcher grid (in a script searcher=GridSearch(space, seed)) tries each once"
    )


def _prepare(task: Task) -> None:
    try:
        task.prepare()
    except AshaError:
        raise
    except Exception as error:
        raise TaskError(f"the task cannot be prepared: {type(error).__name__}: {error}") from error


def _displays(setup: Launch) -> list[Observer]:
    """The console, and the warnings that go with one for people."""
    virtual = setup.simulation is not None
    about = setup.title, setup.built.metric, setup.built.unit
    console = make_console(setup.progress, *about, virtual=virtual)
    if virtual or not setup.for_people:
        return [console]
    return [console, SmallBudget()]


def _checkpoint_pruners(setup: Launch) -> list[Observer]:
    budget = setup.safety.checkpoint_budget
    if budget is None:
        return []
    from asha_core.runtime.storage.checkpoint_budget import CheckpointPruner

    return [CheckpointPruner(setup.directory, budget)]


def _write_results(
    setup: Launch, leaderboard: Leaderboard, outcome: Outcome, executor: Executor
) -> dict[str, Any]:
    try:
        checkpoint = keep_best(setup.directory, setup.scheduler)
    except OSError as error:  # such as a full disk: the summary may still fit
        say(f"checkpoints/best.pt cannot be written: {error.strerror}")
        checkpoint = None
    summary = summarise(
        outcome, setup.scheduler, leaderboard, setup.built.metric, checkpoint, unit=setup.built.unit
    )
    if setup.simulation is not None and isinstance(executor, SimulatedExecutor):
        summary["simulated"] = setup.simulation.came_to(setup.scheduler, executor)
    try:
        write_json(setup.directory.results, summary)
    except OSError as error:
        say(
            f"results.json cannot be written: {error.strerror}; everything is in journal.jsonl, and resuming "
            "the search writes it again"
        )
    return summary


def _decider(setup: Launch, clock: Clock) -> Scheduler:
    """The scheduler; in a simulated search perhaps one whose decisions take time."""
    cost = 0.0 if setup.simulation is None else setup.simulation.decision_seconds
    if cost == 0 or not isinstance(clock, VirtualClock):
        return setup.scheduler
    return cast("Scheduler", SlowDecisions(setup.scheduler, cost, clock))


def _executor(setup: Launch, token: str, stop: StopSignal, clock: Clock) -> Executor:
    if setup.simulation is not None and isinstance(clock, VirtualClock):
        return setup.simulation.executor(setup.scheduler, clock)
    chosen = setup.warm_start
    directory, longest = str(setup.directory.path), setup.scheduler.levels[-1]
    settings = WorkerSettings(setup.task, directory, longest, chosen.strategy, chosen.settings)
    if setup.executor is not None:
        return setup.executor(settings, setup.devices.slots)
    if setup.inline:
        return InlineExecutor(settings, setup.devices.slots[0].device, interrupted=stop.asked)
    safety = setup.safety
    return ProcessPool(
        settings,
        setup.devices.slots,
        heartbeat_timeout=safety.heartbeat,
        start_timeout=safety.start,
        token=token,
        preload=setup.built.preload,
    )

"""The beginning of a session at a search: its directory held, its manifest and journal begun or taken up."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asha_core.errors import HopelessError, ResultsError
from asha_core.launch.closing import told_where
from asha_core.launch.types import Launch
from asha_core.runtime.budget import Budget
from asha_core.runtime.replay import (
    EarlierSessions,
    check_max_trials,
    check_same_search,
    devices_of,
    journal_to_resume,
    replay,
)
from asha_core.runtime.storage.journal import DiskFull, JournalContents, JournalGone, JournalWriter
from asha_core.runtime.storage.json_files import read_json, write_json
from asha_core.runtime.storage.lock import RunLock
from asha_core.runtime.storage.manifest import CHECKOUT, hardware, manifest, repository
from asha_core.schedulers.state import Status
from trials.task import FunctionTask, Task
from trials.worker.processes import end_marked


@contextmanager
def held_directory(setup: Launch, token: str) -> Iterator[Launch]:
    """The search with its results directory, made if need be, and held for this process alone.

    It is taken back if an error ends a new search before its first report, unless logs tell why.
    """
    there, fresh = setup.directory.path.exists() and not setup.directory.numbered, False
    directory = setup.directory.claimed()
    lock = RunLock(directory.lock, token)
    try:
        fresh = not directory.begun  # only now: another engine may have begun, and ended, in between
        if not setup.resume:
            directory.check()  # again: since ``launch`` did, another engine may have begun here
        if lock.before is not None:
            end_marked(lock.before)  # what an engine that was killed has left running
        yield replace(setup, directory=directory)
    except Exception as error:
        if fresh and setup.scheduler.units == 0 and not isinstance(error, HopelessError | JournalGone):
            directory.take_back(itself=not there)  # a mount point, or a link, could not be removed
        elif not isinstance(error, JournalGone):
            told_where(error, replace(setup, directory=directory))
        raise
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Session:
    """One engine's work at a search."""

    journal: JournalWriter  # open for its records
    budget: Budget  # with what earlier sessions spent
    held: Sequence[tuple[float, int]]  # when each session began, this one last, and how many devices it held
    earlier: EarlierSessions | None = None  # what earlier sessions did


@contextmanager
def begun_session(setup: Launch) -> Iterator[Session]:
    """Write the manifest and open the journal, or read both and bring the scheduler to where they end."""
    directory = setup.directory
    try:
        contents = journal_to_resume(directory)
        begun = _start(setup) if contents is None else _take_up(setup, contents)
    except (DiskFull, OSError) as error:
        raise ResultsError(f"the search cannot be begun in {directory.path}: {error}") from None
    with closing(begun.journal):
        yield begun


def _start(setup: Launch) -> Session:
    directory = setup.directory
    if directory.begun:  # its engine was killed between manifest and journal
        before = read_json(directory.manifest)
        _decide_as(before, setup)
        check_same_search(before, _manifest(setup), directory.path)
    else:
        write_json(directory.manifest, _manifest(setup))
    directory.journal.unlink(missing_ok=True)  # the torn beginning of its first line, at most
    journal = JournalWriter(directory.journal, virtual=setup.simulation is not None)
    return Session(journal, setup.budget, [(0.0, setup.budget.devices)])


def _take_up(setup: Launch, contents: JournalContents) -> Session:
    before = read_json(setup.directory.manifest)
    _decide_as(before, setup)
    check_same_search(before, _manifest(setup), setup.directory.path, more_trials=setup.scheduler.extends)
    check_max_trials(contents.records, setup.scheduler.max_trials, setup.directory.path)
    devices = devices_of(before, setup.directory.manifest)
    earlier = replay(setup.directory.journal, contents.records, setup.scheduler, devices)
    virtual = setup.simulation is not None
    earlier.record = {
        **({} if virtual else {"created": datetime.now(UTC).isoformat()}),
        "devices": [slot.label for slot in setup.devices.slots],
        "changes": dict(setup.changes),
        "torn": contents.torn,
        **({} if virtual else {"repository": repository(_users_code(setup.built))}),
    }
    if setup.retry_failed:
        earlier.retried = [trial.id for trial in setup.scheduler.trials if trial.status == Status.FAILED]
    resumed = [(record["t"], record["held"]) for record in contents.records if record["type"] == "resume"]
    return Session(
        JournalWriter(setup.directory.journal, contents, virtual=virtual),
        replace(setup.budget, spent=earlier.t, gpu_spent=earlier.device_seconds),
        [(0.0, devices), *resumed, (earlier.t, setup.budget.devices)],
        earlier,
    )


def _decide_as(before: Mapping[str, Any], setup: Launch) -> None:
    """Let the scheduler decide as it did when the search was begun; another one is refused elsewhere."""
    described = before.get("scheduler")
    if isinstance(described, dict) and described.get("name") == setup.scheduler.name:
        setup.scheduler.go_on_as(described)


def _manifest(setup: Launch) -> dict[str, Any]:
    labels = [slot.label for slot in setup.devices.slots]
    chosen = setup.warm_start
    return manifest(
        task={
            "name": setup.name,
            **setup.built.describe(),
            "metric": setup.built.metric,
            "mode": setup.built.mode,
            "unit": setup.built.unit,
            **({"measured_on": setup.built.measured_on} if setup.built.measured_on else {}),
        },
        space=setup.scheduler.space.to_dict(),
        scheduler={**setup.scheduler.describe(), **setup.own_settings},
        variation={
            "name": chosen.name,
            "strategy": chosen.strategy,
            "settings": chosen.settings,
        },
        **({} if setup.simulation is None else {"simulation": setup.simulation.describe()}),
        budget=asdict(setup.budget),
        target=setup.target,
        stop_at=setup.stop_at,
        patience=None if setup.patience is None else asdict(setup.patience),
        repository=repository(_users_code(setup.built)),
        hardware=hardware(labels, list(setup.devices.names)),
        settings=dict(setup.settings),
    )


def _users_code(task: Task) -> Path:
    """Where the user's own code is: the task's file, or of one of our tasks the folder where it runs."""
    kind = task.function if isinstance(task, FunctionTask) else type(task)
    module = sys.modules.get(getattr(kind, "__module__", ""))
    file = Path(getattr(module, "__file__", None) or Path.cwd()).absolute()
    return Path.cwd() if file.is_relative_to(CHECKOUT) else file

"""The beginning of a session at a search: its directory held, its manifest and journal begun or taken up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from asha_core.errors import AshaError, HopelessError, ResultsError
from asha_core.launch.types import Launch
from asha_core.runtime.budget import Budget
from asha_core.runtime.resume import (
    Earlier,
    check_limit,
    check_same,
    devices_of,
    journal_to_go_on_with,
    replay,
)
from asha_core.runtime.storage.journal import DiskFull, JournalContents, JournalWriter
from asha_core.runtime.storage.json_files import read_json, write_json
from asha_core.runtime.storage.lock import RunLock
from asha_core.runtime.storage.results import hardware, manifest
from trials.worker.processes import end_marked


@contextmanager
def held_directory(plan: Launch, token: str) -> Iterator[None]:
    """The results directory, made if need be, and held for this process alone.

    It is taken back if an error ends a new search before its first report, unless logs tell why.
    """
    directory = plan.directory
    there, fresh = directory.path.exists(), False
    directory.make_rooms()
    lock = RunLock(directory.lock, token)
    try:
        fresh = not directory.begun  # only now: another engine may have begun, and ended, in between
        if not plan.resume:
            directory.check()
        if lock.before is not None:
            end_marked(lock.before)  # what an engine that was killed has left running
        yield
    except AshaError as error:
        if fresh and plan.scheduler.units == 0 and not isinstance(error, HopelessError):
            directory.take_back(itself=not there)  # a mount point, or a link, could not be removed
        raise
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Session:
    """One engine's work at a search.

    journal: open for its records. budget: with what earlier sessions spent. earlier: what they did.
    """

    journal: JournalWriter
    budget: Budget
    earlier: Earlier | None = None


@contextmanager
def begun_session(plan: Launch) -> Iterator[Session]:
    """Write the manifest and open the journal, or read both and bring the scheduler to where they end."""
    directory = plan.directory
    try:
        contents = journal_to_go_on_with(directory)
        begun = _start(plan) if contents is None else _take_up(plan, contents)
    except (DiskFull, OSError) as error:
        raise ResultsError(f"the search cannot be begun in {directory.path}: {error}") from None
    with closing(begun.journal):
        yield begun


def _start(plan: Launch) -> Session:
    directory = plan.directory
    if directory.begun:  # its engine was killed between manifest and journal
        check_same(read_json(directory.manifest), _manifest(plan), directory.path)
    else:
        write_json(directory.manifest, _manifest(plan))
    directory.journal.unlink(missing_ok=True)  # the torn beginning of its first line, at most
    return Session(JournalWriter(directory.journal), plan.budget)


def _take_up(plan: Launch, contents: JournalContents) -> Session:
    before = read_json(plan.directory.manifest)
    check_same(before, _manifest(plan), plan.directory.path, more_trials=plan.scheduler.extends)
    check_limit(contents.records, plan.scheduler.max_trials, plan.directory.path)
    devices = devices_of(before, plan.directory.manifest)
    earlier = replay(plan.directory.journal, contents.records, plan.scheduler, devices)
    earlier.record = {
        "created": datetime.now(UTC).isoformat(),
        "devices": [slot.label for slot in plan.devices.slots],
        "changes": dict(plan.changes),
        "torn": contents.torn,
    }
    return Session(
        JournalWriter(plan.directory.journal, contents),
        replace(plan.budget, spent=earlier.t, gpu_spent=earlier.device_seconds),
        earlier,
    )


def _manifest(plan: Launch) -> dict[str, Any]:
    labels = [slot.label for slot in plan.devices.slots]
    chosen = plan.warm_start
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

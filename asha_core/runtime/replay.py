"""From a journal back to the search that wrote it: the same scheduler, rungs, best and time spent.

The scheduler is asked and told what the journal says, in the journal's order. It is deterministic, so it
must answer each ask with the job that the journal has; where it does not, the journal belongs to another
search, or to a version that decided otherwise, and the record is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, JournalError, ResultsError, SettingError
from asha_core.import_paths import is_ours
from asha_core.messages import Event, Job, closes
from asha_core.runtime.audience import raised
from asha_core.runtime.storage.journal import JournalContents, parse_journal
from asha_core.runtime.storage.manifest import PLACE_OPTIONS
from asha_core.runtime.storage.records import Record, job_record, json_values, read_event
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.units import counted, format_duration
from asha_core.schedulers.attempts import is_rejection
from asha_core.schedulers.base import Scheduler
from asha_core.user_files import same_target

_CODE = (("task", "target"), ("variation", "strategy"))
_ANYWHERE = ("slot", "t", "type")


@dataclass(slots=True)
class EarlierSessions:
    """What a journal says has happened, for the session that goes on from there."""

    t: float = 0.0  # seconds spent
    device_seconds: float = 0.0  # devices held times seconds
    sessions: int = 1  # engines that worked at it
    history: list[tuple[float, Job | Event]] = field(default_factory=list)  # with their times
    running: dict[int, Job] = field(default_factory=dict)  # by trial: handed out, and not closed
    reason: str | None = None  # how it ended; None if it was killed
    record: dict[str, Any] = field(default_factory=dict)  # what the new session writes into the journal
    retried: list[int] = field(default_factory=list)  # trials that had failed, and are tried again
    slots: list[int] = field(default_factory=list)  # of each job in the history, in order
    in_between: bool = (
        False  # the journal stops after an event: more of the same moment may have been to come
    )

    def describe(self, scheduler: Scheduler, unit: str) -> str:
        """Where the search is taken up, in one line."""
        how = "was killed" if self.reason is None else f"ended ({self.reason})"
        again = ""
        if self.running:
            goes = "goes" if len(self.running) == 1 else "go"
            again = f"; {counted(len(self.running), 'job')} that ran then {goes} again"
        if self.retried:
            again += f"; {counted(len(self.retried), 'trial')} that failed, tried again"
        elif scheduler.failures:
            failed = counted(scheduler.failures, "trial")
            again += f"; {failed} that failed, not tried again without --retry-failed"
        return (
            f"going on with a search that {how} after {counted(len(scheduler.trials), 'trial')}, "
            f"{counted(scheduler.units, unit)} and {format_duration(self.t)}{again}"
        )


_HEADER = b'{"type": "journal"'
_LONGEST_HEADER = 300


def journal_to_resume(directory: RunDirectory) -> JournalContents | None:
    """The journal of a search to go on with; None if its engine was killed before there was a whole line.

    Raises:
        JournalError: it is damaged, or missing although the search had begun.
    """
    path = directory.journal
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from None
    if b"\n" in data:
        return parse_journal(path, data)
    torn = len(data) < _LONGEST_HEADER and _HEADER.startswith(data[: len(_HEADER)])
    if directory.used or not torn:
        what = "is damaged: it has not one whole line" if data else "is empty or missing"
        raise JournalError(
            f"{path} {what}, and without it the search cannot go on; its trials and checkpoints are there "
            "still"
        )
    return None


def changed_settings(resumptions: Sequence[Record]) -> dict[str, Any]:
    """Settings that later sessions changed, such as a larger budget, by the records with which they began."""
    changes: dict[str, Any] = {}
    for record in resumptions:
        if isinstance(record.get("changes"), dict):
            changes |= record["changes"]
    return changes


def replay(path: Path, records: Sequence[Record], scheduler: Scheduler, held: int = 1) -> EarlierSessions:
    """Bring a fresh scheduler to where the journal ends.

    Args:
        path: the journal, for errors.
        held: devices that the first session held.
    Raises:
        JournalError: the scheduler would have decided otherwise; the message names the line.
    """
    earlier = EarlierSessions()
    for line, record in enumerate(records, start=2):
        try:
            t = float(record["t"])
            earlier.device_seconds += held * max(t - earlier.t, 0.0)
            earlier.t = max(t, earlier.t)
            if record["type"] == "resume":
                held = record["held"]
            _replay_record(earlier, record, scheduler)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JournalError(f"{path}, line {line}, lacks what this version expects: {error!r}") from error
        except AshaError as error:
            raise JournalError(f"{path}, line {line}: {error}") from None
    return earlier


def _replay_record(earlier: EarlierSessions, record: Record, scheduler: Scheduler) -> None:
    earlier.reason, earlier.in_between = None, False
    match record["type"]:
        case "job":
            job = _same_job(record, scheduler)
            earlier.running[job.trial] = job
            earlier.history.append((earlier.t, job))
            earlier.slots.append(record.get("slot", 0))
        case "resume":
            earlier.sessions += 1
        case "end":
            earlier.reason = record["reason"]
        case _:
            event = read_event(record)
            if event is not None:
                with _its_own_errors(scheduler):
                    scheduler.tell(event)
                _close(earlier.running, event)
                earlier.history.append((earlier.t, event))
                earlier.in_between = True


def _same_job(record: Record, scheduler: Scheduler) -> Job:
    with _its_own_errors(scheduler):
        if record["trial"] == len(scheduler.trials) and "configuration" in record:
            configuration = scheduler.space.restored(record["configuration"])
            scheduler.recall(record["trial"], configuration, record["until"])
        job = scheduler.ask()
    there = {name: value for name, value in record.items() if name not in _ANYWHERE}
    others = _others(scheduler)
    if job is None:
        raise JournalError(f"the journal has the job {there}, and the scheduler has none to give{others}")
    ours = {name: value for name, value in job_record(job, 0).items() if name not in _ANYWHERE}
    if ours != there:
        raise JournalError(
            f"the journal has the job {there}, and the scheduler would give {ours}: this is not the search "
            f"that wrote the journal, or its version decided otherwise{others}"
        )
    return job


def _others(scheduler: Scheduler) -> str:
    """Who may decide otherwise without a reason: what learns, and what somebody else wrote."""
    searcher = scheduler.searcher
    found = ""
    if not is_ours(type(scheduler)):
        found += f", or the scheduler {scheduler.name!r} is not deterministic"
    if searcher.learns:
        found += f", or the searcher {searcher.name!r}, which learns, does not propose the same again"
    elif not is_ours(type(searcher)):
        found += f", or the searcher {searcher.name!r} is not deterministic"
    return f"{found}: it has to draw from its seed alone" if found else ""


@contextmanager
def _its_own_errors(scheduler: Scheduler) -> Iterator[None]:
    """What a scheduler or searcher raises, which may be anybody's, is no fault of the journal."""
    try:
        yield
    except AshaError:
        raise
    except Exception as error:
        kinds = f"{type(scheduler).__name__} or {type(scheduler.searcher).__name__}"
        raise SettingError(f"the scheduler or its searcher ({kinds}) raised {raised(error)}") from error


def _close(running: dict[int, Job], event: Event) -> None:
    job = running.get(event.trial)
    if job is not None and closes(event, job):
        del running[event.trial]


def devices_of(manifest: Mapping[str, Any], path: Path) -> int:
    """How many devices the first session held."""
    budget = manifest.get("budget")
    devices = budget.get("devices") if isinstance(budget, dict) else None
    if type(devices) is not int or devices < 1:
        raise ResultsError(f"{path} is damaged: it does not say how many devices were held")
    return devices


def check_max_trials(records: Sequence[Record], max_trials: int | None, directory: Path) -> None:
    """Raise ``ResultsError`` if more trials were begun than may be."""
    if max_trials is None:
        return
    begun: set[int] = set()
    reached: dict[int, int] = {}
    for record in records:
        trial = record.get("trial", -1)
        if record["type"] == "job":
            begun.add(trial)
        elif record["type"] == "report":
            reached[trial] = record.get("resource", 0)
        elif record["type"] == "retried":
            reached[trial] = reached.get(trial, 0) or 1  # its failure counts already
        elif record["type"] in ("rejected", "failed") and _screens_out(record, reached.get(trial, 0)):
            begun.discard(trial)  # it counts nowhere
        if len(begun) > max_trials:
            raise ResultsError(
                f"the search in {directory} has begun more trials than that: max-trials can be raised, and "
                f"not lowered to {max_trials}"
            )


def _screens_out(record: Record, reached: int) -> bool:
    try:
        return is_rejection(read_event(record), reached)
    except (KeyError, TypeError, ValueError, AttributeError):  # replay says which line it is
        return False


def check_same_search(
    before: Mapping[str, Any], now: Mapping[str, Any], directory: Path, *, more_trials: bool = True
) -> None:
    """Raise ``ResultsError`` if the manifest of a directory is of another search than the one to go on with.

    Budget and workers may differ, and where the data lies.

    Args:
        more_trials: whether the number of trials may differ, too.
    """
    by_command = before.get("settings")
    alone = " (--resume with --results-dir alone takes it from there)" if by_command else ""
    written = json_values(now)  # as JSON writes it, such as lists for tuples
    for section, key, old, new in _differences(before, written, ("max_trials",) if more_trials else ()):
        raise ResultsError(
            f"{directory} holds another search: its {section} has {key} {old!r}, and this one {new!r}; give "
            f"what it was begun with{alone}, or another --results-dir"
        )


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], free: Sequence[str]
) -> list[tuple[str, str, Any, Any]]:
    found = []
    for section in ("task", "space", "scheduler", "variation", "simulation"):
        old, new = _flat(before.get(section)), _flat(now.get(section))
        for key in dict.fromkeys([*old, *new]):
            if (section, key) == ("task", "name") or (section == "scheduler" and key in free):
                continue
            one, other = old.get(key), new.get(key)
            if (section, key) == ("task", "options"):
                one, other = _without_place(one), _without_place(other)
            # code in a file, whose folder may have moved
            if (section, key) in _CODE and same_target(str(one), str(other)):
                continue
            if one != other:
                found.append((section, key, one, other))
    return found


def _flat(section: Any) -> dict[str, Any]:
    """A section of a manifest; of a space its dimensions one by one."""
    content = dict(section) if isinstance(section, dict) else {}
    if isinstance(content.get("dimensions"), dict) and "constraints" in content:
        content |= {f"dimension {name}": value for name, value in content.pop("dimensions").items()}
    return content


def _without_place(options: Any) -> Any:
    if isinstance(options, dict):
        return {name: value for name, value in options.items() if name not in PLACE_OPTIONS}
    return options

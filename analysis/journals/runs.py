"""Read a results directory: the journal and the manifest, as arrays and plain objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.stats.arrays import Floats, Ints
from asha_core.errors import ResultsError
from asha_core.messages import Failed, Finished, Lost, Refined, Rejected, Retried
from asha_core.runtime.storage.journal import JournalContents, read_journal
from asha_core.runtime.storage.json_files import read_json
from asha_core.runtime.storage.manifest import PLACE_OPTIONS
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.storage.records import Record, read_event, read_number
from asha_core.runtime.units import counted
from asha_core.schedulers.attempts import job_ended
from asha_core.schedulers.state import Status, improves

_SCHEMA = 1  # of run.json
_OF_TRIALS = ("report", "finished", "refined", "rejected", "failed", "lost", "retried")


@dataclass(slots=True)
class TrialHistory:
    """One trial, from proposal to its last report; lists have one entry a reported unit."""

    id: int
    proposed: dict[str, Any]  # by the searcher
    configuration: dict[str, Any]  # as it was trained: after the warm start
    first: int  # the level at which it is first compared
    resources: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    order: list[int] = field(default_factory=list)  # the report's index in the run's arrays
    seconds: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)  # of each unit; empty where not recorded
    warm_start_seconds: float = 0.0
    warm_start_costs: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)  # of its first warm start
    # what it was trained with up to which unit, where a warm start changed that on the way
    before: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    state: str = "running"  # or "paused", "done", "finished" (early, by itself), "failed", "rejected"
    finishes: int = 0  # the unit after which it stopped early, by itself; 0 if it did not
    faults: int = 0  # how often its worker died or hung
    retried: bool = False  # it had failed, and was tried again
    alone: bool = False  # it ran out of memory once, and then had its device for itself

    @property
    def reached(self) -> int:
        """The last unit reported; 0 if none."""
        return self.resources[-1] if self.resources else 0

    def trained_with(self, unit: int) -> dict[str, Any]:
        """The configuration that it trained a unit with."""
        return next((each for until, each in self.before if unit <= until), self.configuration)


@dataclass(frozen=True, slots=True)
class Session:
    """The work of one engine at a run: the first, or one that resumed it."""

    start: float  # seconds since the search began, of all sessions together
    held: int  # devices
    slots: int  # workers


class FromManifest:
    """What a run.json says of its task, space and devices."""

    __slots__ = ()
    manifest: dict[str, Any]

    @property
    def mode(self) -> str:
        """Whether larger values are better ("max") or smaller ("min")."""
        return str(self.manifest["task"]["mode"])

    @property
    def metric(self) -> str:
        """The metric's name."""
        return str(self.manifest["task"]["metric"])

    @property
    def unit(self) -> str:
        """The name of a unit of resource."""
        return str(self.manifest["task"]["unit"])

    @property
    def measured_on(self) -> str:
        """What values were measured on; empty: validation data."""
        return str(self.manifest["task"].get("measured_on") or "")

    @property
    def on_gpu(self) -> bool:
        """Whether the devices were GPUs."""
        return bool(self.manifest["hardware"]["gpus"])

    @property
    def dimensions(self) -> dict[str, dict[str, Any]]:
        """The search space: each dimension's description by its name."""
        return dimensions_of(self.manifest)

    @property
    def searched(self) -> dict[str, dict[str, Any]]:
        """The dimensions that are no constants."""
        return {name: told for name, told in self.dimensions.items() if told["type"] != "constant"}


@dataclass(frozen=True, slots=True)
class Run(FromManifest):
    """One search. Arrays have one entry a report, shape (N,), in order of arrival."""

    directory: Path
    manifest: dict[str, Any]
    records: list[Record]
    trials: dict[int, TrialHistory]
    t: Floats  # seconds since the search began
    trial: Ints
    resource: Ints
    value: Floats  # the metric as reported, NaN and infinities included
    units: Ints  # units of resource spent by all trials, up to and including this report
    seconds: Floats  # training time of each report
    end: float  # seconds at which the search ended, or of the last record if it was killed
    reason: str  # "complete", "budget", "interrupted", "error", or "killed" if the journal has no end
    torn: bool  # the journal's last line was
    sessions: list[Session]
    schema: int = 2  # of the journal

    def __repr__(self) -> str:
        numbers = f"{counted(len(self.trials), 'trial')}, {counted(len(self.t), 'report')}"
        return f"<Run {self.directory}: {numbers}, {self.reason}>"

    @property
    def brackets(self) -> list[int]:
        """The levels at which trials begin to be compared: one a bracket."""
        return list(self.manifest["scheduler"].get("brackets", self.levels[:1]))

    @property
    def levels(self) -> list[int]:
        """The rungs' levels."""
        return list(self.manifest["scheduler"]["levels"])

    @property
    def slots(self) -> int:
        """How many workers there were, in the last session."""
        return self.sessions[-1].slots

    def device_seconds(self, t: float) -> float:
        """Devices held times wall-clock, up to ``t`` seconds."""
        return sum(session.held * seconds for session, seconds in self._until(t))

    def worker_seconds(self, t: float) -> float:
        """Workers times wall-clock, up to ``t`` seconds."""
        return sum(session.slots * seconds for session, seconds in self._until(t))

    def _until(self, t: float) -> list[tuple[Session, float]]:
        """Each session, and how many of its seconds lie before ``t``."""
        ends = [*(session.start for session in self.sessions[1:]), math.inf]
        return [
            (session, max(min(end, t) - session.start, 0.0))
            for session, end in zip(self.sessions, ends, strict=True)
        ]

    @property
    def problem(self) -> str:
        """The task, and its options but for where its data lies: "cifar10 (subset=0.1)"."""
        return problem_of(self.manifest)

    @property
    def name(self) -> str:
        """What was run, in a few words."""
        return name_of(self.manifest)


def problem_of(manifest: Mapping[str, Any]) -> str:
    """What is solved, by a run.json: the task, and its options but for where its data lies."""
    task = manifest["task"]
    options = task.get("options") or {}
    told = [f"{name}={value}" for name, value in options.items() if name not in PLACE_OPTIONS]
    return f"{task['name']} ({', '.join(told)})" if told else str(task["name"])


def name_of(manifest: Mapping[str, Any]) -> str:
    """What was run, in a few words, by a run.json."""
    scheduler, variation = manifest["scheduler"], manifest["variation"]
    return f"{problem_of(manifest)}, {scheduler['name']} {variation['name']}, seed {scheduler['seed']}"


def dimensions_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The search space of a run.json: each dimension's description by its name."""
    space = manifest["space"]
    return dict(space["dimensions"]) if "constraints" in space else dict(space)  # before 0.2


def unlike(runs: Sequence[Run]) -> str | None:
    """What is to be said of runs whose values and times cannot be compared; None: they can be."""
    problems = list(dict.fromkeys(run.problem for run in runs))
    if len(problems) < 2:
        return None
    return (
        f"these searches are of different problems, {'; '.join(problems)}: neither their values nor their "
        "times to a target can be compared"
    )


def labels(runs: Sequence[Run]) -> list[str]:
    """A name for each run; with its directory where two would have the same."""
    names = [run.name for run in runs]
    return [
        f"{name} ({run.directory.name})" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def load_run(directory: str | Path) -> Run:
    """Read one run.

    Raises:
        ResultsError: no manifest, or a damaged one.
        JournalError: no journal, or a damaged one.
    """
    directory = user_path(directory, "the results directory")
    manifest = read_json(directory / "run.json")
    if manifest.get("schema", _SCHEMA) != _SCHEMA:
        raise ResultsError(
            f"{directory / 'run.json'} has schema {manifest['schema']!r}: this version reads schema "
            f"{_SCHEMA}; use the version that wrote it, or a newer one"
        )
    journal = read_journal(directory / "journal.jsonl")
    try:
        run = _assemble(directory, manifest, journal)
        # what a report asks of the manifest: here, where it can be said which file is wrong
        _ = run.mode, run.metric, run.unit, run.name, run.dimensions, run.brackets, run.levels, run.on_gpu
        return run
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{directory}: run.json or journal.jsonl lacks what this version expects ({error})"
        ) from error


def _assemble(directory: Path, manifest: dict[str, Any], journal: JournalContents) -> Run:
    records = journal.records
    trials: dict[int, TrialHistory] = {}
    rows: list[tuple[float, int, int, float, int, float]] = []
    units = 0
    sessions = [Session(0.0, manifest["budget"]["devices"], len(manifest["hardware"]["devices"]))]
    end, reason = (float(records[-1]["t"]) if records else 0.0), "killed"
    last_level = manifest["scheduler"]["levels"][-1]
    for record in records:
        kind = record["type"]
        if kind == "job":
            if record["trial"] not in trials:
                given = record["configuration"]
                trials[record["trial"]] = TrialHistory(record["trial"], given, given, record["until"])
        elif kind == "end":
            end, reason = float(record["t"]), record["reason"]
        elif kind == "resume":
            end, reason = float(records[-1]["t"]), "killed"
            sessions.append(Session(float(record["t"]), record["held"], len(record["devices"])))
        elif kind in _OF_TRIALS:
            trial = trials[record["trial"]]
            if kind != "report":
                _take_event(trial, record, manifest["scheduler"]["max_retries"])
            elif record["resource"] > trial.reached:  # repeated units count once, as in the scheduler
                units += record["resource"] - trial.reached
                value, seconds = read_number(record["value"]), float(record["seconds"])
                trial.resources.append(record["resource"])
                trial.values.append(value)
                trial.order.append(len(rows))
                trial.seconds.append(seconds)
                trial.metrics.append(read_numbers(record.get("metrics")))
                trial.costs.append(read_numbers(record.get("costs")))
                early = "finished" if trial.reached == trial.finishes else "paused"
                trial.state = "done" if trial.reached == last_level else early
                rows.append((record["t"], trial.id, trial.reached, value, units, seconds))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    return Run(
        directory=directory,
        manifest=manifest,
        records=records,
        trials=trials,
        t=np.array(columns[0], dtype=np.float64),
        trial=np.array(columns[1], dtype=np.int64),
        resource=np.array(columns[2], dtype=np.int64),
        value=np.array(columns[3], dtype=np.float64),
        units=np.array(columns[4], dtype=np.int64),
        seconds=np.array(columns[5], dtype=np.float64),
        end=end,
        reason=reason,
        torn=journal.torn,
        sessions=sessions,
        schema=journal.header["schema"],
    )


def read_numbers(entries: Mapping[str, Any] | None) -> dict[str, float]:
    """A record's metrics or costs; empty if it has none. Do not change it: it may be the record's own."""
    if not entries:
        return {}
    if type(entries) is dict and str not in map(type, entries.values()):  # nearly always, and much faster
        return entries
    return {name: read_number(value) for name, value in entries.items()}


def _together(before: Mapping[str, float], more: dict[str, float]) -> dict[str, float]:
    """Costs of two: sums, and of numbers of bytes the greater one."""
    joined = {name: before.get(name, 0.0) + amount for name, amount in more.items()}
    joined |= {name: max(before.get(name, 0), more[name]) for name in more if name.endswith("_bytes")}
    return {**before, **joined} if before else more


def _take_event(trial: TrialHistory, record: Record, max_retries: int) -> None:
    """What an event other than a report makes of its trial, by the scheduler's own rules."""
    event = read_event(record)
    if isinstance(event, Refined):
        if event.resource:
            trial.before.append((event.resource, trial.configuration))
        trial.configuration = record["configuration"]
        trial.diagnostics = trial.diagnostics or record["diagnostics"]
        trial.warm_start_seconds += event.seconds
        trial.warm_start_costs = _together(trial.warm_start_costs, read_numbers(record.get("costs")))
    elif isinstance(event, Finished):
        trial.finishes = event.resource
        if trial.reached >= event.resource:  # else its report follows
            trial.state = "finished"
    elif isinstance(event, Retried):
        trial.state = "paused" if trial.reached else "running"
        trial.faults, trial.alone, trial.retried = 0, False, True
    elif isinstance(event, Rejected | Failed | Lost):
        trial.finishes = 0
        trial.warm_start_seconds += event.seconds if isinstance(event, Rejected) else 0.0
        status, trial.faults, trial.alone = job_ended(
            event,
            reached=trial.reached or trial.retried,
            faults=trial.faults,
            alone=trial.alone,
            max_retries=max_retries,
        )
        if status != Status.WAITING:
            trial.state = status.name.lower()


def best_value(trial: TrialHistory, mode: str) -> tuple[float, int, int]:
    """(best finite value, the unit at which it came, its place among all reports); (NaN, 0, 0) if none."""
    best, at, place = math.nan, 0, 0
    for value, resource, order in zip(trial.values, trial.resources, trial.order, strict=True):
        if improves(value, best, mode):
            best, at, place = value, resource, order
    return best, at, place

"""One search of a study in virtual time, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from analysis.study.curve_table import CurveTable
from analysis.study.simulated_runs import STATES, SimulatedRun, failed_run
from asha_core.errors import AshaError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import scheduler_for, split_variation
from asha_core.runtime.units import parse_duration
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status, TrialState
from asha_core.searchers.drawn_rows import drawn_rows
from asha_core.simulation.curves import Curves
from asha_core.simulation.drawn_table import DrawnTable, RowFinder
from asha_core.simulation.simulate import Simulated, check_fits, simulate
from asha_core.study.planned_runs import PlannedRun

_STATE = {name: number for number, name in enumerate(STATES)}


@dataclass(frozen=True)
class LoadedTable:
    """A table of a study, loaded once by each process.

    Attributes:
        path: of the file.
        study_seed: decides, with the seed of a search, which rows that one meets.
    """

    path: Path
    study_seed: int = 0

    def __reduce__(self) -> tuple[type[LoadedTable], tuple[Path, int]]:
        """Another process loads it by itself."""
        return LoadedTable, (self.path, self.study_seed)

    @cached_property
    def curves(self) -> Curves:
        """The table."""
        return Curves.load(self.path)

    @cached_property
    def arrays(self) -> CurveTable:
        """The same as arrays."""
        return CurveTable.read(self.path)

    def drawn(self, seed: int) -> DrawnTable:
        """What a search of this seed meets, whatever its arm and scheduler."""
        return DrawnTable(self.curves, drawn_rows(self.study_seed, seed, len(self.curves)))


@dataclass(frozen=True, slots=True)
class _Problem:
    """What a scheduler is made for, in the place of a task."""

    space: Any
    mode: str
    min_resource: int
    max_resource: int
    reduction_factor: int = 3


def simulated_scheduler(options: Mapping[str, Any], curves: Curves) -> Scheduler:
    """The scheduler that the options of a run ask for.

    Raises:
        AshaError: it cannot be had, or does not fit the table.
    """
    whole = {**parse_arguments([]), **options}
    name, arm = split_variation(whole["variation"], whole["scheduler"])
    if arm not in curves.arms:
        raise SettingError(f"the table has no arm {arm!r}: it was recorded with {', '.join(curves.arms)}")
    problem = _Problem(curves.space, curves.mode, curves.units[0], curves.units[-1])
    scheduler = scheduler_for(whole, name, problem, None)
    if whole["max_trials"] is None:
        scheduler.max_trials = len(curves)
    check_fits(scheduler, curves)
    return scheduler


def time_limit(options: Mapping[str, Any]) -> float:
    """Virtual seconds that a run may take; infinite without a budget."""
    limits = [parse_duration(options["budget"])] if "budget" in options else []
    limits += [options["gpu_hours"] * 3600 / workers_of(options)] if "gpu_hours" in options else []
    return min(limits, default=math.inf)


def workers_of(options: Mapping[str, Any]) -> int:
    """Slots of a run."""
    return int(options.get("workers", 1))


def simulated_run(run: PlannedRun, table: LoadedTable) -> SimulatedRun:
    """Run it. A scheduler that cannot go on ends this run, and no other."""
    options = run.options
    limit, drawn = time_limit(options), table.drawn(run.seed)
    try:
        found = simulate(
            simulated_scheduler(options, table.curves),
            drawn,
            workers=workers_of(options),
            arm=split_variation(options["variation"], options["scheduler"])[1],
            budget=None if math.isinf(limit) else limit,
            stop_at=options.get("stop_at"),
            decision_seconds=options.get("decision_seconds", 0.0),
        )
    except AshaError as error:
        return failed_run(run.id, str(error))
    assert drawn.made is not None
    return _kept(run.id, found, drawn.made, table.arrays, table.arrays.arms.index(drawn.made.arm))


def _kept(id: str, found: Simulated, finder: RowFinder, table: CurveTable, arm: int) -> SimulatedRun:
    """What stays of a search."""
    trials, levels = found.scheduler.trials, found.scheduler.levels
    row = np.array([finder.found[trial.id] for trial in trials], dtype=np.int64)
    reached = np.array([trial.resource for trial in trials], dtype=np.int64)
    place = table.place(reached)
    reported = np.arange(len(table.units)) < place[:, None]
    return SimulatedRun(
        id=id,
        reason={"target": "stop_at"}.get(found.reason, found.reason),
        seconds=found.seconds,
        training=float(table.elapsed[arm, row, place].sum()),
        warm_start=found.warm_start_seconds,
        unit_seconds=float(np.median(table.seconds[arm, row][reported])) if reported.any() else 0.0,
        times=np.array(found.times, np.float64),
        values=np.array(found.values, np.float64),
        spent=np.array(found.spent, np.int64),
        warmed=np.array(found.warmed, np.float64),
        by=np.array(found.by, np.int64),
        row=row,
        state=np.array([_STATE[_state(trial, levels[-1])] for trial in trials], np.uint8),
        reached=reached,
        first=np.array([levels[trial.first] for trial in trials], np.int64),
    )


def _state(trial: TrialState, last: int) -> str:
    """As a journal's reader has it."""
    if trial.status in (Status.FAILED, Status.REJECTED):
        return trial.status.name.lower()
    if trial.resource == last:
        return "done"
    return "finished" if trial.finished else "paused" if trial.resource else "running"

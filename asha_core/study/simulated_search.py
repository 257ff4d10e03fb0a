"""One search of a study in virtual time, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from analysis.study.curve_table import CurveTable
from analysis.study.simulated_runs import STATES, SimulatedRun, failed_run
from asha_core.errors import AshaError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.registries import EXECUTOR, SCHEDULER
from asha_core.launch.replaceable import make_scheduler, make_searcher
from asha_core.launch.resolve import split_variation
from asha_core.runtime.units import counted, parse_duration
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status, TrialState
from asha_core.searchers.drawn_rows import drawn_rows
from asha_core.simulation.curve_options import CurveOptions
from asha_core.simulation.curves import Curves
from asha_core.simulation.drawn_table import DrawnTable
from asha_core.simulation.faults import Faults
from asha_core.simulation.simulate import Simulated, simulate
from asha_core.simulation.table_finder import TableFinder
from asha_core.simulation.virtual_workers import check_fits
from asha_core.study.planned_runs import PlannedRun

if TYPE_CHECKING:
    from asha_core.simulation.curve import CurveSource

_AS_RECORDED = CurveOptions()
_RUNGS = ("min_resource", "max_resource", "reduction_factor")
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

    def drawn(self, seed: int, options: CurveOptions = _AS_RECORDED) -> DrawnTable:
        """What a search of this seed meets, whatever its arm and scheduler."""
        rows = drawn_rows(self.study_seed, seed, len(self.curves))
        return DrawnTable(self._charged(options), rows, resample=options.resample)

    def _charged(self, options: CurveOptions) -> Curves:
        """The table at a price, made once."""
        cost = options.warm_start_cost
        if cost not in self._at_price:
            self._at_price[cost] = cast("Curves", options.charged(cast("CurveSource", self.curves)))
        return self._at_price[cost]

    @cached_property
    def _at_price(self) -> dict[float, Curves]:
        return {}


def simulated_scheduler(options: Mapping[str, Any], curves: Curves) -> Scheduler:
    """The scheduler that the options of a run ask for.

    Raises:
        AshaError: it cannot be had, or does not fit the table.
    """
    whole = {**_usual_options(), **options}
    size = None if curve_options(options).resample else len(curves)
    asked = {key: whole[key] for key in (*_RUNGS, "max_trials") if whole[key] is not None}
    name = split_variation(whole["variation"], whole["scheduler"])[0]
    searcher = whole["searcher"] or getattr(SCHEDULER.load(name), "usual_searcher", "random")
    if searcher != "random":
        asked["searcher"] = make_searcher(searcher, curves.space, whole["seed"], whole["searcher_option"])
    elif size is not None and asked.get("max_trials", 0) > size:
        raise SettingError(
            f"max-trials is {asked['max_trials']}, and the table has {counted(size, 'configuration')}: give "
            f"at most {size}, or curves-option resample=true, with which they come again"
        )
    usual: dict[str, Any] = {"mode": curves.mode, "min_resource": curves.units[0]}
    usual |= {"max_resource": curves.units[-1], "reduction_factor": 3}
    usual |= {"max_trials": len(curves), "seed": whole["seed"], "max_retries": whole["max_retries"]}
    scheduler = make_scheduler(name, curves.space, asked, usual, whole["scheduler_option"])
    check_fits(scheduler, cast("CurveSource", curves))
    _faults(options, whole["seed"])
    return scheduler


@cache
def _usual_options() -> dict[str, Any]:
    return parse_arguments([])


def curve_options(options: Mapping[str, Any]) -> CurveOptions:
    """How the table is used.

    Raises:
        SettingError: an option that there is not, or a value that is not allowed.
    """
    return CurveOptions.read(options.get("curves_option"))


def _faults(options: Mapping[str, Any], seed: int) -> Faults | None:
    """What goes wrong on purpose.

    Raises:
        SettingError: a setting that there is not, or out of its range.
    """
    own = dict(options.get("executor_option", {}))
    EXECUTOR.check_settings(Faults, own, "faults", given=(seed,))
    return Faults(seed, **own) if own else None


def decision_seconds(options: Mapping[str, Any]) -> float:
    """What each decision takes.

    Raises:
        SettingError: as long as it really takes, which no study can repeat.
    """
    given = options.get("decision_seconds")
    if given == "measured":
        raise SettingError(
            "decision-seconds is measured: no two searches would be alike; give a study none, or seconds"
        )
    return 0.0 if given in (None, "none") else float(given)


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
    limit = time_limit(options)
    try:
        drawn = table.drawn(run.seed, curve_options(options))
        found = simulate(
            simulated_scheduler(options, table.curves),
            drawn,
            workers=workers_of(options),
            arm=split_variation(options["variation"], options["scheduler"])[1],
            budget=None if math.isinf(limit) else limit,
            stop_at=options.get("stop_at"),
            patience=options.get("patience"),
            decision_seconds=decision_seconds(options),
            faults=_faults(options, run.seed),
        )
    except AshaError as error:
        return failed_run(run.id, str(error))
    assert drawn.made is not None
    return _kept(run.id, found, drawn.made, table.arrays, table.arrays.arms.index(drawn.made.arm))


def _kept(id: str, found: Simulated, finder: TableFinder, table: CurveTable, arm: int) -> SimulatedRun:
    """What stays of a search."""
    trials, levels = found.scheduler.trials, found.scheduler.levels
    row = np.array([finder.found[trial.id] for trial in trials], dtype=np.int64)
    reached = np.array([trial.resource for trial in trials], dtype=np.int64)
    place = table.place(reached)
    warmed = arm in table.warmed
    reported = np.arange(len(table.units)) < place[:, None]
    return SimulatedRun(
        id=id,
        reason=found.reason,
        seconds=found.seconds,
        training=float(table.elapsed[arm, row, place].sum()),
        warm_start=found.warm_start_seconds,
        unit_seconds=float(np.median(table.seconds[arm, row][reported])) if reported.any() else 0.0,
        times=np.array(found.times, np.float64),
        values=np.array(found.values, np.float64),
        spent=np.array(found.spent, np.int64),
        warmed=np.array(found.warmed, np.float64),
        by=np.array(found.by, np.int64),
        begun=np.array(found.begun, np.int64),
        row=row,
        state=np.array([_STATE[_state(trial, levels[-1], warmed)] for trial in trials], np.uint8),
        reached=reached,
        first=np.array([levels[trial.first] for trial in trials], np.int64),
    )


def _state(trial: TrialState, last: int, warmed: bool) -> str:
    """As a journal's reader has it."""
    if trial.status in (Status.FAILED, Status.REJECTED):
        return trial.status.name.lower()
    if trial.resource == last:
        return "done"
    if trial.resource or trial.finished:
        return "finished" if trial.finished else "paused"
    return "running" if trial.refined or not warmed else "warming"

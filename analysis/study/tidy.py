"""A study as tidy tables: one row a run, a trial, an improvement, a target or a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.journals.replicate import Replicate, area_under_curve, time_to_target
from analysis.journals.runs import load_run
from analysis.journals.trial_table import floats, objects
from analysis.study.loading import Study, load_study
from analysis.study.problems import Problem
from asha_core.errors import SettingError
from asha_core.runtime.budget import MEASURES
from asha_core.runtime.units import counted

Table = dict[str, NDArray[Any]]
_OF_A_RUN = (
    *("experiment", "task", "scheduler", "variation", "metric", "mode", "unit"),
    *("reason", "sessions", "schema", "torn"),
)
TABLES = ("runs", "trials", "improvements", "targets", "reports")


class Tables:
    """The tables of a study. Each is a dict of columns, arrays of the same length; texts are objects.

    All have ``run``, ``group``, ``arm`` and ``seed``. Runs that are left out of comparisons are there, too,
    with ``used`` False in ``runs``; those that cannot be read are in ``problems`` alone. NaN, None or ""
    stand where there is nothing.

    Args:
        study: as ``load_study`` gives it.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._used = [True] * len(study.replicates) + [False] * len(study.left_out)
        self._replicates = [*study.replicates, *study.left_out]

    def __repr__(self) -> str:
        return f"<Tables {', '.join(TABLES)}: {counted(len(self._replicates), 'run')}>"

    @property
    def problems(self) -> list[Problem]:
        """All that is to be said of the runs."""
        return self.study.problems

    @cached_property
    def runs(self) -> Table:
        """One row a run.

        used, experiment, task, scheduler, variation, metric, mode, unit; reason (how it ended), sessions,
        schema (of the journal), torn; seconds, gpu_hours, units (trained, and warm starts expressed in
        units), trained_units; trials, rejected, failed; best, best_after_seconds, auc (mean of the best value
        up to the group's horizon, in the study's measure; if larger values are better); test, test_loss;
        training_seconds, warm_start_seconds, starting_seconds, waiting_seconds (of workers).
        ``cost.*``: sums over units; ``warm_start_cost.*``: over warm starts; ``peak.*``: greatest numbers of
        bytes; ``setting.*``: of the warm start.
        """
        horizons = {group: self.study.horizon(group) for group in self.study.groups}
        rows = [
            _run_row(each, used, horizons.get(each.group), self.study)
            for each, used in zip(self._replicates, self._used, strict=True)
        ]
        return _columns(rows)

    @cached_property
    def trials(self) -> Table:
        """One row a trial: the columns of ``trial_table.trial_columns``, its ``id`` as ``trial``."""
        parts = []
        for each in self._replicates:
            columns = {name: column for name, column in each.trials.items() if name != "id"}
            parts.append({"trial": each.trials["id"], **columns, "state": columns["state"].astype(object)})
        return _stacked(self._replicates, parts)

    @cached_property
    def improvements(self) -> Table:
        """One row an improvement of a run's best value.

        Columns: seconds, gpu_hours, units and trained_units, spent until then; value; and trial, whose it is.
        """
        parts = [
            {
                "seconds": each.curve.t,
                "gpu_hours": each.gpu_hours,
                "units": each.spent_units,
                "trained_units": each.curve.units,
                "value": each.curve.value,
                "trial": each.curve.trial,
            }
            for each in self._replicates
        ]
        return _stacked(self._replicates, parts)

    @cached_property
    def targets(self) -> Table:
        """One row a run and target: ``target``; ``seconds``, ``gpu_hours``, ``units`` until it was reached.

        ``reached`` says whether it was; if not, they are what the run spent in all, and the time is
        censored there. For comparisons within a group use ``Study.times``, which censors all runs alike.
        """
        parts = []
        for each in self._replicates:
            targets = each.targets
            told = {m: [time_to_target(each, target, m)[0] for target in targets] for m in MEASURES}
            reached = [not time_to_target(each, target)[1] for target in targets]
            part: Table = {"target": floats(targets), "reached": np.array(reached, dtype=np.bool_)}
            parts.append(part | {measure: floats(values) for measure, values in told.items()})
        return _stacked(self._replicates, parts)

    @cached_property
    def reports(self) -> Table:
        """One row a report, from the journals, which are read again for this.

        t (seconds since the search began), trial, resource, value, trained_units (of all trials so far),
        seconds (of this unit), ``metric.*``, ``cost.*``.
        """
        return _stacked(self._replicates, [_reports_of(each) for each in self._replicates])

    def table(self, name: str) -> Table:
        """One of the tables by its name.

        Raises:
            SettingError: there is none of this name.
        """
        if name not in TABLES:
            raise SettingError(f"there is no table {name!r}: take one of {', '.join(TABLES)}")
        found: Table = getattr(self, name)
        return found

    def frame(self, name: str = "runs") -> Any:
        """A table as a pandas DataFrame.

        Raises:
            SettingError: there is no table of this name, or pandas is not installed.
        """
        return as_frame(self.table(name), f"Tables.{name}")


def as_frame(table: Table, arrays: str) -> Any:
    """A table as a pandas DataFrame.

    Args:
        arrays: where the same is to be had without pandas.
    Raises:
        SettingError: pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        raise SettingError(
            f"pandas is not installed: pip install pandas, or use the arrays in {arrays}"
        ) from None
    return pandas.DataFrame(table)


def load(paths: str | Path | Sequence[str | Path], processes: int | None = None) -> Tables:
    """Read a study's directory, a run's, or a folder that holds runs, as tidy tables.

    Args:
        processes: how many read; by default as many as there are cores, if there is enough to read.
    Raises:
        ResultsError: a path holds no runs, study.json is damaged, or there is one run and it cannot be read.

    >>> tables = load("results/digits")  # doctest: +SKIP
    >>> tables.runs["best"][tables.runs["arm"] == "baseline"].mean()  # doctest: +SKIP
    0.9876
    >>> tables.frame("trials").groupby("arm")["best"].median()  # doctest: +SKIP
    """
    return Tables(load_study(paths, processes))


def _run_row(each: Replicate, used: bool, horizon: float | None, study: Study) -> dict[str, Any]:
    states = each.trials["state"].tolist()
    found = len(each.curve.value) > 0
    counted = used and horizon is not None and each.mode == "max" and found
    return {
        "run": each.id,
        **{name: getattr(each, name) for name in ("group", "arm", "seed")},
        "used": used,
        **{name: getattr(each, name) for name in _OF_A_RUN},
        **{measure: each.ends[measure] for measure in MEASURES},
        "trained_units": int(each.trials["reached"].sum()),
        "trials": len(states) - states.count("rejected"),
        "rejected": states.count("rejected"),
        "failed": states.count("failed"),
        "best": each.best,
        "best_after_seconds": float(each.curve.t[-1]) if found else math.nan,
        "auc": area_under_curve(each, horizon, study.measure) if counted else math.nan,
        "test": each.test,
        "test_loss": each.test_loss,
        **{f"{name}_seconds": seconds for name, seconds in asdict(each.split).items()},
        **_under("cost", each.costs),
        **_under("warm_start_cost", each.warm_start_costs),
        **_under("peak", each.peaks),
        **_under("setting", each.settings),
    }


def _under(prefix: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in entries.items()}


def _reports_of(each: Replicate) -> Table:
    if each.table is not None:
        raise SettingError(
            f"{each.id} was simulated, and keeps no reports: they are those of the table {each.table}, by "
            "trials' rows"
        )
    run = load_run(each.directory)
    metrics: list[dict[str, float]] = [{}] * len(run.t)
    costs: list[dict[str, float]] = [{}] * len(run.t)
    for trial in run.trials.values():
        for place, own_metrics, own_costs in zip(trial.order, trial.metrics, trial.costs, strict=True):
            metrics[place], costs[place] = own_metrics, own_costs
    table: Table = {
        "t": run.t,
        "trial": run.trial,
        "resource": run.resource,
        "value": run.value,
        "trained_units": run.units,
        "seconds": run.seconds,
    }
    for kind, entries in (("metric", metrics), ("cost", costs)):
        for name in dict.fromkeys(name for entry in entries for name in entry):
            table[f"{kind}.{name}"] = floats(entry.get(name, math.nan) for entry in entries)
    return table


def _columns(rows: Sequence[dict[str, Any]]) -> Table:
    """Rows as columns: numbers as arrays of their kind, all else as objects."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: list[Any]) -> NDArray[Any]:
    kinds = {type(value) for value in values}
    if kinds in ({bool}, {int}):
        return np.array(values)
    if kinds <= {int, float, type(None)}:
        return floats(math.nan if value is None else value for value in values)
    return objects(values)


def _stacked(replicates: Sequence[Replicate], parts: Sequence[Table]) -> Table:
    """Tables of several runs below each other, and whose they are; NaN or None where a run lacks a column."""
    lengths = [len(next(iter(part.values()))) for part in parts]
    whose = {
        "run": [each.id for each in replicates],
        "group": [each.group for each in replicates],
        "arm": [each.arm for each in replicates],
    }
    table: Table = {name: np.repeat(objects(values), lengths) for name, values in whose.items()}
    table["seed"] = np.repeat(np.array([each.seed for each in replicates], dtype=np.int64), lengths)
    kinds = {name: column.dtype for part in parts for name, column in part.items()}
    for name, kind in kinds.items():
        missing = np.full(max(lengths), None if kind.kind == "O" else math.nan)
        columns = [part.get(name, missing[:length]) for part, length in zip(parts, lengths, strict=True)]
        table[name] = np.concatenate(columns)
    return table

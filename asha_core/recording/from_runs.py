"""A table of curves out of the journals of searches.

Two searches of one seed have the same configuration as trial i, with the same initial weights and batches, so
(seed, trial) is a row, and the warm starts are the arms.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from analysis.journals.runs import Run, TrialHistory, problem_of
from asha_core.errors import SettingError
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.units import counted
from asha_core.simulation.curves import Curves
from asha_core.simulation.plain_space import plain_space
from asha_core.space import SearchSpace

Row = tuple[int, int, str]  # seed, trial, and the configuration as it was proposed
_KINDS = {
    "failed": "failed",
    "rejected": "rejected",
    "finished": "finished",
}  # a trial's state -> how it ended


@dataclass(frozen=True, slots=True)
class Recorded:
    """A table, and what its maker should know."""

    curves: Curves
    notes: list[str]  # such as what was left out


@dataclass(frozen=True, slots=True)
class _Found:
    """The curve of one configuration under one arm."""

    trial: TrialHistory
    why: str
    batches: float  # mini-batches that the warm start took


@dataclass(slots=True)
class _Sorted:
    """Curves by arm and row, and what was left out on the way."""

    arms: dict[str, dict[Row, _Found]] = field(default_factory=dict)
    silent: int = 0  # trials without any report that did not fail
    again: int = 0  # trials that were in several searches


def curves_of(
    runs: Sequence[Run],
    *,
    space: SearchSpace | None = None,
    first: int | None = None,
    source: Mapping[str, Any] | None = None,
) -> Recorded:
    """The table of these searches.

    Args:
        runs: at least one; all of one problem.
        space: theirs; by default as run.json has it.
        first: trials with numbers from here on are left out.
        source: how it is made, for people.
    Raises:
        SettingError: they are of several problems or spaces, or no configuration is in all arms.
    """
    _check_alike(runs)
    found, names = _Sorted(), _arm_names(runs)
    for run, arm in zip(runs, names, strict=True):
        _check_constant(run)
        _take(run, found.arms.setdefault(arm, {}), found, first)
    shared = set.intersection(*(set(rows) for rows in found.arms.values()))
    rows = sorted(shared)
    if not any(arm[row].trial.resources for row in rows for arm in found.arms.values()):
        raise SettingError(_nothing(runs, found, shared))
    notes = _left_out(found, len(rows))
    told = {"seeds": sorted({seed for seed, _, _ in rows}), "task": problem_of(runs[0].manifest)}
    curves = _table(runs[0], found.arms, rows, space or space_of(runs[0]), {**told, **(source or {})}, notes)
    return Recorded(curves, notes)


def space_of(run: Run) -> SearchSpace:
    """The search space as run.json has it; classes and functions in it are their names."""
    described = run.manifest["space"]
    if "constraints" not in described:  # before 0.2
        described = {"dimensions": described, "constraints": []}
    return plain_space(described)


def _check_alike(runs: Sequence[Run]) -> None:
    """All of one problem: the same task and options, space, metric and last unit."""
    first = runs[0]
    for run in runs[1:]:
        for what, one, other in (
            ("the problem", first.problem, run.problem),
            ("the search space", first.dimensions, run.dimensions),
            ("the metric", f"{first.metric} ({first.mode})", f"{run.metric} ({run.mode})"),
            (f"the last {first.unit} (learning rates may go by it)", first.levels[-1], run.levels[-1]),
        ):
            if one != other:
                told = f"{one} and {other}" if what != "the search space" else _differing(first, run)
                raise SettingError(
                    f"{first.directory} and {run.directory} differ in {what}, {told}: the curves of one "
                    "table are of one problem; name the directories of one"
                )


def _differing(one: Run, other: Run) -> str:
    names = dict.fromkeys([*one.dimensions, *other.dimensions])
    return "at " + ", ".join(n for n in names if one.dimensions.get(n) != other.dimensions.get(n))


def _arm_names(runs: Sequence[Run]) -> list[str]:
    """The arm of each run: its variation, with its settings where several of one name differ in them."""
    kinds: dict[str, list[Any]] = {}
    for run in runs:
        settings = kinds.setdefault(run.manifest["variation"]["name"], [])
        if run.manifest["variation"]["settings"] not in settings:
            settings.append(run.manifest["variation"]["settings"])
    names = []
    for run in runs:
        name, settings = run.manifest["variation"]["name"], run.manifest["variation"]["settings"]
        told = ", ".join(f"{key}={value}" for key, value in settings.items())
        names.append(f"{name} ({told})" if len(kinds[name]) > 1 and told else name)
    return names


def _check_constant(run: Run) -> None:
    """Raise ``SettingError`` if a curve is of several configurations, one after the other."""
    if any(trial.before for trial in run.trials.values()):
        raise SettingError(
            f"{run.directory}: its warm start changed configurations where trials were promoted, and a curve "
            "of a table is of one configuration: leave it out"
        )


def _take(run: Run, rows: dict[Row, _Found], found: _Sorted, first: int | None) -> None:
    """The curves of one run, into those of its arm; of two of one row the longer one stays."""
    seed, reasons = int(run.manifest["scheduler"]["seed"]), _reasons(run)
    in_flops = _batches_per_flop(run.trials.values())
    for trial in run.trials.values():
        if first is not None and trial.id >= first:
            continue
        if not trial.resources and trial.state not in ("failed", "rejected"):
            found.silent += 1
            continue
        row = (seed, trial.id, to_json(trial.proposed))
        other = rows.get(row)
        if other is not None:
            found.again += 1
            if trial.reached <= other.trial.reached:
                continue
        rows[row] = _Found(trial, reasons.get(trial.id, ""), _warm_batches(trial, in_flops))


def _reasons(run: Run) -> dict[int, str]:
    """Why trials failed or were screened out: what was said of each last."""
    told = {}
    for record in run.records:
        if record["type"] == "failed":
            told[record["trial"]] = f"{record['kind']}: {record['error']}"
        elif record["type"] in ("lost", "rejected"):
            told[record["trial"]] = record["reason"]
    return told


def _batches_per_flop(trials: Iterable[TrialHistory]) -> float:
    """Mini-batches of training in a floating point operation; NaN where one of the two is not recorded."""
    ratios = [
        costs["train_batches"] / costs["flops"]
        for trial in trials
        for costs in trial.costs
        if costs.get("flops", 0) > 0 and "train_batches" in costs
    ]
    return median(ratios) if ratios else math.nan


def _warm_batches(trial: TrialHistory, of_run: float) -> float:
    """What its warm start took in mini-batches of its own training; NaN: not known."""
    if trial.warm_start_seconds == 0:
        return 0.0
    own = _batches_per_flop([trial])
    return trial.warm_start_costs.get("flops", math.nan) * (of_run if math.isnan(own) else own)


def _nothing(runs: Sequence[Run], found: _Sorted, shared: Collection[Row]) -> str:
    if not shared and all(found.arms.values()):
        seeds = {str(run.manifest["scheduler"]["seed"]) for run in runs}
        return (
            f"no configuration is in all arms ({', '.join(found.arms)}; seeds {', '.join(sorted(seeds))}): a "
            "row of a table is one that every arm has trained, and searches of one seed share theirs"
        )
    empty = [name for name, rows in found.arms.items() if not any(e.trial.resources for e in rows.values())]
    return f"no trial of {', '.join(empty)} has reported anything: there are no curves"


def _left_out(found: _Sorted, rows: int) -> list[str]:
    notes = []
    if found.silent:
        notes.append(f"left out: {counted(found.silent, 'trial')} without any report")
    if found.again:
        notes.append(f"{counted(found.again, 'trial')} in several searches: the longest curve of each stays")
    for name, arm in found.arms.items():
        if len(arm) > rows:
            notes.append(
                f"left out: {counted(len(arm) - rows, 'configuration')} of {name} that not all arms have"
            )
    return notes


def _table(
    run: Run,
    arms: Mapping[str, Mapping[Row, _Found]],
    rows: Sequence[Row],
    space: SearchSpace,
    source: Mapping[str, Any],
    notes: list[str],
) -> Curves:
    found = [[arm[row] for row in rows] for arm in arms.values()]
    trials = [each.trial for arm in found for each in arm]
    units = _common_units(trials)
    dropped = len({unit for trial in trials for unit in trial.resources}) - len(units)
    if dropped:
        notes.append(f"left out: {counted(dropped, run.unit)} that not every curve has a value at")
    arrays = _arrays(found, units, _common_metrics(trials))
    short = sum(ended == "unknown" for arm in arrays["ended"] for ended in arm)
    if short:
        notes.append(
            f"{counted(short, 'curve')} of {len(trials):,} end before {run.unit} {units[-1]}: a simulated "
            "search that goes further takes their last value for final"
        )
    places = {(a, r): each for a, arm in enumerate(found) for r, each in enumerate(arm)}
    return Curves.from_arrays(
        space,
        [space.restored(each.trial.proposed) for each in found[0]],
        **arrays,
        units=units,
        arms=tuple(arms),
        mode=run.mode,
        metric=run.metric,
        unit=run.unit,
        refined={
            place: space.restored(each.trial.configuration)
            for place, each in places.items()
            if each.trial.diagnostics or each.trial.configuration != each.trial.proposed
        },
        warm_seconds=[[each.trial.warm_start_seconds for each in arm] for arm in found],
        warm_batches=[[each.batches for each in arm] for arm in found],
        why={place: each.why for place, each in places.items() if each.why and each.trial.state in _KINDS},
        source=source,
    )


def _arrays(found: Sequence[Sequence[_Found]], units: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """What ``Curves.from_arrays`` takes of these; seconds of a unit that is left out are in the next one."""
    shape = (len(found), len(found[0]), len(units))
    value, seconds = np.full(shape, math.nan), np.full(shape, math.nan)
    metrics = {name: np.full(shape, math.nan) for name in names}
    length, ended = np.zeros(shape[:2], dtype=np.int32), [["complete"] * shape[1] for _ in found]
    for a, arm in enumerate(found):
        for r, trial in enumerate(each.trial for each in arm):
            columns = _columns(trial, units)
            length[a, r] = count = len(columns)
            value[a, r, :count] = [trial.values[place] for place in columns]
            spent = np.cumsum([0.0, *trial.seconds])
            seconds[a, r, :count] = np.diff(spent[[0, *(place + 1 for place in columns)]])
            for name, entries in metrics.items():
                entries[a, r, :count] = [trial.metrics[place][name] for place in columns]
            ended[a][r] = _KINDS.get(trial.state, "complete" if count == len(units) else "unknown")
    return {"value": value, "seconds": seconds, "metrics": metrics, "length": length, "ended": ended}


def _common_units(trials: Sequence[TrialHistory]) -> list[int]:
    """Resources at which every curve has a value that gets so far."""
    union = sorted({unit for trial in trials for unit in trial.resources})
    held = [(trial.reached, set(trial.resources)) for trial in trials]
    return [unit for unit in union if all(unit > reached or unit in own for reached, own in held)]


def _columns(trial: TrialHistory, units: Sequence[int]) -> list[int]:
    """The places of its reports at ``units``."""
    place = {unit: index for index, unit in enumerate(trial.resources)}
    return [place[unit] for unit in units if unit in place]


def _common_metrics(trials: Sequence[TrialHistory]) -> list[str]:
    """Names that every report has."""
    entries = [metrics for trial in trials for metrics in trial.metrics]
    return [name for name in (entries[0] if entries else ()) if all(name in each for each in entries)]

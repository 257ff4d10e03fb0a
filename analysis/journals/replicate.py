"""One seed of one arm of a study: what its search achieved and cost, without the journal's records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from analysis.journals.metrics import (
    BestCurve,
    RungShare,
    TimeSplit,
    best_so_far,
    first_reached,
    mean_of_steps,
    rung_survival,
    steps_at,
    time_split,
)
from analysis.journals.runs import FromManifest, Run, load_run
from analysis.journals.spending import WarmStarts, summed
from analysis.journals.trial_table import trial_columns, warm_start_summary
from analysis.stats.arrays import Bools, Floats, Ints
from asha_core.errors import SettingError
from asha_core.runtime.budget import MEASURES, Measure
from asha_core.runtime.observers import FINISHED
from asha_core.runtime.storage.json_files import read_optional_json

_KEPT = ("created", "versions", "commit", "task", "space", "scheduler", "variation", "budget", "hardware",
         "settings")  # fmt: skip

_AT_BUDGET = 1e-3  # an engine that stops at its budget looks at the clock a little before or after
Source = Literal["budget", "shortest run", "half", "longest run"]  # of a horizon


@dataclass(frozen=True, slots=True)
class Planned:
    """A replicate as it was planned: which run it is."""

    id: str  # names it in messages
    directory: Path
    group: str = ""  # runs of one group are compared, paired by seed
    arm: str = ""  # the variation, with its settings where several differ in them
    experiment: str = ""  # the part of the study that it belongs to
    task: str = ""
    scheduler: str = ""
    variation: str = ""
    seed: int = 0
    targets: tuple[float, ...] = ()  # of T@tau, fixed before the runs; the last is the primary one
    options: Mapping[str, Any] = field(default_factory=dict)  # of ``asha-run``, by the plan
    table: Path | None = None  # of a simulated one, the table of curves, in its study's directory
    manifest: dict[str, Any] = field(
        default_factory=dict
    )  # of a simulated one, by the plan, without its seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate(Planned, FromManifest):
    """One seed of one arm, as it went.

    Arrays of the curve have one entry an improvement of the best value, (N,); those of ``trials`` one a
    trial, (T,), in order of their numbers.
    """

    manifest: dict[str, Any]  # the parts of run.json that tell how it was run
    reason: str  # how it ended: "complete", "budget", "interrupted", "error" or "killed"
    curve: BestCurve
    spent_units: Floats  # (N,) units trained, and the warm starts so far expressed in units
    gpu_hours: Floats  # (N,) devices held times hours
    ends: dict[str, float]  # measure -> what was spent in all
    # by what warm starts were expressed in units: "flops" (theirs over those of a unit), "seconds" (theirs
    # over the median seconds of a unit, where FLOPs are not recorded), or "none" (there were none)
    spent_from: str
    trials: Mapping[str, NDArray[Any]]  # column -> array, see ``trial_columns``
    rungs: list[RungShare]
    reports: int  # how many units were reported, repeated ones too
    split: TimeSplit
    costs: dict[str, float]  # summed over units, such as flops; a name is there only if every unit has it
    warm_start_costs: dict[str, float]  # the same of the warm starts
    peaks: dict[str, float]  # greatest number of bytes, by name, warm starts included
    warm_start_peaks: dict[str, float]  # of these alone
    warm_start: dict[str, Any] | None  # see ``warm_start_summary``; None for the baseline
    test: float  # from test.json, or NaN
    test_loss: float
    status: int | None  # exit status of ``asha-run``, by outcome.json
    torn: bool  # the journal's last line was
    schema: int  # of the journal
    sessions: int  # engines that worked at it
    # of a simulated search: how many of its ``drawn_rows``, from the first on, it met; and how many of them
    # until each improvement, (N,), if that is known
    met: int = 0
    met_at: Ints | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The warm start's settings."""
        return dict(self.manifest["variation"]["settings"])

    @property
    def over(self) -> bool:
        """Whether the search ended by itself or at its budget, so that it can be compared."""
        return self.reason in FINISHED

    @property
    def held(self) -> bool:
        """Whether the search ended by itself: nothing was left to train, and it holds what it had."""
        return self.reason == "complete"

    @property
    def best(self) -> float:
        """The best value of the search, on validation data; NaN if there is none."""
        return float(self.curve.value[-1]) if len(self.curve.value) else math.nan

    def met_by(self, target: float | None) -> int:
        """How many rows could play a part in when it reached ``target``; None: in whatever it came to."""
        first = None if target is None else first_reached(self.curve.value, target, self.mode)
        return self.met if first is None or self.met_at is None else int(self.met_at[first])

    def spent(self, measure: Measure) -> Floats:
        """What had been spent at each improvement, (N,).

        Raises:
            SettingError: no such measure.
        """
        columns = {"seconds": self.curve.t, "gpu_hours": self.gpu_hours, "units": self.spent_units}
        return columns[checked_measure(measure)]

    def budget(self, measure: Measure) -> float:
        """What the search was allowed to spend; infinite if there was no limit in this measure.

        A limit in seconds is one in GPU-hours, too, of the devices that were held, and the other way round.
        """
        limits = self.manifest["budget"]
        seconds, held = limits["seconds"], limits["gpu_seconds"]
        devices = limits["devices"]
        if checked_measure(measure) == "units":
            return math.inf
        least = min(
            math.inf if seconds is None else float(seconds),
            math.inf if held is None else float(held) / devices,
        )
        return least if measure == "seconds" else least * devices / 3600


def checked_measure(measure: str) -> Measure:
    """``measure``, if it is one.

    Raises:
        SettingError: it is not.
    """
    if measure not in MEASURES:
        raise SettingError(f"measure is {measure!r}: it must be one of {', '.join(MEASURES)}")
    return measure


def horizon(replicates: Sequence[Replicate], measure: Measure, target: float | None = None) -> float:
    """Up to where searches are compared, see ``horizon_and_source``."""
    return horizon_and_source(replicates, measure, target)[0]


def horizon_and_source(
    replicates: Sequence[Replicate], measure: Measure, target: float | None = None
) -> tuple[float, Source, str]:
    """Up to where searches are compared; what sets it; and whose end it is (an id, "" for a budget).

    A search that was stopped could have gone on: it is known up to its end and no further, so the first of
    these ends limits all, and so does the least budget. One that ended by itself has nothing left to train,
    and holds what it has: a quick one limits nobody. Where none was stopped, it is where half of the searches
    had ended. With ``target`` only who never reached it limits; if all did, it is the last one's end.

    Raises:
        SettingError: no search is given, or no such measure.
    """
    if not replicates:
        raise SettingError("no search is given, so there is no horizon: give at least one")
    ends = sorted((each.ends[checked_measure(measure)], each.id) for each in replicates)
    never = [
        each
        for each in replicates
        if target is None or first_reached(each.curve.value, target, each.mode) is None
    ]
    stopped = [(each.ends[measure], each.id) for each in never if not each.held]
    (value, which), source = ends[-1], "longest run"
    if stopped:
        (value, which), source = min(stopped), "shortest run"
    elif never:
        (value, which), source = ends[len(ends) // 2], "half"
    budget = min(each.budget(measure) for each in replicates)
    if budget < value or math.isclose(value, budget, rel_tol=_AT_BUDGET):
        return min(value, budget), "budget", ""
    return value, cast(Source, source), which


def time_to_target(
    replicate: Replicate, target: float, measure: Measure = "seconds", horizon: float | None = None
) -> tuple[float, bool]:
    """T@tau: what had been spent when the best value first reached ``target``, and whether it is censored.

    The scheduler's own time and the warm start's are in it. Censored: not reached up to ``horizon``; then
    the number is the horizon, or the end of a search that was stopped before.

    Args:
        measure: "seconds", "gpu_hours", or "units" with the warm starts expressed in units.
        horizon: in that measure; by default the search's own end.
    """
    end = replicate.ends[checked_measure(measure)]
    limit = end if horizon is None else horizon if replicate.held else min(end, horizon)
    first = first_reached(replicate.curve.value, target, replicate.mode)
    if first is not None and (spent := float(replicate.spent(measure)[first])) <= limit:
        return spent, False
    return limit, True


def times_to_target(
    replicates: Sequence[Replicate], target: float, measure: Measure, horizon: float
) -> tuple[Floats, Bools]:
    """The same of each of several: times, and which of them are censored."""
    times, censored = (
        np.array([time_to_target(each, target, measure, horizon) for each in replicates], dtype=np.float64)
        .reshape(-1, 2)
        .T
    )
    return times, censored.astype(bool)


def area_under_curve(
    replicate: Replicate, horizon: float | None = None, measure: Measure = "seconds", start: float = 0.0
) -> float:
    """Mean of the best-so-far value over [0, horizon]; past the search's end the curve goes on flat.

    Args:
        start: what counts before the first report. 0 suits an accuracy; for an error give the worst value, 1.
    """
    limit = replicate.ends[checked_measure(measure)] if horizon is None else horizon
    return mean_of_steps(replicate.spent(measure), replicate.curve.value, limit, start)


def best_at(replicate: Replicate, grid: Floats, measure: Measure = "seconds") -> Floats:
    """The best value when each of ``grid`` had been spent, (G,); NaN before the first report."""
    return steps_at(replicate.spent(measure), replicate.curve.value, np.asarray(grid, dtype=np.float64))


def read_replicate(planned: Planned) -> Replicate:
    """The slim form of a run.

    Args:
        planned: which replicate of a study it is; what it leaves empty is taken from the manifest.
    Raises:
        AshaError: its journal or its manifest cannot be read.
    """
    run = load_run(planned.directory)
    curve = best_so_far(run)
    warm = WarmStarts.of(run)
    units, end_units = warm.in_units(curve, run)
    reports = [record for record in run.records if record["type"] == "report"]
    costs, peaks = summed([record["costs"] for record in reports if "costs" in record], len(reports))
    warm_costs, warm_peaks = summed(warm.costs, len(warm.costs))
    test = read_optional_json(run.directory / "test.json")
    return Replicate(
        **_which(planned, run),
        manifest={key: run.manifest[key] for key in _KEPT if key in run.manifest},
        reason=run.reason,
        curve=curve,
        spent_units=units,
        gpu_hours=np.array([run.device_seconds(t) for t in curve.t], dtype=np.float64) / 3600,
        ends={"seconds": run.end, "gpu_hours": run.device_seconds(run.end) / 3600, "units": end_units},
        spent_from=warm.measured_by,
        trials=trial_columns(run),
        rungs=rung_survival(run),
        reports=len(reports),
        split=time_split(run),
        costs=costs,
        warm_start_costs=warm_costs,
        peaks={n: max(peaks.get(n, 0.0), warm_peaks.get(n, 0.0)) for n in sorted({*peaks, *warm_peaks})},
        warm_start_peaks=warm_peaks,
        warm_start=warm_start_summary(run),
        test=_number(test, "value"),
        test_loss=_number(test, "loss"),
        status=exit_status(run.directory),
        torn=run.torn,
        schema=run.schema,
        sessions=len(run.sessions),
    )


def _which(planned: Planned, run: Run) -> dict[str, Any]:
    """The fields of ``planned``, with the manifest's names, seed and target where it has none."""
    manifest, known = run.manifest, {each.name: getattr(planned, each.name) for each in fields(Planned)}
    del known["manifest"]
    known["task"] = planned.task or str(manifest["task"]["name"])
    known["scheduler"] = planned.scheduler or str(manifest["scheduler"]["name"])
    known["variation"] = planned.variation or str(manifest["variation"]["name"])
    if not planned.group:
        known["seed"] = int(manifest["scheduler"]["seed"])
    if not planned.targets and manifest.get("target") is not None:
        known["targets"] = (float(manifest["target"]),)
    return known


def _number(content: Mapping[str, Any], key: str) -> float:
    try:
        return float(content[key])
    except (KeyError, TypeError, ValueError):
        return math.nan


def exit_status(directory: Path) -> int | None:
    """Of the run's process, by outcome.json; None if it says none."""
    status = read_optional_json(directory / "outcome.json").get("status")
    return status if type(status) is int else None

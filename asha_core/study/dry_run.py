"""``asha-study --dry-run``: what a study consists of, what it costs in hours of devices, and what is done."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asha_core.runtime.observers import EARLY
from asha_core.runtime.terminal.console import format_table
from asha_core.runtime.units import counted, parse_duration, ranges
from asha_core.schedulers.forecast import Forecast
from asha_core.study.arms import Arm
from asha_core.study.directory import State, StudyDirectory
from asha_core.study.planned_runs import Study
from asha_core.study.simulated_search import workers_of

_STATES: tuple[State, ...] = ("done", "begun", "failed")
_KNOWN_BY = {"budget": "at most, by the budgets", "measured": "by the mean of the runs that are done"}


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What an arm costs and how far it is."""

    arm: Arm
    states: Mapping[State, int]  # how many runs are in which state
    hours: float | None  # device-hours a run, if they are known
    known_by: str  # "budget" (at most that), or "measured" (the mean of its own runs that are done)
    units: float | None  # that a run is expected to train; None if its budget is a time alone
    timed: bool  # whether its budget is a time, too, and so the units are the most that it trains
    early: bool  # whether it may end before, by stop-at or patience; likewise

    @property
    def left(self) -> int:
        """Runs that are not done."""
        return len(self.arm.runs) - self.states.get("done", 0)


def arm_costs(study: Study, directory: StudyDirectory, arms: Sequence[Arm]) -> list[ArmCost]:
    """What each arm costs; nothing is run."""
    costs = []
    for arm in arms:
        states = [directory.state(run) for run in arm.runs]
        counts: dict[State, int] = {state: states.count(state) for state in dict.fromkeys(states)}
        bound = _bound(arm.runs[0].options, study.gpus_per_run)
        measured = [
            hours
            for run, state in zip(arm.runs, states, strict=True)
            if state == "done" and (hours := _device_hours(directory, run)) is not None
        ]
        hours = bound if bound is not None else statistics.fmean(measured) if measured else None
        known_by = "budget" if bound is not None else "measured" if measured else ""
        limit = arm.scheduler.trial_limit
        units = Forecast(arm.scheduler, limit, 1).units if limit is not None else None
        timed = not {"budget", "gpu_hours"}.isdisjoint(arm.runs[0].options)
        early = any(arm.runs[0].options.get(name) is not None for name in EARLY)
        costs.append(ArmCost(arm, counts, hours, known_by, units, timed, early))
    return costs


def _bound(options: Mapping[str, Any], gpus: int | None) -> float | None:
    """The most GPU-hours that a run may take; None: no budget in time, or nobody knows on how many GPUs."""
    gpus = workers_of(options) if "curves" in options else gpus
    bounds = [options["gpu_hours"]] if "gpu_hours" in options else []
    if "budget" in options and gpus is not None:
        bounds.append(gpus * parse_duration(options["budget"]) / 3600)
    return min(bounds, default=None)


def _device_hours(directory: StudyDirectory, run: Any) -> float | None:
    if run.table:
        return directory.virtual_seconds(run) * workers_of(run.options) / 3600
    from asha_core.errors import ResultsError
    from asha_core.runtime.storage.json_files import read_json

    try:
        return float(read_json(directory.run(run).results)["gpu_hours"])
    except (ResultsError, KeyError, TypeError, ValueError):
        return None


def dry_run_numbers(study: Study, costs: Sequence[ArmCost]) -> dict[str, Any]:
    """What a study consists of and costs, for programs."""
    unknown = [cost.arm.title for cost in costs if cost.left and cost.hours is None]
    return {
        "study": study.name,
        "runs": sum(len(cost.arm.runs) for cost in costs),
        "done": sum(cost.states.get("done", 0) for cost in costs),
        "gpu_hours": sum(len(cost.arm.runs) * (cost.hours or 0.0) for cost in costs),
        "gpu_hours_left": sum(cost.left * (cost.hours or 0.0) for cost in costs),
        "cost_unknown": unknown,
        "waiting": dict(study.waiting),
        "left_out": dict(study.left_out),
        "unpaired": unpaired(study, costs),
        "arms": [
            {
                "arm": cost.arm.title,
                "group": cost.arm.runs[0].group,
                "what": cost.arm.describe(cost.arm.runs[0]),
                "seeds": [run.seed for run in cost.arm.runs],
                "states": dict(cost.states),
                "gpu_hours_a_run": cost.hours,
                "known_by": cost.known_by,
                "units_a_run": cost.units,
                "units_at_most": cost.units is not None and (cost.timed or cost.early),
            }
            for cost in costs
        ],
    }


def unpaired(study: Study, costs: Sequence[ArmCost]) -> list[str]:
    """The arms that have no seed in common with the baseline of their group."""
    base = {run.pairing_of_seed for cost in costs for run in cost.arm.runs if run.arm == study.baseline}
    return [cost.arm.title for cost in costs if not any(run.pairing_of_seed in base for run in cost.arm.runs)]


def dry_run_text(study: Study, costs: Sequence[ArmCost], *, gpu: bool) -> str:
    """The same for people.

    Args:
        gpu: whether it would run on GPUs; else its hours are those of worker processes.
    """
    device = "GPU" if gpu else "worker"
    simulated = sum(bool(cost.arm.runs[0].table) for cost in costs)
    header = ("arm", "seeds", "runs", *_STATES, "units a run")
    if any(cost.hours is not None or not cost.arm.runs[0].table for cost in costs):
        header += (f"{device}-hours a run", "hours left")
    numbers = dry_run_numbers(study, costs)
    groups = len({run.group for cost in costs for run in cost.arm.runs})
    lines = [
        f"study {study.name}: {counted(numbers['runs'], 'run')}, {counted(len(costs), 'arm')} in "
        f"{counted(groups, 'group')}, {numbers['done']} done",
        "",
        _left_aligned(header, [_row(cost)[: len(header)] for cost in costs]),
        "",
    ]
    lines += [
        f"experiment {name} waits for the best variation of {other}: it is not counted yet"
        for name, other in study.waiting.items()
    ]
    lines += study.notes_of_left_out
    lines += [
        f"{title} has no pair with {study.baseline}: it cannot be compared" for title in numbers["unpaired"]
    ]
    if any(cost.hours is not None for cost in costs):
        how = sorted({cost.known_by for cost in costs if cost.known_by})
        lines.append(
            f"{numbers['gpu_hours']:.5g} {device}-hours in all, {numbers['gpu_hours_left']:.5g} left "
            f"({'; '.join(_KNOWN_BY[each] for each in how)})"
        )
    for timed, why in (
        (True, "their budget is wall-clock, and on how many devices a run trains is not known before"),
        (False, "no budget in time"),
    ):
        if number := sum(_unknown(cost) and cost.timed is timed for cost in costs):
            lines.append(f"the hours of {counted(number, 'arm')} are not known: {why}; no run is done yet")
    if simulated:
        lines.append(
            f"{counted(simulated, 'arm')} of {len(costs)} simulated over recorded curves: they take no "
            "device, and some hundredths of a second a run"
        )
    if any(cost.early for cost in costs):
        lines.append("stop-at and patience may end runs before: what they save is not in these numbers")
    return "\n".join(lines)


def _unknown(cost: ArmCost) -> bool:
    """Whether an arm has runs left that take a device for nobody knows how long."""
    return cost.left > 0 and cost.hours is None and not cost.arm.runs[0].table


def _row(cost: ArmCost) -> list[str]:
    seeds = [run.seed for run in cost.arm.runs]
    return [
        cost.arm.title,
        ranges(seeds),
        str(len(seeds)),
        *(str(cost.states.get(state, 0)) for state in _STATES),
        "-" if cost.units is None else f"{'<=' if cost.timed or cost.early else ''}{cost.units:.0f}",
        "-" if cost.hours is None else f"{cost.hours:.3g}",
        "-" if cost.hours is None else f"{cost.left * cost.hours:.4g}",
    ]


def _left_aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column begins at the left."""
    width = max(len(row[0]) for row in [header, *rows])
    return format_table(
        [header[0].ljust(width), *header[1:]], [[row[0].ljust(width), *row[1:]] for row in rows]
    )

"""``asha-run --plan``: what a search will cost, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from asha_core.cli.options import devices_and_budget
from asha_core.forecast import Forecast, affordable
from asha_core.runtime.budget import counted, format_duration
from asha_core.runtime.console import format_table
from asha_core.runtime.journal import to_json
from asha_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from trials.task import Task


_MOST_UNITS = 1e15  # more would take all of time


def print_plan(
    options: dict[str, Any], task: Task, scheduler: Scheduler, results: TextIO | None = None
) -> None:
    """The rungs, and how many trials reach each, as a table or (with ``--json``) as an object."""
    devices, budget = devices_and_budget(options)
    plan = make_plan(scheduler, budget.deadline, options["unit_seconds"], len(devices.slots))
    print(_as_text(plan, task) if results is None else to_json(plan), file=results)


def make_plan(
    scheduler: Scheduler, deadline: float | None, unit_seconds: float | None, slots: int
) -> dict[str, Any]:
    """What the budget buys, as a JSON-able object.

    Args:
        deadline: seconds of wall-clock; None: no such limit. Without ``unit_seconds`` it is not known
            whether it comes before ``max_trials``.
        unit_seconds: what one unit takes; None: not known, so a limit in time buys an unknown number.
        slots: workers.
    Returns:
        levels, slots, deadline; whole_bracket: configurations of a whole bracket, for both Hyperbands of one
        of each; trials, units, seconds, brackets, rungs and last_rung where
        they can be told, else None or empty; if_stable: the same of a PASHA whose ranking never changes, else
        None.
    """

    def spread(*, longest: bool) -> dict[str, Any]:
        return _spread(scheduler, deadline, unit_seconds, slots, longest=longest)

    most, least = spread(longest=True), spread(longest=False)
    return {
        "scheduler": scheduler.name,
        "levels": list(scheduler.levels),
        "reduction_factor": scheduler.reduction_factor,
        "slots": slots,
        "deadline": deadline,
        "whole_bracket": scheduler.whole_bracket,
        **most,
        "if_stable": least if scheduler.brackets(1) != scheduler.largest_brackets(1) else None,
    }


def _spread(
    scheduler: Scheduler, deadline: float | None, unit_seconds: float | None, slots: int, *, longest: bool
) -> dict[str, Any]:
    limits = [] if scheduler.trial_limit is None else [scheduler.trial_limit]
    if deadline is not None and unit_seconds is not None:
        units = min(deadline * slots / unit_seconds, _MOST_UNITS)
        limits.append(affordable(scheduler, units, slots, longest=longest))
    if not limits:
        return dict.fromkeys(("trials", "units", "seconds", "last_rung")) | {"brackets": [], "rungs": []}
    forecast = Forecast(scheduler, min(limits), slots, longest=longest)
    rungs = [
        {"level": level, "trials": _mean(trials), "units": _mean(units)}
        for level, trials, units in forecast.rungs
    ]
    return {
        "trials": forecast.trials,
        "units": _mean(forecast.units),
        "seconds": None if unit_seconds is None else forecast.units * unit_seconds / slots,
        "brackets": [
            {"levels": list(bracket.levels), "times": bracket.times, "trials": [_mean(n) for n in reached]}
            for bracket, reached in forecast.brackets
        ],
        "rungs": rungs,
        "last_rung": {**rungs[-1], "share": rungs[-1]["units"] / max(forecast.units, 1)} if rungs else None,
    }


def _mean(number: float) -> float:
    """A mean of rehearsals, to a tenth; a whole number where it is one."""
    return int(number) if float(number).is_integer() else round(number, 1)


def _whole(number: float) -> str:
    """A mean for people; one that is not quite nothing is not 0."""
    return "<1" if 0 < number < 0.5 else f"{number:.0f}"


def _as_text(plan: dict[str, Any], task: Task) -> str:
    unit = task.unit
    lines = [
        f"{plan['scheduler']}, eta {plan['reduction_factor']}, rungs at "
        f"{', '.join(map(str, plan['levels']))} {unit}s, {counted(plan['slots'], 'slot')}"
    ]
    if len(plan["brackets"]) > 1 or any(bracket["times"] > 1 for bracket in plan["brackets"]):
        lines.append(_bracket_table(plan["brackets"], unit))
    if plan["rungs"]:
        lines += _expected(plan, unit, plan["slots"])
    if plan["trials"] is not None:
        lines += _warnings(plan)
    if plan["if_stable"] is not None and plan["if_stable"]["rungs"]:
        lines.append("\nif the ranking stays stable, so that no further rung is unlocked:")
        lines += _expected(plan["if_stable"], unit, plan["slots"])
    if plan["seconds"] is None and plan["deadline"] is not None:
        lines.append(
            f"the budget is {format_duration(plan['deadline'])}: give --unit-seconds S, the seconds of one "
            f"{unit}, to see how many configurations that buys"
        )
    return "\n".join(lines)


def _warnings(plan: dict[str, Any]) -> list[str]:
    if plan["trials"] == 0:
        return ["warning: the budget buys no configuration: give more time, or fewer units"]
    promotes = len(plan["levels"]) > 1 and plan["scheduler"] != "asha-stopping"
    if promotes and plan["trials"] < plan["reduction_factor"]:
        return ["warning: too few trials to finish one rung: nothing will be promoted"]
    if plan["scheduler"] == "sync-hyperband" and plan["trials"] % plan["whole_bracket"]:
        return [
            f"note: the last round of brackets is cut short: whole ones take {plan['whole_bracket']} trials"
        ]
    return []


def _expected(plan: dict[str, Any], unit: str, slots: int) -> list[str]:
    total = max(plan["units"], 1)
    rows = [
        (str(r["level"]), _whole(r["trials"]), f"{r['units']:.0f}", f"{r['units'] / total:.0%}")
        for r in plan["rungs"]
    ]
    last = plan["last_rung"]
    trials = "trial" if round(last["trials"]) == 1 else "trials"
    lines = [
        format_table(("rung", "trials", f"{unit}s spent", "share"), rows),
        f"expected: {counted(plan['trials'], 'trial')}, {counted(round(plan['units']), unit)}; the last "
        f"rung ({last['level']}) gets {_whole(last['trials'])} {trials} and {last['share']:.0%} of the "
        f"{unit}s",
    ]
    full = plan["trials"] * last["level"]
    if full > plan["units"]:
        lines.append(f"(training all of them to {last['level']} {unit}s would take {full})")
    if plan["seconds"] is not None:
        lines.append(f"about {format_duration(plan['seconds'])} on {counted(slots, 'slot')}")
    return lines


def _bracket_table(brackets: Sequence[dict[str, Any]], unit: str) -> str:
    rows = [
        (
            str(bracket["levels"][0]),
            str(bracket["times"]),
            _whole(bracket["trials"][0]),
            " > ".join(map(_whole, bracket["trials"])),
        )
        for bracket in brackets
    ]
    return format_table((f"bracket from {unit}", "times", "trials", "rung by rung"), rows) + "\n"

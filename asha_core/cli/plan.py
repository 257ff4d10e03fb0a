"""``asha-run --plan``: what a search will cost, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from asha_core.cli.options import devices_and_budget
from asha_core.plan import affordable_trials, expected_units, plan_rungs
from asha_core.runtime.budget import format_duration
from asha_core.runtime.console import format_table
from asha_core.runtime.journal import to_json
from asha_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from trials.task import Task


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
        levels, slots, deadline; trials, units, seconds and rungs where they can be told, else None.
    """
    levels, eta, trials = scheduler.levels, scheduler.reduction_factor, scheduler.max_trials
    if deadline is not None and unit_seconds is not None:
        bought = affordable_trials(levels, eta, deadline * slots / unit_seconds)
        trials = bought if trials is None else min(trials, bought)
    units = None if trials is None else expected_units(levels, eta, trials)
    seconds = None if units is None or unit_seconds is None else units * unit_seconds / slots
    rungs = [] if trials is None else plan_rungs(levels, eta, trials)
    return {
        "scheduler": scheduler.name,
        "levels": list(levels),
        "reduction_factor": eta,
        "slots": slots,
        "deadline": deadline,
        "trials": trials,
        "units": units,
        "seconds": seconds,
        "rungs": [{"level": r.level, "trials": r.trials, "units": r.units} for r in rungs],
    }


def _as_text(plan: dict[str, Any], task: Task) -> str:
    unit = task.unit
    lines = [
        f"{plan['scheduler']}, eta {plan['reduction_factor']}, rungs at "
        f"{', '.join(map(str, plan['levels']))} {unit}s, {plan['slots']} slots"
    ]
    if plan["rungs"]:
        header = ("rung", "trials", f"{unit}s spent", "share")
        total = max(plan["units"], 1)
        rows = [
            (str(r["level"]), str(r["trials"]), str(r["units"]), f"{r['units'] / total:.0%}")
            for r in plan["rungs"]
        ]
        full = plan["trials"] * plan["levels"][-1]
        lines += [
            format_table(header, rows),
            f"expected: {plan['trials']} trials, {plan['units']} {unit}s "
            f"(training all of them in full would take {full})",
        ]
        if plan["trials"] < plan["reduction_factor"] and len(plan["levels"]) > 1:
            lines.append("warning: too few trials to finish one rung: nothing will be promoted")
    if plan["seconds"] is not None:
        lines.append(f"about {format_duration(plan['seconds'])} on {plan['slots']} slots")
    elif plan["deadline"] is not None:
        per_trial = expected_units(plan["levels"], plan["reduction_factor"], 10**6) / 10**6
        lines.append(
            f"the budget is {format_duration(plan['deadline'])}; a trial costs {per_trial:.1f} {unit}s on "
            f"average: give --unit-seconds S to see how many that buys"
        )
    return "\n".join(lines)

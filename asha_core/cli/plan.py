"""``asha-run --plan``: what a search will cost, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from asha_core.cli.options import devices_and_budget
from asha_core.plan import Bracket, affordable_trials, plan_brackets, plan_rungs, plan_units
from asha_core.runtime.budget import counted, format_duration
from asha_core.runtime.console import format_table
from asha_core.runtime.journal import to_json
from asha_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

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
        levels, slots, deadline; whole_bracket: configurations of a bracket (sync-hyperband: of a round) of
        which one is expected at the last rung; trials, units, seconds, brackets, rungs and last_rung where
        they can be told, else None or empty; if_stable: the same of a PASHA whose ranking never changes, else
        None.
    """

    def spread(brackets: Callable[[int], list[Bracket]]) -> dict[str, Any]:
        return _spread(scheduler, brackets, deadline, unit_seconds, slots)

    most, least = spread(scheduler.largest_brackets), spread(scheduler.brackets)
    return {
        "scheduler": scheduler.name,
        "levels": list(scheduler.levels),
        "reduction_factor": scheduler.reduction_factor,
        "slots": slots,
        "deadline": deadline,
        "whole_bracket": scheduler.whole_bracket,
        **most,
        "if_stable": least if least != most else None,
    }


def _spread(
    scheduler: Scheduler,
    brackets: Callable[[int], list[Bracket]],
    deadline: float | None,
    unit_seconds: float | None,
    slots: int,
) -> dict[str, Any]:
    eta, survivors = scheduler.reduction_factor, scheduler.survivors
    limits = [] if scheduler.trial_limit is None else [scheduler.trial_limit]
    if deadline is not None and unit_seconds is not None:
        affordable = deadline * slots / unit_seconds
        limits.append(affordable_trials(lambda n: plan_units(brackets(n), eta, survivors), affordable))
    if not limits:
        return dict.fromkeys(("trials", "units", "seconds", "last_rung")) | {"brackets": [], "rungs": []}
    trials = min(limits)
    found = brackets(trials)
    rungs = plan_brackets(found, eta, survivors)
    units = sum(rung.units for rung in rungs)
    seconds = None if unit_seconds is None else units * unit_seconds / slots
    return {
        "trials": trials,
        "units": units,
        "seconds": seconds,
        "brackets": [
            {
                "levels": list(bracket.levels),
                "times": bracket.times,
                "trials": [r.trials for r in plan_rungs(bracket.levels, eta, bracket.trials, survivors)],
            }
            for bracket in found
        ],
        "rungs": [{"level": r.level, "trials": r.trials, "units": r.units} for r in rungs],
        "last_rung": {
            "level": rungs[-1].level,
            "trials": rungs[-1].trials,
            "units": rungs[-1].units,
            "share": rungs[-1].units / max(units, 1),
        }
        if rungs
        else None,
    }


def _as_text(plan: dict[str, Any], task: Task) -> str:
    unit = task.unit
    lines = [
        f"{plan['scheduler']}, eta {plan['reduction_factor']}, rungs at "
        f"{', '.join(map(str, plan['levels']))} {unit}s, {plan['slots']} slots"
    ]
    if len(plan["brackets"]) > 1 or any(bracket["times"] > 1 for bracket in plan["brackets"]):
        lines.append(_bracket_table(plan["brackets"], unit))
    if plan["rungs"]:
        lines += _expected(plan, unit, plan["slots"])
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
        (str(r["level"]), str(r["trials"]), str(r["units"]), f"{r['units'] / total:.0%}")
        for r in plan["rungs"]
    ]
    last = plan["last_rung"]
    lines = [
        format_table(("rung", "trials", f"{unit}s spent", "share"), rows),
        f"expected: {counted(plan['trials'], 'trial')}, {counted(plan['units'], unit)}; the last rung "
        f"({last['level']}) gets {counted(last['trials'], 'trial')} and {last['share']:.0%} of the {unit}s",
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
            str(bracket["trials"][0]),
            " > ".join(map(str, bracket["trials"])),
        )
        for bracket in brackets
    ]
    return format_table((f"bracket from {unit}", "times", "trials", "rung by rung"), rows) + "\n"

"""``asha-run --plan``: what a search will cost, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from asha_core.cli.notes import notes_on
from asha_core.launch.few_trials import few_trials
from asha_core.launch.metric_names import mode_warning
from asha_core.launch.option_parsing import devices_and_budget
from asha_core.runtime.observers import EARLY
from asha_core.runtime.storage.records import to_json
from asha_core.runtime.terminal.console import format_table
from asha_core.runtime.terminal.encodings import print_json
from asha_core.runtime.units import counted, format_bytes, format_duration
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import Forecast, units_again

if TYPE_CHECKING:
    from trials.task import Task


_KEPT = 3  # checkpoints that a trial has at most: its last, previous and best


def print_plan(
    options: Mapping[str, Any], task: Task, scheduler: Scheduler, results: TextIO | None = None
) -> None:
    """The rungs, and how many trials reach each, as a table or (with ``--json``) as an object."""
    devices, budget = devices_and_budget(options)
    limit, size = options.get("checkpoint_budget"), options.get("checkpoint_size")
    if limit is not None and size is None:
        size = task.checkpoint_bytes()
    plan = make_plan(
        scheduler,
        budget.deadline,
        options["unit_seconds"],
        len(devices.slots),
        checkpoint_budget=limit,
        checkpoint_bytes=size,
    )
    if results is None:
        few = few_trials(scheduler, len(devices.slots))
        notes = [mode_warning(task.metric, task.mode), *notes_on(options, task, scheduler), few]
        print("\n".join([*filter(None, notes), _as_text(plan, task)]))
        early = [f"--{name.replace('_', '-')}" for name in EARLY if options[name] is not None]
        if early:
            print(f"{' and '.join(early)} may end the search before; the plan leaves them out")
    else:
        print_json(to_json(plan), results)


def make_plan(
    scheduler: Scheduler,
    deadline: float | None,
    unit_seconds: float | None,
    slots: int,
    *,
    checkpoint_budget: int | None = None,
    checkpoint_bytes: int | None = None,
) -> dict[str, Any]:
    """What the search would do until its budget ends, as a JSON-able object.

    Args:
        deadline: seconds of wall-clock; None: no such limit. It limits no bracket, and no number of trials.
            Without ``unit_seconds`` it is not known what comes before it.
        unit_seconds: what one unit takes; None: not known, so a limit in time buys an unknown number.
        slots: workers.
        checkpoint_budget: bytes that all checkpoints may take; None: no limit.
        checkpoint_bytes: bytes of one; None: not known.
    Returns:
        By name:

        - levels, slots, deadline;
        - whole_bracket: configurations of a whole bracket, for both Hyperbands of one of each;
        - trials (that begin), units, seconds (of work: units shared by the slots), wall_seconds (until it
          ends), complete (whether every trial is seen through), brackets, rungs and last_rung where they can
          be told, else None or empty. Units are never more than the budget has;
        - if_stable: the same of a PASHA whose ranking never changes, else None;
        - checkpoints: what they take and what a budget for them costs, or None if nothing was asked of them.
    """
    end = None if deadline is None or unit_seconds is None else deadline / unit_seconds

    def spread(*, longest: bool) -> dict[str, Any]:
        return _spread(scheduler, end, unit_seconds, slots, longest=longest)

    most = spread(longest=True)
    settles = scheduler.brackets(1) != scheduler.largest_brackets(1)
    return {
        "scheduler": scheduler.name,
        "levels": list(scheduler.levels),
        "reduction_factor": scheduler.reduction_factor,
        "slots": slots,
        "deadline": deadline,
        "whole_bracket": scheduler.whole_bracket,
        **most,
        "if_stable": spread(longest=False) if settles else None,
        "checkpoints": _checkpoints(scheduler, most, slots, end, checkpoint_budget, checkpoint_bytes),
    }


def _checkpoints(
    scheduler: Scheduler,
    spread: dict[str, Any],
    slots: int,
    end: float | None,
    budget: int | None,
    size: int | None,
) -> dict[str, Any] | None:
    """What checkpoints take.

    Returns:
        By name; None is not known, or no limit.

        - bytes: of one;
        - all: of all that the search would keep;
        - needed: of those that no budget deletes, of running trials and the best of all;
        - paused: how many trials that wait fit into the rest;
        - units_again: expected to be trained again.
    """
    if budget is None and size is None:
        return None
    plan: dict[str, Any] = {"bytes": size, "budget": budget}
    plan |= dict.fromkeys(("all", "needed", "paused", "units_again"))
    if size is None:
        return plan
    plan["needed"] = size * (_KEPT * slots + 1)
    if budget is not None:
        # of a trial that waits only the last one is kept when room is short
        plan["paused"] = max(0, budget - plan["needed"]) // size
    if spread["trials"] is not None:
        plan["all"] = round(size * _most_kept(spread["brackets"]))
        if budget is not None:
            again = units_again(
                scheduler, scheduler.trial_limit, slots, budget / size, deadline=end, longest=True
            )
            plan["units_again"] = None if again is None else _mean(again)
    return plan


def _most_kept(brackets: Sequence[dict[str, Any]]) -> float:
    """Checkpoints of a whole search: of each trial one for each unit that it trains, three at most."""
    total = 0.0
    for bracket in brackets:
        levels, reached = bracket["levels"], [*bracket["trials"], 0]
        total += bracket["times"] * (bracket["begun"] - reached[0]) * min(levels[0] - 1, _KEPT)
        for rung, level in enumerate(levels):
            total += bracket["times"] * (reached[rung] - reached[rung + 1]) * min(level, _KEPT)
    return total


def _spread(
    scheduler: Scheduler, end: float | None, unit_seconds: float | None, slots: int, *, longest: bool
) -> dict[str, Any]:
    """What is expected of the search.

    Args:
        end: of its budget, in the time that one unit takes; None: not known, or never.
    """
    if end is None and scheduler.trial_limit is None:
        unknown = ("trials", "units", "seconds", "wall_seconds", "complete", "last_rung")
        return dict.fromkeys(unknown) | {"brackets": [], "rungs": []}
    forecast = Forecast(scheduler, scheduler.trial_limit, slots, deadline=end, longest=longest)
    rungs = [
        {"level": level, "trials": _mean(trials), "units": _mean(units)}
        for level, trials, units in forecast.rungs
    ]
    return {
        "trials": round(forecast.trials),
        "units": _mean(forecast.units),
        "seconds": None if unit_seconds is None else forecast.units * unit_seconds / slots,
        "wall_seconds": None if unit_seconds is None else forecast.time * unit_seconds,
        "complete": forecast.complete,
        "brackets": [
            {
                "levels": list(bracket.levels),
                "times": bracket.times,
                "begun": _mean(bracket.begun),
                "trials": [_mean(number) for number in bracket.trials],
                "units": [_mean(number) for number in bracket.units],
            }
            for bracket in forecast.brackets
        ],
        "rungs": rungs,
        "last_rung": {**rungs[-1], "share": rungs[-1]["units"] / max(forecast.units, 1)} if rungs else None,
    }


def _mean(number: float) -> float:
    """A mean of rehearsals, to a tenth; a whole number where it is one."""
    rounded = round(float(number), 1)
    return int(rounded) if rounded.is_integer() else rounded


def _whole(number: float) -> str:
    """A mean for people; one that is not quite nothing is not 0."""
    return "<1" if 0 < number < 0.5 else f"{number:.0f}"


def _as_text(plan: dict[str, Any], task: Task) -> str:
    unit = task.unit
    lines = [
        f"{plan['scheduler']}, eta {plan['reduction_factor']}, rungs at "
        f"{', '.join(map(str, plan['levels']))} {unit}s, {counted(plan['slots'], 'slot')}"
    ]
    several = len(plan["brackets"]) > 1 or any(bracket["times"] > 1 for bracket in plan["brackets"])
    if several and len(plan["levels"]) > 1:
        lines.append(_bracket_table(plan["brackets"], unit))
    if plan["rungs"]:
        lines += _expected(plan, unit, plan["slots"])
    if plan["trials"] is not None:
        lines += _warnings(plan)
    if plan["if_stable"] is not None and plan["if_stable"]["rungs"]:
        lines.append("\nif the ranking stays stable, so that no further rung is unlocked:")
        lines += _expected(plan["if_stable"], unit, plan["slots"])
    if plan["checkpoints"] is not None:
        lines += _checkpoint_lines(plan, unit)
    if plan["seconds"] is None and plan["deadline"] is not None:
        lines.append(
            f"the budget is {format_duration(plan['deadline'])}: give --unit-seconds S, the seconds of one "
            f"{unit}, to see how many configurations that buys"
        )
    return "\n".join(lines)


def _warnings(plan: dict[str, Any]) -> list[str]:
    brackets = plan["brackets"]
    if not plan["units"]:
        return ["warning: the budget ends before the first unit is complete: give more time"]
    if not any(bracket["trials"][0] for bracket in brackets):
        return ["warning: the budget ends before a trial reaches its first rung: give more time"]
    if len(plan["levels"]) > 1 and not any(any(bracket["units"][1:]) for bracket in brackets):
        if plan["complete"]:
            return []  # ``few_trials`` says so
        return [
            "warning: the budget ends before anybody goes on from the first rung: nothing will be promoted; "
            "give more time, or lower --min-resource"
        ]
    if plan["scheduler"] == "sync-hyperband" and plan["complete"] and plan["trials"] % plan["whole_bracket"]:
        return [
            f"note: the last round of brackets is cut short: whole ones take {plan['whole_bracket']} trials"
        ]
    one = len(brackets) == 1 and brackets[0]["times"] == 1 and plan["trials"] > plan["whole_bracket"]
    if plan["scheduler"] == "sh" and one and not plan["complete"]:
        return [
            f"note: the budget ends before the one bracket of all trials is complete: without --max-trials "
            f"brackets have {plan['whole_bracket']}"
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
        lines.append(f"(training all of them to {last['level']} {unit}s would take {full:,})")
    if plan["seconds"] is not None:
        ends = "" if plan["complete"] else ", when the budget ends"
        lines.append(f"about {format_duration(plan['wall_seconds'])} on {counted(slots, 'slot')}{ends}")
    return lines


def _checkpoint_lines(plan: dict[str, Any], unit: str) -> list[str]:
    kept = plan["checkpoints"]
    if kept["bytes"] is None:
        return [
            f"the budget for checkpoints is {format_bytes(kept['budget'])}: give --checkpoint-size, what one "
            "of them takes, such as 200MB, to see what it costs"
        ]
    line = (
        f"a checkpoint takes {format_bytes(kept['bytes'])}; a trial keeps its last, its previous and its best"
    )
    if kept["all"] is not None:
        line += f", all together up to {format_bytes(kept['all'])}"
    if kept["budget"] is None:
        return [line]
    limit = format_bytes(kept["budget"])
    if kept["needed"] > kept["budget"]:
        return [
            line,
            f"warning: of {limit} for checkpoints {counted(plan['slots'], 'slot')} alone may need "
            f"{format_bytes(kept['needed'])}: trials that wait lose theirs, and the limit may be exceeded",
        ]
    fits = f"into {limit} fit those of about {counted(kept['paused'], 'waiting trial')}"
    again = kept["units_again"]
    if again is None:
        return [line, fits]
    share = again / max(plan["units"], 1)
    cost = f"{_whole(again)} {unit}s ({share:.0%} more) are" if again else "nothing is"
    return [line, f"{fits}; because the others go, {cost} expected to be trained again"]


def _bracket_table(brackets: Sequence[dict[str, Any]], unit: str) -> str:
    rows = [
        (
            str(bracket["levels"][0]),
            str(bracket["times"]),
            _whole(bracket["begun"]),
            " > ".join(map(_whole, bracket["trials"])),
        )
        for bracket in brackets
    ]
    return format_table((f"bracket from {unit}", "times", "trials", "rung by rung"), rows) + "\n"

"""The warning that only a running search can give: its budget is too small for its units."""

from __future__ import annotations

from statistics import fmean

from asha_core.messages import Report
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Observer, Outcome, SearchView
from asha_core.runtime.terminal.streams import say
from asha_core.runtime.units import format_duration


class SmallBudget(Observer):
    """Warns once if the budget ends before anybody goes on from the first rung: when it is known what a unit
    takes, or, if it never was, at the end.
    """

    def __init__(self) -> None:
        self._compared = False

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Compare the budget with what a unit takes, as soon as that is known."""
        deadline = view.budget.deadline
        if self._compared or deadline is None or not isinstance(event, Report):
            return
        known = [slot.pace.unit_seconds for slot in view.slots if slot.pace.unit_seconds > 0]
        if not known:  # a worker's first unit pays for what is done once
            return
        self._compared, seconds = True, fmean(known)
        left = (deadline - view.now) / seconds  # units that one worker can still train
        affordable, whose = left * len(view.slots) + view.scheduler.units, ""
        promotes, first = len(view.scheduler.levels) > 1, view.scheduler.levels[0]
        needed = view.scheduler.units_to_first_promotion if promotes else first
        if len(view.slots) > 1 and left + event.resource < first:  # no number of workers trains one trial
            affordable, whose, needed = left + event.resource, " a worker", first
        if affordable < needed:
            say(
                f"warning: a unit takes {format_duration(seconds)}, so the budget of "
                f"{format_duration(deadline)} buys about {affordable:.0f} units{whose}, and "
                + (
                    f"the first rung needs {needed}: nothing will be promoted; give more time, or lower "
                    "min-resource"
                    if promotes
                    else f"a complete trial takes {needed}: give more time, or lower max-resource"
                )
            )

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """Say it if it came to nothing before it was known what a unit takes."""
        scheduler = view.scheduler
        if self._compared or outcome.failures or scheduler.rejected or outcome.reason != "budget":
            return
        rungs = scheduler.counts()
        if scheduler.units and (len(rungs) == 1 or any(row.promoted for row in rungs)):
            return
        what = "anybody went on from the first rung" if scheduler.units else "the first unit was reported"
        say(
            f"warning: the budget of {format_duration(outcome.seconds)} ended before {what}; starting the "
            "workers is in it too: give more time"
        )

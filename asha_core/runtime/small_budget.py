"""The warning that only a running search can give: its budget is too small for its units."""

from __future__ import annotations

from asha_core.messages import Report
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Observer, Outcome, SearchView
from asha_core.runtime.terminal.streams import say
from asha_core.runtime.units import format_duration


class SmallBudget(Observer):
    """Warns once if the budget ends before anybody goes on from the first rung: after the first unit is
    timed, or, if there never was one, at the end.
    """

    def __init__(self) -> None:
        self._compared = False

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Compare the budget with what the first reported unit took."""
        deadline = view.budget.deadline
        if self._compared or deadline is None or not isinstance(event, Report) or event.seconds <= 0:
            return
        self._compared = True
        left = (deadline - view.now) / event.seconds  # units that one worker can still train
        affordable, whose = left * len(view.slots) + view.scheduler.units, ""
        promotes, first = len(view.scheduler.levels) > 1, view.scheduler.levels[0]
        needed = view.scheduler.units_to_first_promotion if promotes else first
        if len(view.slots) > 1 and left + event.resource < first:  # no number of workers trains one trial
            affordable, whose, needed = left + event.resource, " a worker", first
        if affordable < needed:
            say(
                f"warning: a unit takes {format_duration(event.seconds)}, so the budget of "
                f"{format_duration(deadline)} buys about {affordable:.0f} units{whose}, and "
                + (
                    f"the first rung needs {needed}: nothing will be promoted; give more time, or lower "
                    "min-resource"
                    if promotes
                    else f"a complete trial takes {needed}: give more time, or lower max-resource"
                )
            )

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """Say it if not even one trial reached the first rung."""
        heard = outcome.failures or view.scheduler.rejected
        if not self._compared and not heard and outcome.reason == "budget":
            say(
                f"warning: the budget of {format_duration(outcome.seconds)} ended before the first unit was "
                "reported; starting the workers is in it too: give more time"
            )

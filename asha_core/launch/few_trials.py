"""What is said of a search with too few trials for its rungs."""

from __future__ import annotations

from asha_core.runtime.units import counted
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import Forecast, enough_for_the_top


def few_trials(scheduler: Scheduler, slots: int) -> str:
    """A line if nothing can be promoted, or no trial is expected to be trained in full; else nothing."""
    few = scheduler.trial_limit
    if few is None:
        return ""
    if few < scheduler.least_trials and len(scheduler.levels) > 1:
        return (
            f"warning: {counted(few, 'trial')} with reduction factor {scheduler.reduction_factor} "
            "cannot finish the first rung: nothing will be promoted; use at least "
            f"{scheduler.reduction_factor}"
        )
    if round(Forecast(scheduler, few, slots, longest=True).in_full) == 0:
        return (
            f"note: of {few} trials none is expected to reach the last rung ({scheduler.levels[-1]}): "
            f"that takes {enough_for_the_top(scheduler, slots)}, or a lower --max-resource"
        )
    return ""

"""What options lead to that their user may not expect: said when a search begins, and by ``--plan``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.runtime.units import counted
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import Forecast, enough_for_the_top


def notes_on(options: Mapping[str, Any], scheduler: Scheduler, slots: int) -> list[str]:
    """Lines for its user, before it begins."""
    notes: list[str] = []
    few = scheduler.trial_limit
    if few is not None and options["max_trials"] is None and scheduler.max_trials is not None:
        notes.append(f"no limit given: stopping after {few} trials (--max-trials, --budget)")
    if few is not None and few < scheduler.least_trials and len(scheduler.levels) > 1:
        notes.append(
            f"warning: {counted(few, 'trial')} with reduction factor {scheduler.reduction_factor} "
            "cannot finish the first rung: nothing will be promoted; use at least "
            f"{scheduler.reduction_factor}"
        )
    elif few is not None and round(Forecast(scheduler, few, slots, longest=True).in_full) == 0:
        notes.append(
            f"note: of {few} trials none is expected to reach the last rung ({scheduler.levels[-1]}): "
            f"that takes {enough_for_the_top(scheduler, slots)}, or a lower --max-resource"
        )
    return notes

"""What options lead to that their user may not expect: said when a search begins, and by ``--plan``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asha_core.schedulers.base import Scheduler

if TYPE_CHECKING:
    from trials.task import Task


def notes_on(options: Mapping[str, Any], task: Task, scheduler: Scheduler) -> list[str]:
    """Lines for its user, before it begins."""
    notes = list(task.plan_notes())
    few = scheduler.trial_limit
    if few is not None and options["max_trials"] is None and scheduler.max_trials is not None:
        notes.append(f"no limit given: stopping after {few} trials (--max-trials, --budget)")
    return notes

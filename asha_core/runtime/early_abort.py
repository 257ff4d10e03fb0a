"""When the next trials would fail as the first ones did: stop, and say why, instead of burning the budget."""

from __future__ import annotations

import re

from asha_core.errors import HopelessError, TaskError
from asha_core.messages import Event, Failed, Lost, Report
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status

# numbers and addresses, which differ where the error is the same
_NUMBER = re.compile(
    r"0x[0-9a-f]{5,}|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?\b(?:inf|nan)\b", re.IGNORECASE
)
_MISTAKES = 3  # of this package's own errors, which say what the user can do
_FAILURES = 5  # trials with the same error of any other kind
_REJECTIONS = 100  # invalid configurations in a row


class EarlyAbort:
    """Raises ``TaskError`` from ``on_event`` when a search should not go on.

    Three setup mistakes or five equal failures before anybody reported a unit; or a hundred refused
    configurations in a row.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._failures: list[tuple[str, str]] = []  # kind and error, without numbers, of failed trials
        self._refused = 0

    def on_event(self, event: Event) -> None:
        """An event that the scheduler has taken in."""
        if isinstance(event, Report):
            self._refused = 0
        elif isinstance(event, Failed) and event.kind == "invalid":
            self._refused += 1
            if self._refused >= _REJECTIONS:
                raise TaskError(
                    f"{self._refused} configurations in a row were refused, the last one with: {event.error}"
                )
        elif isinstance(event, Failed | Lost) and self._failed_at_once(event.trial):
            self._count(event)

    def _failed_at_once(self, trial: int) -> bool:
        return not self._scheduler.units and self._scheduler.trials[trial].status == Status.FAILED

    def _count(self, event: Failed | Lost) -> None:
        error, kind = (event.error, event.kind) if isinstance(event, Failed) else (event.reason, "lost")
        self._failures.append((kind, _NUMBER.sub("#", error)))
        number = len(self._failures)
        most = self._scheduler.trial_limit or _FAILURES
        if kind == "setup" and sum(k == "setup" for k, _ in self._failures) >= min(_MISTAKES, most):
            raise TaskError(error)
        if number >= _FAILURES and len(set(self._failures)) == 1:
            raise HopelessError(
                f"the first {number} trials all failed with the same error, so the search was stopped: "
                f"{error} (trials/{event.trial}/log.txt); when it is mended, --resume with --retry-failed "
                "tries them again"
            )

"""What people want to hear of while a search runs, in one line each."""

from __future__ import annotations

from asha_core.messages import Failed, Lost, Rejected
from asha_core.runtime.executor import ExecutorEvent, Notice, Retired, WorkerReady
from asha_core.runtime.observers import SearchView, describe, one_line, value_text
from asha_core.schedulers.state import Best, Status


def notable(view: SearchView, event: ExecutorEvent) -> str | None:
    """A line on an event that people want to hear of; None for the others."""
    match event:
        case Failed():
            again = " once more, alone on its device" if _waits(view, event.trial) else ""
            how = f"ran out of memory, and goes{again}" if again else "failed"
            return f"trial {event.trial} {how}: {one_line(event.error)} (trials/{event.trial}/log.txt)"
        case Lost():
            if not event.counts:
                return None  # the search was stopped, or says itself that the disk is full
            then = "goes again" if _waits(view, event.trial) else "no retries left, so it counts as failed"
            return f"trial {event.trial} lost: {one_line(event.reason, 200)}; {then}"
        case Notice():
            return one_line(event.text, 400)  # advice stands at its end
        case Retired():
            return f"worker {event.slot} is given up, the others go on: {one_line(event.reason)}"
        case Rejected():
            return f"trial {event.trial} rejected before its first unit: {one_line(event.reason)}"
        case WorkerReady():
            return f"worker {event.slot} ready on {event.device}"
    return None


def _waits(view: SearchView, trial: int) -> bool:
    return view.scheduler.trials[trial].status == Status.WAITING


class NewBest:
    """Notices a new best, once a look."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None

    def line(self, view: SearchView, metric: str, unit: str) -> str | None:
        """A line if there is a new best since the last look."""
        best = view.scheduler.best
        if best is None or self._seen == (best.trial, best.resource):
            return None
        self._seen = (best.trial, best.resource)
        return f"{_described(best, metric, unit)}: {describe(best.configuration)}"


class FormerBest:
    """Notices a best that was beaten since the last look; the one that stands is shown elsewhere."""

    def __init__(self) -> None:
        self._best: Best | None = None
        self._since = 0.0

    def line(self, view: SearchView, metric: str, unit: str) -> tuple[float, str] | None:
        """When it became the best, and a line, if there is another one now."""
        best, before, since = view.scheduler.best, self._best, self._since
        if best is None or (before is not None and _place(before) == _place(best)):
            return None
        self._best, self._since = best, view.now
        return None if before is None else (since, _described(before, metric, unit))


def _place(best: Best) -> tuple[int, int]:
    return best.trial, best.resource


def _described(best: Best, metric: str, unit: str) -> str:
    return f"best {metric} {value_text(best.value)} by trial {best.trial} at {unit} {best.resource}"


def better(mode: str) -> str:
    """Which values of a metric of ``mode`` are better: "higher is better"."""
    return f"{'higher' if mode == 'max' else 'lower'} is better"


def without_best(units: int) -> str:
    """Why there is no best after so many units of all trials together."""
    return "no trial reported a finite value" if units else "no trial reported a value"

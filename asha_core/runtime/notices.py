"""What people want to hear of while a search runs, in one line each."""

from __future__ import annotations

from asha_core.messages import Failed, Lost, Rejected
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from asha_core.runtime.observers import SearchView, describe, one_line


def notable(view: SearchView, event: ExecutorEvent) -> str | None:
    """A line on an event that people want to hear of; None for the others."""
    match event:
        case Failed():
            return f"trial {event.trial} failed: {one_line(event.error)} (trials/{event.trial}/log.txt)"
        case Lost():
            return f"trial {event.trial} lost: {one_line(event.reason)}"
        case Rejected():
            return f"trial {event.trial} rejected before its first unit: {one_line(event.reason)}"
        case WorkerReady():
            return f"worker {event.slot} ready on {event.device} after {event.seconds:.1f}s"
    return None


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
        return (
            f"best {metric} {best.value:.4f} by trial {best.trial} at {unit} {best.resource}: "
            f"{describe(best.configuration)}"
        )

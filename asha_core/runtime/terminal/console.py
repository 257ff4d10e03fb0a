"""What a search tells people and programs while it runs: plain lines, JSON lines, or nothing.

Everything goes to the standard error stream, so that standard output holds results alone. The rich
live view is in ``live.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from asha_core.arguments import one_of
from asha_core.messages import Job
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Observer, Outcome, SearchView, describe, describe_outcome
from asha_core.runtime.storage.records import event_record, job_record, to_json
from asha_core.runtime.terminal.encodings import json_for
from asha_core.runtime.terminal.notices import NewBest, notable
from asha_core.runtime.terminal.streams import is_live_terminal, say
from asha_core.runtime.units import counted, format_duration

PROGRESS = ("auto", "rich", "plain", "json", "none")
_STATUS_SECONDS = 10.0
_BEST_SECONDS = 1.0
_LEAST_HEADING = 6


def make_console(progress: str, title: str, metric: str, unit: str) -> Observer:
    """The observer that ``--progress`` names.

    Args:
        progress: one of ``PROGRESS``; "auto" is rich on a terminal, plain elsewhere.
        title: what is searched, in a few words.
        metric, unit: names for people.
    Raises:
        SettingError: another name.
    """
    one_of("progress", progress, PROGRESS)
    if progress == "auto":
        progress = "rich" if is_live_terminal(sys.stderr) else "plain"
    if progress == "rich":
        from asha_core.runtime.terminal.live import LiveView

        return LiveView(title, metric, unit)
    if progress == "plain":
        return PlainLines(title, metric, unit)
    return JsonLines() if progress == "json" else Observer()


class PlainLines(Observer):
    """A line for each new best, failure and lost worker, and a status line every ten seconds."""

    def __init__(self, title: str, metric: str, unit: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._metric = metric
        self._unit = unit
        self._stream = stream
        self._best = NewBest()
        self._status_at = _STATUS_SECONDS
        self._best_at = 0.0

    def _say(self, seconds: float, line: str) -> None:
        say(f"[{format_duration(seconds):>7}] {line}", self._stream)

    def on_start(self, view: SearchView) -> None:
        """Say what is searched."""
        self._say(view.now, self._title)

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Say what is notable."""
        line = notable(view, event)
        if line is not None:
            self._say(view.now, line)

    def on_tick(self, view: SearchView) -> None:
        """Say what is the best, at most once a second, and how far the search is, now and then."""
        if view.now >= self._best_at:
            line = self._best.line(view, self._metric, self._unit)
            if line is not None:
                self._say(view.now, line)
                self._best_at = view.now + _BEST_SECONDS
        if view.now < self._status_at:
            return
        self._status_at = view.now + _STATUS_SECONDS
        rungs = " ".join(f"{row.level}:{row.reached}" for row in view.scheduler.counts())
        progress = view.progress()
        left = (
            ""
            if progress is None
            else (
                f", {progress[0]:.0%}, about {format_duration(progress[1])} left" if progress[0] > 0 else ""
            )
        )
        settled = describe(view.scheduler.state())
        self._say(
            view.now,
            f"{counted(len(view.scheduler.trials), 'trial')}, {counted(view.scheduler.units, self._unit)}, "
            f"reached by {self._unit} {rungs}{f', {settled}' if settled else ''}{left}"
            if any(slot.ready for slot in view.slots)
            else "workers are starting",
        )

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """Say how it ended."""
        line = self._best.line(view, self._metric, self._unit)
        if line is not None:
            self._say(outcome.seconds, line)
        self._say(outcome.seconds, describe_outcome(outcome, self._unit))


class JsonLines(Observer):
    """Every job and event as one JSON object a line, for programs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def _say(self, view: SearchView, record: dict[str, object]) -> None:
        record = {"t": round(view.now, 6), **record}
        say(json_for(self._stream or sys.stderr, to_json(record)), self._stream)

    def on_job(self, view: SearchView, job: Job, slot: int) -> None:
        """The job's record."""
        self._say(view, job_record(job, slot))

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """The event's record."""
        self._say(view, event_record(event))

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """How it ended."""
        self._say(view, {"type": "end", "reason": outcome.reason})


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Right-aligned columns for any stream: no colours, no box, no wrapping.

    Args:
        width: characters a line; where the columns need more, long headings are cut short. None: no limit.
    """
    columns = range(len(header))
    widths = [max(len(row[column]) for row in [header, *rows]) for column in columns]
    if width is not None and sum(widths) + 2 * len(widths) - 2 > width:
        cells = [max((len(row[column]) for row in rows), default=0) for column in columns]
        widths = [min(w, max(cell, _LEAST_HEADING)) for w, cell in zip(widths, cells, strict=True)]
        header = [
            name if len(name) <= w else f"{name[: w - 1]}…" for name, w in zip(header, widths, strict=True)
        ]
    return "\n".join(
        "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in [header, *rows]
    )

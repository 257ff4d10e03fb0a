"""What a search tells people and programs while it runs: plain lines, JSON lines, or nothing.

Everything goes to the standard error stream, so that standard output holds results alone. The rich
live view is in ``live.py``.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from asha_core.arguments import one_of
from asha_core.messages import Job
from asha_core.runtime.executor import ExecutorEvent, Notice
from asha_core.runtime.observers import Observer, Outcome, SearchView, describe, describe_outcome
from asha_core.runtime.storage.records import event_record, job_record, to_json
from asha_core.runtime.terminal.encodings import json_for
from asha_core.runtime.terminal.notices import NewBest, better, notable
from asha_core.runtime.terminal.streams import in_notebook, is_live_terminal, say
from asha_core.runtime.units import abridged, counted, format_duration

PROGRESS = ("auto", "rich", "plain", "json", "none")
_STATUS_SECONDS = 10.0
_BEST_SECONDS = 1.0
_HEADING = re.compile(r"[^_. -]{1,14}[_. -]?")  # of a heading, what stays on one line


def make_console(progress: str, title: str, metric: str, unit: str, *, virtual: bool = False) -> Observer:
    """The observer that ``--progress`` names.

    Args:
        progress: one of ``PROGRESS``; "auto" is rich on a terminal and in a notebook, plain elsewhere.
        title: what is searched, in a few words.
        metric, unit: names for people.
        virtual: the search is one in virtual time, whose every moment passes at once: there is nothing to
            look at, so "auto" and "rich" are "plain".
    Raises:
        SettingError: another name.
    """
    one_of("progress", progress, PROGRESS)
    if virtual and progress in ("auto", "rich", "plain"):
        return PlainLines(title, metric, unit, virtual=True)
    notebook = in_notebook()
    if progress == "auto":
        progress = "rich" if notebook or is_live_terminal(sys.stderr) else "plain"
    if progress == "rich" and notebook:
        from asha_core.runtime.terminal.notebook import NotebookView

        return NotebookView(title, metric, unit)
    if progress == "rich":
        from asha_core.runtime.terminal.live import LiveView

        return LiveView(title, metric, unit)
    if progress == "plain":
        return PlainLines(title, metric, unit)
    return JsonLines() if progress == "json" else Observer()


class PlainLines(Observer):
    """A line for each new best, failure and lost worker, and a status line every ten seconds.

    In virtual time, of which much passes at once, lines become rarer as the search goes on, and trials that
    fail are counted.
    """

    def __init__(
        self, title: str, metric: str, unit: str, stream: TextIO | None = None, *, virtual: bool = False
    ) -> None:
        self._virtual = virtual
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
        """Say what is searched, and which values are better."""
        self._status_at = self._later(view.now, _STATUS_SECONDS, 1.0)  # a search that goes on has a past
        self._say(view.now, f"{self._title}; of {self._metric}, {better(view.scheduler.mode)}")

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Say what is notable."""
        if self._virtual and not isinstance(event, Notice):
            return
        line = notable(view, event)
        if line is not None:
            self._say(view.now, line)

    def _later(self, now: float, seconds: float, share: float) -> float:
        """When to say more, at the earliest: ``share`` of what has passed of virtual time must pass."""
        return now + max(seconds, share * now if self._virtual else 0.0)

    def on_tick(self, view: SearchView) -> None:
        """Say what is the best, at most once a second, and how far the search is, now and then."""
        if view.now >= self._best_at:
            line = self._best.line(view, self._metric, self._unit)
            if line is not None:
                self._say(view.now, line)
                self._best_at = self._later(view.now, _BEST_SECONDS, 0.1)
        if view.now < self._status_at:
            return
        self._status_at = self._later(view.now, _STATUS_SECONDS, 1.0)
        starting = not any(slot.ready for slot in view.slots) and any(slot.job for slot in view.slots)
        self._say(view.now, "workers are starting" if starting else self._status(view))

    def _status(self, view: SearchView) -> str:
        scheduler = view.scheduler
        parts = [counted(len(scheduler.trials), "trial"), counted(scheduler.units, self._unit)]
        reached = [
            f"{self._unit} {row.level} by {row.reached:,}" for row in scheduler.counts() if row.reached
        ]
        parts += ["reached " + ", ".join(abridged(reached))] if reached else []
        parts += filter(None, [describe(scheduler.state())])
        if self._virtual and scheduler.failures:
            parts.append(f"{scheduler.failures:,} failed")
        progress = view.progress()
        if progress is not None and progress[0] > 0:
            left = f", about {format_duration(progress[1])} left" if math.isfinite(progress[1]) else ""
            parts.append(f"{progress[0]:.0%} done{left}")
        return "; ".join(parts)

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
    """Right-aligned columns for any stream: no colours, no box.

    Args:
        width: characters a line; where the columns need more, long headings take several lines, and if that
            is not enough, the last columns come below the others, with the first one again. None: no limit.
    """
    columns = list(range(len(header)))
    widths = [max(len(row[column]) for row in [header, *rows]) for column in columns]
    if width is None or _line_width(widths) <= width:
        return _block(header, rows, columns, widths)
    cells = [max((len(row[column]) for row in rows), default=0) for column in columns]
    headings = [max(map(len, _HEADING.findall(name)), default=0) for name in header]
    widths = [max(cell, heading) for cell, heading in zip(cells, headings, strict=True)]
    blocks = [columns[:1]]
    for column in columns[1:]:
        wider = [*blocks[-1], column]
        if len(wider) > 2 and _line_width([widths[each] for each in wider]) > width:
            blocks.append([0, column])
        else:
            blocks[-1] = wider
    return "\n\n".join(_block(header, rows, block, widths) for block in blocks)


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * len(widths) - 2


def _block(
    header: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], widths: Sequence[int]
) -> str:
    """Some columns of a table; headings that are wider than their column are broken at word ends."""
    broken = {column: _broken(header[column], widths[column]) for column in columns}
    height = max(map(len, broken.values()))
    headings = [
        {column: ([""] * (height - len(words)) + words)[line] for column, words in broken.items()}
        for line in range(height)
    ]
    lines = [*headings, *({column: row[column] for column in columns} for row in rows)]
    return "\n".join("  ".join(line[column].rjust(widths[column]) for column in columns) for line in lines)


def _broken(heading: str, width: int) -> list[str]:
    if len(heading) <= width:
        return [heading]
    lines = [""]
    for word in _HEADING.findall(heading):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines if line.strip()]

"""The live view: rungs, the best so far, progress, workers and recent events, redrawn in place."""

from __future__ import annotations

import math
import sys
from collections import deque
from contextlib import suppress
from operator import itemgetter

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Observer, Outcome, SearchView, describe, describe_outcome, value_text
from asha_core.runtime.terminal.notices import FormerBest, better, notable
from asha_core.runtime.terminal.streams import UNUSABLE, is_terminal
from asha_core.runtime.units import format_duration

_FRAME_SECONDS = 0.25
_RECENT = 6


class LiveView(Observer):
    """Redraws at most four times a second, whatever the rate of events.

    Args:
        title: what is searched.
        metric, unit: names for people.
        console: where to draw; standard error.
    """

    def __init__(self, title: str, metric: str, unit: str, console: Console | None = None) -> None:
        self._title = title
        self._metric = metric
        self._unit = unit
        self._console = console or Console(stderr=True)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=is_terminal(sys.stdout),  # a redirected one stays where the user sent it
        )
        self._recent: deque[tuple[float, str]] = deque(maxlen=_RECENT)
        self._warnings: list[str] = []
        self._former = FormerBest()
        self._drawn = -math.inf

    def on_start(self, view: SearchView) -> None:
        """Begin to draw."""
        with suppress(*UNUSABLE):
            self._live.start()
        self._draw(view)

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Remember what is notable."""
        line = notable(view, event)
        if line is not None:
            self._recent.append((view.now, line))
            if line.startswith("warning:"):  # has no room there, and is to be read when it is over
                self._warnings.append(line)

    def on_tick(self, view: SearchView) -> None:
        """Redraw, if a frame is due."""
        if view.now - self._drawn >= _FRAME_SECONDS:
            self._draw(view)

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """Leave what was searched, what was warned of, and how it ended."""
        with suppress(*UNUSABLE):
            lines = [self._title, *self._warnings, describe_outcome(outcome, self._unit)]
            self._console.print(Text("\n".join(lines)))

    def close(self) -> None:
        """Clear the view and give the terminal back."""
        with suppress(*UNUSABLE):
            self._live.stop()

    def _draw(self, view: SearchView) -> None:
        self._drawn = view.now
        former = self._former.line(view, self._metric, self._unit)
        if former is not None:
            self._recent.append(former)
        self._show(self.render(view))

    def _show(self, frame: RenderableType) -> None:
        with suppress(*UNUSABLE):  # the terminal is gone: no reason to stop
            self._live.update(frame, refresh=True)

    def render(self, view: SearchView) -> Group:
        """One frame, made to fit the terminal: with less room there are fewer events."""
        settled = describe(view.scheduler.state())
        title = f"{self._title}, {settled}" if settled else self._title
        parts: list[RenderableType] = [
            Text(title, style="bold", no_wrap=True, overflow="ellipsis"),
            self._progress(view),
            Text(),
            self._rungs(view),
            Text(),
            self._best_lines(view),
            Text(),
            self._workers(view),
        ]
        used = 9 + len(view.scheduler.levels) + 2 + len(view.slots)
        room = max(self._console.height - used - 1, 2)
        # the cursor stands on a line of its own: the ^C that a terminal writes there moves nothing
        return Group(*parts, Text(), self._events(room), Text())

    def _progress(self, view: SearchView) -> Table:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        progress = view.progress()
        fraction, left = progress if progress is not None else (0.0, math.inf)
        parts = [f"{format_duration(view.now)} gone"]
        if progress is not None:
            parts.insert(0, f"{fraction:.0%}")
            if math.isfinite(left):
                parts.append(f"about {format_duration(left)} left")
        bar = ProgressBar(total=1.0, completed=fraction, pulse=progress is None, animation_time=view.now)
        row.add_row(bar, ", ".join(parts))
        return row

    def _rungs(self, view: SearchView) -> Table:
        columns = ["running", "paused", "promoted", "stopped", "done", "failed"]
        if not view.scheduler.stops:
            columns.remove("stopped")
        rungs = view.scheduler.counts()
        if any(counts.carried for counts in rungs):
            columns.append("carried")
        table = _table(f"rung ({self._unit}s)", *columns)
        for counts in rungs:
            numbers = [getattr(counts, column) for column in columns]
            table.add_row(str(counts.level), *(str(number) if number else "·" for number in numbers))
        return table

    def _best_lines(self, view: SearchView) -> Text:
        best = view.scheduler.best
        if best is None:
            return Text(f"no report yet; of {self._metric}, {better(view.scheduler.mode)}\n", style="dim")
        return Text.assemble(
            (f"best {self._metric} {value_text(best.value)}", "bold green"),
            f" ({better(view.scheduler.mode)})  trial {best.trial} at {self._unit} {best.resource}\n"
            f"{describe(best.configuration)}",
            overflow="ellipsis",
            no_wrap=True,
        )

    def _workers(self, view: SearchView) -> Table:
        table = _table("worker", "device", "trial", self._unit, "value", f"{self._unit}s/min")
        for slot in view.slots:
            if slot.retired:
                doing = ("·", "given up", "·", "·")
            elif slot.job is None:
                doing = ("·", "idle" if slot.ready else "starting", "·", "·")
            else:
                rate = 60 / slot.unit_seconds if slot.unit_seconds > 0 else math.nan
                doing = (
                    str(slot.job.trial),
                    f"{slot.resource}/{slot.job.until}" if slot.ready else "starting",
                    value_text(slot.value) if slot.resource > slot.job.start else "·",
                    f"{rate:.1f}" if math.isfinite(rate) else "·",
                )
            table.add_row(str(slot.index), slot.device, *doing)
        return table

    def _events(self, room: int) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(style="dim", no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        newest_first = list(self._recent)[::-1]  # and so they stay where two have one time
        for seconds, line in sorted(newest_first, key=itemgetter(0), reverse=True)[:room]:
            table.add_row(format_duration(seconds), Text(line))
        return table


def _table(*columns: str) -> Table:
    """Right-aligned columns without a box: every line counts on a small terminal."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for column in map(Text, columns):  # a unit's name is no markup
        table.add_column(column, justify="right", no_wrap=True)
    return table

"""One progress view for a whole study: redrawn in place on a terminal, plain lines elsewhere."""

from __future__ import annotations

import itertools
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from asha_core.arguments import one_of
from asha_core.runtime.terminal.streams import UNUSABLE, is_live_terminal, say
from asha_core.runtime.units import counted, format_duration
from asha_core.study.planned_runs import PlannedRun

if TYPE_CHECKING:
    from rich.console import RenderableType

PROGRESS = ("auto", "rich", "plain", "none")
_FRAME = 0.25
_BEHIND = 20_000  # lines that wait for a slow terminal
_AT_ONCE = 1_000  # lines that are printed at a time
_PATIENCE = 5.0  # seconds for a terminal that is slow in the end
_SAY_EVERY = 10.0  # seconds between lines on simulated runs
_OUTPUT = 12  # lines of the runs' output that the view on a terminal keeps


class View:
    """Says nothing; the base of the others.

    Args:
        total: runs of the study.
        done: how many of them were complete before.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = self.before = done
        self.failed: list[str] = []
        self.running: dict[str, tuple[float, str]] = {}  # id -> since when, its last line
        self.seconds: list[float] = []  # of the runs that ended well
        self.slots = 1
        self.began = time.monotonic()
        self._told = -math.inf  # when simulated runs were told of
        self.lock = threading.Lock()  # two threads for each run say lines

    def on_start(self, run: PlannedRun) -> None:
        """A run has begun."""
        with self.lock:
            self.running[run.id] = (time.monotonic(), "")

    def on_line(self, run: PlannedRun, stream: str, text: str) -> None:
        """A run has printed a line."""
        with self.lock:
            if run.id in self.running:  # what a process of it that outlived it prints does not bring it back
                self.running[run.id] = (self.running[run.id][0], text)
            self.show(f"[{run.id}] {text}")

    def on_end(self, run: PlannedRun, well: bool, seconds: float, how: str) -> None:
        """A run has ended; ``how`` says it in words."""
        with self.lock:
            self.running.pop(run.id, None)
            if well:
                self.done += 1
                self.seconds.append(seconds)
            else:
                self.failed.append(run.id)
            finished = self.done + len(self.failed)
            self.show(
                f"[{finished}/{self.total}] {run.id}: {how} in {format_duration(seconds)}{self.time_left()}",
                loud=True,
            )

    def on_batch(self, done: int, failed: Sequence[str], seconds: float) -> None:
        """Several simulated runs have ended, ``done`` of them well; they took ``seconds`` of a process."""
        with self.lock:
            self.done += done
            self.failed += failed
            self.seconds += [seconds / max(done, 1)] * done
            finished = self.done + len(self.failed)
            now = time.monotonic()
            if finished == self.total or now - self._told >= _SAY_EVERY:
                self._told = now
                self.show(f"[{finished}/{self.total}] simulated{self.time_left()}", loud=True)

    def time_left(self) -> str:
        """How long the rest will take about, by the mean of the runs so far."""
        rest = self.total - self.done - len(self.failed)
        if not self.seconds or not rest:
            return ""
        mean = sum(self.seconds) / len(self.seconds)
        return f"; about {format_duration(mean * rest / self.slots)} left"

    def show(self, text: str, *, loud: bool = False) -> None:
        """A line for the user; ``loud``: about the study itself."""

    def tick(self) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Give the terminal back."""


class PlainView(View):
    """Every line of every run, with its name before it, on standard error.

    A thread of its own prints: a terminal that is slow, or stopped by Ctrl-S, must not hold up the searches,
    whose seconds are measured. It is as many lines behind as are kept for it; more of them are counted.
    """

    def __init__(self, total: int, done: int, stream: TextIO | None = None) -> None:
        super().__init__(total, done)
        self._stream = stream
        self._lines: deque[str] = deque()
        self._missed = 0
        self._open = True
        self._changed = threading.Condition()
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    def show(self, text: str, *, loud: bool = False) -> None:
        """Have it printed."""
        with self._changed:
            if loud or len(self._lines) < _BEHIND:
                if self._missed and (loud or len(self._lines) < _BEHIND // 2):
                    self._lines.append(
                        f"({counted(self._missed, 'line')} not shown: see stdout.log, stderr.log)"
                    )
                    self._missed = 0
                self._lines.append(text)
            else:
                self._missed += 1
            self._changed.notify()

    def _print(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or not self._open)
                if not self._lines:
                    return
                text = "\n".join(itertools.islice(self._lines, _AT_ONCE))
                for _ in range(min(_AT_ONCE, len(self._lines))):
                    self._lines.popleft()
            say(text, self._stream)

    def close(self) -> None:
        """Print what is left, if somebody reads it."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._printer.join(_PATIENCE)


class RichView(View):
    """The study's progress, what runs, and the last lines that the runs printed, redrawn in place."""

    def __init__(self, total: int, done: int) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(total, done)
        self._lines: list[str] = []
        self._live = Live(
            console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False
        )
        with suppress(*UNUSABLE):
            self._live.start()
        self._drawn = 0.0

    def show(self, text: str, *, loud: bool = False) -> None:
        """Keep it for the next frame; what is about the study stays on the terminal."""
        if loud:
            from rich.text import Text

            with suppress(*UNUSABLE):
                self._live.console.print(Text(text))
        else:
            self._lines = [*self._lines[-_OUTPUT + 1 :], text]

    def tick(self) -> None:
        """Redraw, if a frame is due."""
        if time.monotonic() - self._drawn >= _FRAME:
            self._drawn = time.monotonic()
            frame = self.render()
            with suppress(*UNUSABLE):
                self._live.update(frame, refresh=True)

    def render(self) -> RenderableType:
        """The view as it is now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        with self.lock:
            finished = self.done + len(self.failed)
            failed = f", {len(self.failed)} failed" if self.failed else ""
            head = Text(
                f"{finished} of {counted(self.total, 'run')}{failed}, "
                f"{format_duration(time.monotonic() - self.began)}{self.time_left()}"
            )
            table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
            table.add_column(no_wrap=True)
            table.add_column(justify="right", no_wrap=True)
            table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
            for name, (since, text) in self.running.items():
                table.add_row(Text(name), format_duration(time.monotonic() - since), Text(text, style="dim"))
            output = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines]
        bar = ProgressBar(total=max(self.total, 1), completed=finished)
        # the last line is free: ^C, written at the end of a full one, would leave the first line behind
        return Group(head, bar, table, Text(""), *output, Text(""))

    def close(self) -> None:
        """Clear the view."""
        with suppress(*UNUSABLE):
            self._live.stop()


def make_view(progress: str, total: int, done: int) -> View:
    """The view that ``--progress`` names; "auto" is rich on a terminal, plain elsewhere.

    Raises:
        SettingError: another name.
    """
    one_of("progress", progress, PROGRESS)
    if progress == "auto":
        progress = "rich" if is_live_terminal(sys.stderr) else "plain"
    kinds: dict[str, type[View]] = {"rich": RichView, "plain": PlainView, "none": View}
    return kinds[progress](total, done)

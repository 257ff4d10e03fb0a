"""Who watches a search: the live view, the leaderboard, anybody's own code.

Observers are called by the engine's loop, in order, and own nothing of it. What they may look at is
the ``SearchView``. None of them can end the search (``audience``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from asha_core.errors import SettingError
from asha_core.messages import Job, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import ExecutorEvent, Notice
from asha_core.runtime.pace import Pace, seconds_left
from asha_core.runtime.units import counted, format_duration
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.forecast import Forecast
from asha_core.schedulers.state import Best, improves
from asha_core.space import stored


@dataclass(slots=True)
class SlotView:
    """What one slot is doing: a worker process, or in-line the process itself.

    Attributes:
        index: its number, from 0.
        device: "cuda:0" or "cpu".
        job: what it works at; None: nothing just now.
        resource: the last unit that was reported here, or at which the job began.
        value: what was reported there; NaN before the first report.
        unit_seconds: what that unit took; NaN likewise.
        ready: its worker is up.
        retired: no worker could be started here; the search goes on without it.
        pace: what units took of the worker that is there now.
    """

    index: int
    device: str
    job: Job | None = None
    resource: int = 0
    value: float = math.nan
    unit_seconds: float = math.nan
    ready: bool = False
    retired: bool = False
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True)
class SearchView:
    """A running search as observers see it. Owned by the loop: look, and change nothing but ``notices``.

    Attributes:
        scheduler: with ``trials``, ``best``, ``units``, ``failures``, ``rejected``, ``levels``, ``mode`` and
            ``counts()``; an event has been told to it before observers hear of it.
        budget: when the search stops; ``budget.deadline`` in seconds, or None.
        slots: what runs where.
        now: seconds of the search, those of earlier sessions included.
        warm_start_seconds, training_seconds: spent up to now, of all workers together.
        notices: append a ``Notice(text)`` to have a line journalled and shown.
        ending: this is the last tick.
    """

    scheduler: Scheduler
    budget: Budget
    slots: list[SlotView]
    now: float = 0.0
    warm_start_seconds: float = 0.0
    training_seconds: float = 0.0
    notices: list[Notice] = field(default_factory=list)
    ending: bool = False
    _forecast: tuple[tuple[int, float | None], float] | None = None

    def progress(self) -> tuple[float, float] | None:
        """(fraction done, seconds left) by the limit that is nearest to its end; None without a limit.

        The seconds are infinite as long as nothing can be said of them.
        """
        estimates = []
        deadline = self.budget.deadline
        if deadline is not None:
            done = min(self.now / deadline, 1.0) if deadline > 0 else 1.0
            estimates.append((done, max(deadline - self.now, 0.0)))
        scheduler = self.scheduler
        if scheduler.trial_limit is not None:
            expected = self._expected_units(scheduler.trial_limit)
            # promotions can exceed the forecast: what is running is still to come, whatever was expected
            running = sum(slot.job.until - slot.resource for slot in self.slots if slot.job is not None)
            expected = max(expected, scheduler.units + running)
            estimates.append((scheduler.units / expected, self._seconds_left(expected - scheduler.units)))
        if not estimates:
            return None
        fraction, left = max(done for done, _ in estimates), min(left for _, left in estimates)
        unknown = left > 0 and any(math.isinf(seconds) for _, seconds in estimates)
        return fraction, math.inf if unknown else left  # it may be over long before its deadline

    def _seconds_left(self, units: float) -> float:
        return seconds_left([slot.pace for slot in self.slots if not slot.retired], units, self.now)

    def _expected_units(self, trials: int) -> float:
        """The forecast; made again when the scheduler settles something, such as how far it goes."""
        settled = self.scheduler.state().get("unlocked")
        if self._forecast is None or self._forecast[0] != (trials, settled):
            try:
                expected = Forecast(self.scheduler, trials, max(len(self.slots), 1)).units
            except SettingError:  # it cannot be rehearsed
                expected = float(self.scheduler.expected_units(trials))
            self._forecast = (trials, settled), expected
        return self._forecast[1]


EARLY = ("stop_at", "patience")  # with more to do, as was asked for
FINISHED = ("complete", "budget", *EARLY)  # of another reason: it did not get all that it was to get


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended."""

    reason: str  # "complete" (every configuration was seen through), "budget", "interrupted", "error"; EARLY
    best: Best | None
    trials: int  # but for those rejected
    units: int  # of resource, by all trials together
    failures: int
    seconds: float  # of wall-clock
    gpu_seconds: float  # devices held times wall-clock
    warm_start_seconds: float  # of all workers together
    training_seconds: float  # likewise


class Observer:
    """Base of observers; every method may be left as it is.

    They are called one after the other in the thread that hands out jobs, so what takes long there keeps
    workers waiting. One that raises is told of once, in the terminal and the journal, and is left out from
    then on, but for its ``close``: the search goes on.

    Attributes:
        replays: whether, when a search is resumed, it hears of the jobs and events of the sessions before,
            ahead of ``on_start``. Their slots are not known any more: ``on_job`` is given 0.
    """

    replays: ClassVar[bool] = False

    def on_start(self, view: SearchView) -> None:
        """The search begins."""

    def on_job(self, view: SearchView, job: Job, slot: int) -> None:
        """A job was journalled and handed to a slot."""

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """An event was journalled and told to the scheduler.

        Of a trial: ``Report``, ``Finished``, ``Refined``, ``Rejected``, ``Failed``, ``Lost`` or ``Retried``.
        Of the engine: ``WorkerReady``, ``Notice`` or ``Retired``. Ask with ``isinstance``, and pass over
        others.
        """

    def on_tick(self, view: SearchView) -> None:
        """The loop went round: at least four times a second."""

    def on_end(self, view: SearchView, outcome: Outcome) -> None:
        """The search is over, interrupted ones too; not called when an error ended it."""

    def close(self) -> None:
        """Give back what is held, such as the terminal; called on every way out, before ``on_end``."""


@dataclass(slots=True)
class Standing:
    """One trial's place on the leaderboard."""

    trial: int
    value: float = math.nan  # its best; NaN before the first finite one
    resource: int = 0  # where it had its best
    order: int = 0  # how many reports had come before that one
    reached: int = 0  # the last unit it reported


@dataclass(slots=True)
class Leaderboard(Observer):
    """The best value of every trial; repeated units count once, as in the scheduler."""

    replays: ClassVar[bool] = True
    mode: str
    standings: dict[int, Standing] = field(default_factory=dict)
    reports: int = 0

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Keep the trial's best."""
        if not isinstance(event, Report):
            return
        standing = self.standings.get(event.trial)
        if standing is None:
            standing = self.standings[event.trial] = Standing(event.trial)
        if event.resource <= standing.reached:
            return
        standing.reached = event.resource
        self.reports += 1
        if improves(event.value, standing.value, self.mode):
            standing.value, standing.resource, standing.order = event.value, event.resource, self.reports

    def top(self, count: int) -> list[Standing]:
        """The best trials, best first; of equal values the one that had it first."""
        sign = -1.0 if self.mode == "max" else 1.0
        ranked = [standing for standing in self.standings.values() if standing.resource]
        return sorted(ranked, key=lambda s: (sign * s.value, s.order))[:count]


def describe_outcome(outcome: Outcome, unit: str = "unit") -> str:
    """How a search ended, in one line."""
    how = {
        "complete": "complete",
        "budget": "stopped at its budget",
        "stop_at": "stopped, good enough",
        "patience": "stopped, for nothing better came",
        "interrupted": "interrupted",
        "error": "ended by an error",
        "killed": "killed, or still running",
    }[outcome.reason]
    failed = f", {outcome.failures} failed" if outcome.failures else ""
    return (
        f"search {how}: {counted(outcome.trials, 'trial')}{failed}, {counted(outcome.units, unit)} "
        f"in {format_duration(outcome.seconds)}"
    )


def describe(configuration: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """Names and values on one line: ``lr=0.0123 layers=3``."""
    parts, values = [], stored(configuration)
    for name in names or values:
        value = values[name]
        parts.append(f"{name}={short(value)}")
    return " ".join(parts)


def value_text(value: float) -> str:
    """A metric's value: four decimals, or four digits where these would say nothing, or too much.

    >>> value_text(0.97), value_text(2.3234e-06), value_text(0.0), value_text(41234.5678)
    ('0.9700', '2.323e-06', '0.0000', '4.123e+04')
    """
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1e4 else f"{value:.4g}"


def short(value: Any) -> str:
    """A value in a few characters, on one line: floats with four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(short, value))}]"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(value))


def one_line(text: str, width: int = 100) -> str:
    """The first line of an error, or the last one of a traceback, short and printable."""
    lines = text.strip().splitlines() or [""]
    chosen = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    line = "".join(character if character.isprintable() else "?" for character in chosen.strip())
    return line if len(line) <= width else line[: width - 3] + "..."

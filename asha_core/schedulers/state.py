"""What a scheduler knows of its trials and rungs: plain records, owned by the scheduler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from asha_core.messages import Verdict
from asha_core.space import Configuration


class Status(IntEnum):
    """Where a trial is in its life; ``schedulers/base.py`` draws it."""

    RUNNING = 0
    WAITING = 1
    PAUSED = 2
    DONE = 3
    STOPPED = 4
    FAILED = 5
    REJECTED = 6


VERDICT_OF = {
    Status.RUNNING: Verdict.CONTINUE,
    Status.WAITING: Verdict.STOP,
    Status.PAUSED: Verdict.PAUSE,
    Status.DONE: Verdict.STOP,
    Status.STOPPED: Verdict.STOP,
    Status.FAILED: Verdict.STOP,
    Status.REJECTED: Verdict.STOP,
}


class TrialState:
    """What a scheduler knows of one trial. Owned by the scheduler; others only read it.

    Attributes:
        id: its number, from 0.
        configuration: what it trains with, after a warm start.
        before: what it trained with up to which unit, where a warm start changed that on the way.
        status: where it is in its life, a ``Status``.
        rung: index of the rung that it is in, or trains towards; the unit there is ``levels[rung]``.
        first: the rung at which it began: 0, but for the later brackets of Hyperband.
        resource: the last unit reported; 0: none yet.
        loss: reported there, lower is better; NaN: none yet.
        seconds: that its units took, as they were reported; counted by schedulers that learn.
        start, until: units from which to which its job trains, or trained.
        finished: it ended early by itself: where it goes on it arrives at once, with this loss.
        retried: it failed on its way to its rung, is an entry of it, and is tried again.
        attempt: how often its job was given again.
        faults: how often its worker died or hung.
        alone: it ran out of memory once: from then on no other job runs on its device.
        refined: a warm start was here, since it entered its rung if warm starts act at promotions.
        entered: the units from which a warm start may act: 0, or where it was promoted if they act there.
        seed: its own.
    """

    __slots__ = (
        "alone",
        "attempt",
        "before",
        "configuration",
        "entered",
        "faults",
        "finished",
        "first",
        "id",
        "loss",
        "refined",
        "resource",
        "retried",
        "rung",
        "seconds",
        "seed",
        "start",
        "status",
        "until",
    )

    def __init__(self, trial: int, configuration: Configuration, seed: int, first: int, until: int) -> None:
        self.id = trial
        self.configuration = configuration
        self.seed = seed
        self.status = Status.RUNNING
        self.first = first  # the rung at which it began: 0, but for the later brackets of Hyperband
        self.rung = first  # the rung it is in (paused, stopped, done) or trains towards (running, waiting)
        self.start = 0
        self.until = until
        self.attempt = 0
        self.faults = 0  # how often its worker died or hung
        self.alone = False  # it ran out of memory once: from then on no other job runs on its device
        self.resource = 0  # the last unit reported
        self.loss = math.nan  # reported there
        self.seconds = 0.0  # that its units took, as they were reported
        self.finished = False  # it ended early by itself: where it goes on it arrives at once, with this loss
        self.refined = False
        self.entered = 0
        self.before: tuple[tuple[int, Configuration], ...] = ()
        self.retried = False  # it failed on its way to its rung, is an entry of it, and is tried again

    def trained_with(self, resource: int) -> Configuration:
        """What it trained its unit ``resource`` with."""
        return next((each for until, each in self.before if resource <= until), self.configuration)


@dataclass(frozen=True, slots=True)
class RungCounts:
    """How many trials are where, for one rung."""

    level: int
    running: int = 0  # on their way to ``level``: in a worker, or waiting for one after theirs was lost
    paused: int = 0  # reached it, and wait
    promoted: int = 0  # went on from it
    stopped: int = 0  # reached it, and never go on
    done: int = 0  # reached it, and it is the last
    failed: int = 0  # on the way to it
    carried: int = 0  # of those that reached it: ended early by themselves, and did not train up to it

    @property
    def reached(self) -> int:
        """How many completed ``level`` units."""
        return self.paused + self.promoted + self.stopped + self.done


def improves(value: float, best: float, mode: str) -> bool:
    """Whether ``value`` is finite and better than ``best``, which is NaN where there was none before."""
    if not math.isfinite(value):
        return False
    return math.isnan(best) or (value > best if mode == "max" else value < best)


@dataclass(frozen=True, slots=True)
class Best:
    """The best value reported so far, by whom, and after how many units."""

    trial: int
    resource: int
    value: float
    configuration: Configuration

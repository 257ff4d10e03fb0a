"""Which silent workers are taken for hung, by a clock of our own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trials.executors.hang_detector import HangDetector
from trials.worker.processes import Stat


class Watch:
    """A worker that says nothing and uses a share of a core, looked at every second."""

    def __init__(self, share: float, timeout: float = 60.0) -> None:
        self.now, self.share = 0.0, share
        self.worker: Any = SimpleNamespace(pid=1, silence=None)
        self.detector = HangDetector(timeout, lambda: self.now, self._stat)
        self.detector.on_message(self.worker)

    def _stat(self, pid: int) -> Stat:
        return Stat("S", 0, 0, int(self.share * self.now * 100) / 100)

    def look(self, seconds: float) -> str | None:
        """Time goes by; then what is said of the worker."""
        self.now += seconds
        if self.detector.due() and self.detector.is_suspect(self.worker):
            return self.detector.why_hung(self.worker)
        return None

    def after(self, seconds: int) -> list[str]:
        """What was said of it, a look each second."""
        return [why for _ in range(seconds) if (why := self.look(1.0)) is not None]


@pytest.mark.parametrize(
    "share",
    [
        0.0,  # stopped, or waiting for something that never comes
        0.006,  # asleep with Python's lock in its hands, while the heartbeat's thread asks for it every 5 ms
        0.03,  # and other threads ask, too
    ],
)
def test_a_silent_worker_that_does_no_work_is_hung_after_the_timeout(share: float) -> None:
    watch = Watch(share)
    assert watch.after(59) == []
    assert watch.after(2) == ["gave no sign of life for 60 s (state S: waiting)"] * 2


@pytest.mark.parametrize("share", [0.1, 1.0, 16.0])
def test_a_silent_worker_that_computes_is_left_alone(share: float) -> None:
    assert Watch(share).after(3600) == []


def test_one_that_computed_and_then_sleeps_is_hung_a_timeout_later() -> None:
    watch = Watch(1.0)
    assert watch.after(600) == []
    used = watch.now
    watch.detector._stat = lambda pid: Stat("D", 0, 0, used)
    assert watch.after(58) == []
    assert len(watch.after(4)) > 0


def test_a_message_ends_the_silence() -> None:
    watch = Watch(0.0)
    assert watch.after(59) == []
    watch.detector.on_message(watch.worker)
    assert watch.after(59) == []
    assert len(watch.after(2)) > 0


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """As after SIGSTOP and SIGCONT of the engine, or a laptop's sleep."""
    watch = Watch(0.0)
    assert [watch.look(3600.0) for _ in range(20)] == [None] * 20


def test_without_a_timeout_nobody_is_hung() -> None:
    watch = Watch(0.0)
    watch.detector = HangDetector(None, lambda: watch.now, watch._stat)
    watch.detector.on_message(watch.worker)
    assert watch.after(10_000) == []

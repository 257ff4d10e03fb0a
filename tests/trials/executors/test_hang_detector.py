"""Which silent workers are taken for hung, by a clock of our own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from trials.executors.hang_detector import HangDetector
from trials.worker.processes import Stat


class Watch:
    """A worker that says nothing and uses a share of a core, looked at every second."""

    def __init__(
        self,
        share: float,
        timeout: float | None = 60.0,
        start_timeout: float | None = 600.0,
        ready: bool = True,
    ) -> None:
        self.now, self.share, self.state = 0.0, share, "S"
        self.others: Callable[[], dict[int, Stat]] = dict
        self.worker: Any = SimpleNamespace(pid=1, silence=None, ready=ready)
        self.detector = HangDetector(timeout, start_timeout, lambda: self.now, self._everyone)
        self.detector.on_message(self.worker)

    def _everyone(self) -> dict[int, Stat]:
        return {1: Stat(self.state, 0, 1, int(self.share * self.now * 100) / 100), **self.others()}

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
    said = "gave no sign of life for 60 s (state S: waiting), and heartbeat-timeout is 60 s"
    assert watch.after(2) == [said] * 2


@pytest.mark.parametrize("share", [0.1, 1.0, 16.0])
def test_a_silent_worker_that_computes_is_left_alone(share: float) -> None:
    assert Watch(share).after(3600) == []


def test_one_that_computed_and_then_sleeps_is_hung_a_timeout_later() -> None:
    watch = Watch(1.0)
    assert watch.after(600) == []
    watch.share, watch.state = 0.0, "D"
    watch.others = lambda: {2: Stat("S", 1, 1, 600.0)}
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
    for ready in (False, True):
        assert Watch(0.0, None, None, ready).after(10_000) == []


def test_a_worker_that_starts_has_a_time_out_of_its_own_which_the_message_names() -> None:
    """ray#8890"""
    watch = Watch(0.0, ready=False)
    assert watch.after(599) == []
    [said] = watch.after(2)[:1]
    assert said.startswith(
        "gave no sign of life for 600 s while starting (state S: waiting), and start-timeout"
    )
    for heartbeat, start, ready in ((None, 10.0, False), (10.0, None, True)):
        watch = Watch(0.0, heartbeat, start, ready)
        assert watch.after(9) == []
        assert len(watch.after(2)) > 0
    assert Watch(0.0, 10.0, None, ready=False).after(1000) == []
    assert Watch(0.0, None, 10.0, ready=True).after(1000) == []


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize(
    "compiler",
    [
        lambda now: {
            3: Stat("R", 2, 2, now),
            2: Stat("S", 1, 2, 0.0),
        },  # nvcc, of a ninja with its own session
        lambda now: {2: Stat("S", 1, 1, 0.1, waited_for=now)},  # one after the other, each soon over
        lambda now: {2: Stat("Z", 1, 1, now)},  # over, and not waited for yet
        lambda now: {2: Stat("R", 9, 1, now)},  # its parent is gone, and it is in the worker's session
    ],
)
def test_a_worker_that_waits_for_a_compiler_is_left_alone(
    ready: bool, compiler: Callable[[float], dict[int, Stat]]
) -> None:
    watch = Watch(0.0, 60.0, 60.0, ready)
    watch.others = lambda: compiler(watch.now)
    assert watch.after(3600) == []


def test_other_processes_that_compute_do_not_count_and_children_that_idle_do_not_either() -> None:
    watch = Watch(0.0)
    watch.others = lambda: {2: Stat("R", 9, 9, watch.now), 3: Stat("S", 1, 1, 7.0)}
    assert len(watch.after(61)) > 0


def test_a_child_that_leaves_with_its_time_hides_none_of_what_comes_after() -> None:
    """One that has taken itself out of the family, say, with an hour of CPU time."""
    watch = Watch(0.0)
    watch.others = lambda: {2: Stat("R", 1, 1, 3600.0)} if watch.now < 30 else {3: Stat("R", 1, 1, watch.now)}
    assert watch.after(600) == []

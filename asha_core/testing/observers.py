"""The contract of observers: whatever happens in a search, they raise nothing and change nothing."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from asha_core.messages import Event, Job, Lost, closes
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import ExecutorEvent, Notice, Retired, WorkerReady
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Observer, Outcome
from asha_core.runtime.replay import EarlierSessions
from asha_core.runtime.storage.journal import NullJournal
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.base import Scheduler
from asha_core.testing.driving import SPACE, trouble
from asha_core.testing.looking import fingerprint

_METHODS = ("on_start", "on_job", "on_event", "on_tick", "on_end", "close")


class _Time:
    """A clock that the executor moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class _Pretence:
    """An executor that trains nothing: two slots, half a second a round, and trouble of every kind."""

    devices = ("cpu", "cpu")

    def __init__(self, scheduler: Scheduler, clock: _Time) -> None:
        self._scheduler, self._clock, self._luck = scheduler, clock, random.Random(3)
        self._jobs: dict[int, Job] = {}
        self._settling: set[int] = set()
        self._begun = False

    def free(self) -> Sequence[int]:
        return [slot for slot in (0, 1) if slot not in self._jobs and slot not in self._settling]

    def submit(self, job: Job, slot: int) -> None:
        self._jobs[slot] = job

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        self._clock.time += 0.5
        events: list[ExecutorEvent] = []
        if not self._begun:
            self._begun = True
            events = [WorkerReady(slot, 4000 + slot, "cpu", 0.25) for slot in (0, 1)]
            events.append(Notice("a damaged checkpoint: \u2207\n", slot=1))
        for slot, job in list(self._jobs.items()):
            closed: list[Event] = trouble(job, self._luck, self._scheduler.space)
            events += closed
            assert closes(closed[-1], job)
            self._end(slot)
        return events

    def _end(self, slot: int) -> None:
        del self._jobs[slot]

    def kill(self, slot: int, event: Any) -> None:
        """Nothing is ever overdue here."""

    def stop(self) -> None:
        """They end by themselves."""

    def close(self) -> None:
        """There is nobody."""


class _Watched(Observer):
    """Hands everything on, and keeps what was raised."""

    def __init__(self, inner: Observer) -> None:
        self._inner = inner
        self.raised: list[str] = []
        self.replays = inner.replays  # type: ignore[misc]

    def __getattribute__(self, name: str) -> Any:
        if name not in _METHODS:
            return super().__getattribute__(name)

        def called(*arguments: Any) -> None:
            try:
                getattr(self._inner, name)(*arguments)
            except Exception as error:
                self.raised.append(f"{name} raised {type(error).__name__}: {error}")
                raise

        return called


class _Stop(Observer):
    """Asks the search to stop in the middle."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop

    def on_tick(self, view: Any) -> None:
        self._stop.requested |= view.now > 5


class _Breaks(ASHA):
    def arrived(self, trial: Any, loss: float) -> None:
        if self.units > 5 and self.searcher.name == "random":  # and in no rehearsal
            raise RuntimeError("a defect of the scheduler")
        super().arrived(trial, loss)


class ObserverContract:
    """Subclass it, and say how your observer is made.

    class TestMine(ObserverContract):
        def observer(self, folder):
            return Mine(folder / "mine.csv")
    """

    @abstractmethod
    def observer(self, folder: Path) -> Observer:
        """A new one, of a search whose results directory is ``folder``."""
        raise NotImplementedError("say how your observer is made: def observer(self, folder)")

    def _run(
        self,
        observers: Sequence[Observer],
        scheduler: Scheduler | None = None,
        stop: StopSignal | None = None,
        **settings: Any,
    ) -> tuple[Outcome, Scheduler]:
        scheduler = scheduler or ASHA(SPACE, max_resource=9, max_trials=30)
        clock = _Time()
        executor = _Pretence(scheduler, clock)
        watched = [*observers, *([] if stop is None else [_Stop(stop)])]
        search = Search(scheduler, executor, NullJournal(), clock, observers=watched, stop=stop, **settings)
        return search.run(), scheduler

    def _calm(self, folder: Path, **settings: Any) -> tuple[Outcome, Scheduler]:
        """Watched by a new one, which must not raise."""
        watched = _Watched(self.observer(folder))
        found = self._run([watched], **settings)
        assert not watched.raised
        return found

    def test_it_is_an_observer(self, tmp_path: Path) -> None:
        """A subclass of ``asha_core.Observer``, which has every method."""
        observer = self.observer(tmp_path)
        assert isinstance(observer, Observer)
        assert isinstance(observer.replays, bool)

    def test_it_raises_nothing_and_changes_nothing_whatever_happens(self, tmp_path: Path) -> None:
        """Failures, lost workers, early ends, NaN: the search is the one that nobody watches."""
        alone, unwatched = self._run([])
        outcome, scheduler = self._calm(tmp_path)
        assert outcome == alone
        assert outcome.failures
        assert fingerprint(scheduler) == fingerprint(unwatched)

    def test_it_takes_events_that_it_does_not_know(self, tmp_path: Path) -> None:
        """A slot that is given up, a notice without a slot: ask with ``isinstance``."""
        observer = self.observer(tmp_path)
        seen: list[Any] = []

        class Curious(Observer):
            def on_event(self, view: Any, event: Any) -> None:
                if not seen:
                    seen.append(event)
                    for odd in (Retired(0, "no driver"), Notice("text"), WorkerReady(1, 2, "cuda:0", 3.0)):
                        observer.on_event(view, odd)

        self._run([observer, Curious()])
        assert seen

    @pytest.mark.parametrize("seconds", [0.0, 3.0])
    def test_a_search_that_is_cut_short_is_an_end_like_any_other(
        self, tmp_path: Path, seconds: float
    ) -> None:
        """By its budget, with jobs running, or before its first job."""
        outcome, _ = self._calm(tmp_path, budget=Budget(seconds=seconds))
        assert outcome.reason == "budget"

    def test_an_interrupt_is_an_end_like_any_other(self, tmp_path: Path) -> None:
        """``on_end`` is called."""
        outcome, _ = self._calm(tmp_path, stop=StopSignal())
        assert outcome.reason == "interrupted"

    def test_a_search_without_a_trial_has_no_best(self, tmp_path: Path) -> None:
        """``view.scheduler.best`` and ``outcome.best`` may be None."""
        stop = StopSignal()
        stop.requested = True
        outcome, _ = self._calm(tmp_path, stop=stop)
        assert (outcome.trials, outcome.best) == (0, None)

    def test_an_error_of_the_search_lets_it_close(self, tmp_path: Path) -> None:
        """``close`` gives back what is held; ``on_end`` is not called."""
        watched = _Watched(self.observer(tmp_path))
        with pytest.raises(RuntimeError, match="a defect of the scheduler"):
            self._run([watched], _Breaks(SPACE, max_resource=9, max_trials=30))
        assert not watched.raised

    def test_closing_twice_is_fine(self, tmp_path: Path) -> None:
        """And before anything has begun."""
        observer = self.observer(tmp_path)
        observer.close()
        observer.close()

    def test_a_search_that_is_resumed_in_the_same_directory_is_watched_again(self, tmp_path: Path) -> None:
        """A new observer, in a new process, where the one before it left its files."""
        stop = StopSignal()
        first, scheduler = self._calm(tmp_path, stop=stop)
        assert first.reason == "interrupted"
        jobs = [Job(t.id, t.configuration, 0, t.until, 0, t.seed) for t in scheduler.trials[:3]]
        lost = [Lost(job.trial, job.attempt, "the engine ended", "engine") for job in jobs]
        happened: list[Job | Event] = [*jobs, *lost]
        earlier = EarlierSessions(t=first.seconds, history=[(1.0, each) for each in happened])
        outcome, _ = self._calm(tmp_path, scheduler=scheduler, earlier=earlier)
        assert outcome.trials >= first.trials

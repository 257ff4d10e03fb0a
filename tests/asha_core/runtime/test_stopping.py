"""A search that is asked to stop: running jobs get a little time, and what they did counts."""

from __future__ import annotations

import math

import pytest

from asha_core.messages import Failed, Lost, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import Notice
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Observer
from asha_core.schedulers.state import Status
from tests.asha_core.runtime.crowd import Crowd, Heard
from tests.asha_core.runtime.engine_doubles import ManualClock, asha, train
from tests.asha_core.runtime.test_loop import ClosingJournal


class Stop(Observer):
    """Asks for a stop after so many reports."""

    def __init__(self, signal, after):
        self.signal, self.after = signal, after

    def on_event(self, view, event):
        if view.scheduler.units >= self.after and not self.signal.requested:
            assert self.signal.polite
            self.signal(2, None)


def search(after=5, stop_seconds=0.0, *, slots=3, work=train, observers=(), kind=Crowd, **settings):
    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()
    executor = kind(clock, [f"d{slot}" for slot in range(slots)], work, stop_seconds=stop_seconds)
    scheduler = asha(**{"max_trials": None, **settings})
    outcome = Search(
        scheduler, executor, journal, clock, None, [Stop(stop, after), *observers], stop=stop
    ).run()
    return outcome, executor, journal.records, scheduler


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize("stop_seconds", [0.0, 3.0, math.inf])
def test_a_stop_gives_everything_back_and_loses_nothing(slots, stop_seconds):
    outcome, executor, records, scheduler = search(slots=slots, stop_seconds=stop_seconds)
    assert outcome.reason == "interrupted"
    assert (records[-1]["type"], records[-1]["reason"]) == ("end", "interrupted")
    assert executor.stops == executor.closed == 1
    lost = [record for record in records if record["type"] == "lost"]
    assert {record["kind"] for record in lost} <= {"stopped"}
    waiting = {trial.id for trial in scheduler.trials if trial.status == Status.WAITING}
    assert {record["trial"] for record in lost} == waiting
    assert not any(trial.status == Status.RUNNING for trial in scheduler.trials)
    assert outcome.units == sum(record["type"] == "report" for record in records)
    assert scheduler.failures == 0


@pytest.mark.parametrize(
    "ending",
    [
        lambda job: Failed(job.trial, job.attempt, "SystemExit: 0"),
        lambda job: Failed(job.trial, job.attempt, "RuntimeError: killed by signal: Terminated", "setup"),
        lambda job: Lost(job.trial, job.attempt, "exited with status 0", "died"),
        lambda job: Lost(job.trial, job.attempt, "no sign of life", "hung"),
    ],
)
def test_whatever_ends_a_job_then_is_no_fault_of_its_trial(ending):
    """The signal came to the workers, too, and they answer it faster than the engine does."""

    def work(job, resource):
        return [ending(job)] if resource == 2 else train(job, resource)

    class Signalled(Crowd):
        def wait(self, timeout):
            events = super().wait(timeout)
            if any(isinstance(event, Failed | Lost) for event in events) and not self.stops:
                self.stop_signal(15, None)
            return events

    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()
    executor = Signalled(clock, ["a", "b"], work)
    executor.stop_signal = stop
    scheduler = asha(max_trials=None, min_resource=3, max_retries=0)
    assert Search(scheduler, executor, journal, clock, None, (), stop=stop).run().reason == "interrupted"
    assert scheduler.failures == 0
    lost = [record for record in journal.records if record["type"] == "lost"]
    assert {record["kind"] for record in lost} == {"stopped"}
    assert not any(record["type"] == "failed" for record in journal.records)
    assert all(trial.faults == 0 for trial in scheduler.trials)


def stopping(records):
    (at,) = [
        n
        for n, record in enumerate(records)
        if record["type"] == "notice" and record["text"].startswith("stopping: jobs end")
    ]
    return at


def test_after_a_stop_nobody_is_handed_a_job():
    _, _, records, _ = search(stop_seconds=4.0)
    assert not any(record["type"] == "job" for record in records[stopping(records) :])


def test_jobs_that_do_not_end_are_waited_for_five_seconds():
    for stop_seconds, taken in ((math.inf, 5.0), (3.0, 3.0), (0.0, 0.0)):
        _, _, records, _ = search(
            stop_seconds=stop_seconds, kind=Sleepers, min_resource=9, max_resource=9, after=0
        )
        seconds = records[-1]["t"] - records[stopping(records)]["t"]
        assert seconds == pytest.approx(taken, abs=0.26)


class Sleepers(Crowd):
    """Nobody ever reports anything."""

    def submit(self, job, slot):
        super().submit(job, slot)
        self._occupied[slot].due = 1e9


def test_a_job_that_completes_meanwhile_counts():
    _, _, records, scheduler = search(stop_seconds=3.0)
    late = [record for record in records[stopping(records) :] if record["type"] == "report"]
    assert late
    for record in late:
        assert scheduler.trials[record["trial"]].resource >= record["resource"]
    closed = {record["trial"] for record in late if record["resource"] == 1}
    lost = {record["trial"] for record in records[stopping(records) :] if record["type"] == "lost"}
    assert closed
    assert not closed & lost


def test_when_all_have_ended_nothing_more_is_waited_for():
    _, _, records, _ = search(stop_seconds=math.inf, max_resource=1)
    assert records[-1]["t"] - records[stopping(records)]["t"] < 2.0
    assert not any(record["type"] == "lost" for record in records)


def test_people_hear_that_it_stops_once_and_the_view_ticks_meanwhile():
    heard, ticks = Heard(), []

    class Ticks(Observer):
        def on_tick(self, view):
            ticks.append(view.now)

    _, _, records, _ = search(
        stop_seconds=math.inf, kind=Sleepers, after=0, observers=[heard, Ticks()], min_resource=9
    )
    texts = [event.text for event in heard.events if isinstance(event, Notice)]
    assert texts == ["stopping: jobs end after their unit, or where they can go on; again: at once"]
    begun = records[stopping(records)]["t"]
    assert sum(t >= begun for t in ticks) >= 15


@pytest.mark.parametrize("polite", [True, False])
def test_a_second_signal_ends_it_at_once(monkeypatch, polite):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()

    class Impatient(Observer):
        def on_tick(self, view):
            if view.now > 3.0:
                stop.polite = polite
                stop(2, None)

    executor = Sleepers(clock, ["a", "b"], stop_seconds=math.inf)
    scheduler = asha()
    outcome = Search(scheduler, executor, journal, clock, None, [Impatient()], stop=stop).run()
    assert outcome.reason == "interrupted"
    assert outcome.seconds < 3.6
    assert executor.stops == (1 if polite else 0)
    assert [r["kind"] for r in journal.records if r["type"] == "lost"] == ["stopped"] * 2


def test_a_stop_before_the_first_job_starts_nothing():
    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()
    stop.requested = True
    executor = Crowd(clock, ["a"])
    outcome = Search(asha(), executor, journal, clock, None, (), stop=stop).run()
    assert (outcome.reason, outcome.trials) == ("interrupted", 0)
    assert executor.submitted == []


# -- what observers want to have told --------------------------------------------------------------


def test_a_notice_of_an_observer_is_journalled_and_told_to_all():
    class Speaker(Observer):
        said = 0

        def on_event(self, view, event):
            if isinstance(event, Report) and view.scheduler.units % 4 == 0:
                Speaker.said += 1
                view.notices.append(Notice(f"number {Speaker.said}", trial=event.trial))

    clock, journal, heard = ManualClock(), ClosingJournal(), Heard()
    Search(asha(), Crowd(clock, ["a", "b"]), journal, clock, None, [heard, Speaker()]).run()
    told = [event.text for event in heard.events if isinstance(event, Notice)]
    assert told == [f"number {n + 1}" for n in range(Speaker.said)]
    assert Speaker.said > 3
    assert [r["text"] for r in journal.records if r["type"] == "notice"] == told


@pytest.mark.parametrize("how", ["complete", "budget", "interrupted"])
def test_what_an_observer_has_to_say_at_the_end_is_not_lost(how):
    class Speaker(Observer):
        said = 0

        def on_tick(self, view):
            self.speak(view)

        def on_event(self, view, event):
            if isinstance(event, Report | Lost):
                self.speak(view)

        def speak(self, view):
            Speaker.said += 1
            view.notices.append(Notice(f"{Speaker.said}"))

    clock, journal, stop = ManualClock(), ClosingJournal(), StopSignal()
    budget = Budget(seconds=3.0) if how == "budget" else None
    observers = [Speaker(), *([Stop(stop, 5)] if how == "interrupted" else [])]
    scheduler = asha(max_trials=6 if how == "complete" else None)
    executor = Crowd(clock, ["a", "b"], stop_seconds=2.0)
    assert Search(scheduler, executor, journal, clock, budget, observers, stop=stop).run().reason == how
    told = [r["text"] for r in journal.records if r["type"] == "notice" and r["text"].isdigit()]
    assert told == [str(n + 1) for n in range(Speaker.said)]

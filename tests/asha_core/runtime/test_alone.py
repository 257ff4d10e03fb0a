"""Jobs that have their device for themselves, and slots that are given up."""

from __future__ import annotations

from itertools import pairwise

import pytest

from asha_core.messages import Failed, Lost
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import Retired
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.loop import Search
from asha_core.runtime.trial_timeouts import Limits
from asha_core.schedulers.state import Status
from tests.asha_core.runtime.crowd import Crowd, Heard, out_of_memory
from tests.asha_core.runtime.engine_doubles import ManualClock, asha, train
from tests.asha_core.runtime.test_loop import ClosingJournal

AAB = ["a", "a", "b"]


def search(devices=AAB, work=train, *, scheduler=None, script=(), observers=()):
    clock, journal = ManualClock(), ClosingJournal()
    executor = Crowd(clock, devices, work)
    for time, action in script:
        executor.at(time, lambda action=action: action(executor))
    scheduler = scheduler or asha()
    outcome = Search(scheduler, executor, journal, clock, None, observers).run()
    return outcome, executor, journal.records, scheduler


def of(records, kind, trial):
    return [record for record in records if record["type"] == kind and record.get("trial") == trial]


# -- alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [["a"], ["a", "a"], AAB, ["a"] * 4 + ["b"] * 4, ["a", "b", "c"]])
@pytest.mark.parametrize("trials", [(0,), (3, 5), tuple(range(12))])
def test_memory_that_ran_out_beside_others_does_alone(devices, trials):
    outcome, executor, records, scheduler = search(devices, out_of_memory(*trials))
    assert (outcome.reason, outcome.trials, outcome.failures) == ("complete", 12, 0)
    assert {job.trial for job in executor.ran_alone} == set(trials)
    for trial in trials:
        first, again, *later = of(records, "job", trial)
        assert "alone" not in first
        assert again["alone"] is True
        assert (again["trial"], again["start"], again["until"]) == (trial, first["start"], first["until"])
        assert all(record["alone"] for record in later)
        assert scheduler.trials[trial].faults == 0


def test_who_needs_more_than_a_device_has_failed_at_the_second_time():
    outcome, _, records, scheduler = search(work=out_of_memory(always=(2,)))
    assert (outcome.reason, outcome.failures) == ("complete", 1)
    assert scheduler.trials[2].status == Status.FAILED
    assert len(of(records, "job", 2)) == len(of(records, "failed", 2)) == 2
    assert {record["kind"] for record in of(records, "failed", 2)} == {"oom"}


def test_while_one_has_its_device_other_devices_go_on():
    class Watch(Crowd):
        def submit(self, job, slot):
            super().submit(job, slot)
            if self.running("a") and self.running("a")[0].alone and self.devices[slot] == "b":
                self.beside["b"] += 1

    clock = ManualClock()
    executor = Watch(clock, AAB, out_of_memory(0, 1, 2, 3))
    Search(asha(max_trials=30), executor, ClosingJournal(), clock).run()
    assert executor.beside["b"] > 0


def test_nobody_is_seated_beside_one_that_waits_and_all_are_when_it_is_over():
    seen = []

    class Watch(Heard):
        def on_job(self, view, job, slot):
            device = view.slots[slot].device
            others = [s.job for s in view.slots if s.device == device and s.job is not None and s.job != job]
            assert not any(other.alone for other in others)
            seen.append((job.trial, job.alone, len(others)))

    search(["a"] * 4, out_of_memory(2), scheduler=asha(max_trials=30), observers=[Watch()])
    first = next(n for n, (trial, alone, _) in enumerate(seen) if alone)
    assert max(others for _, _, others in seen[:first]) == 3
    assert any(others == 3 for _, alone, others in seen[first + 1 :] if not alone)


def test_a_slot_that_is_given_up_while_its_job_waits_gives_the_job_back():
    clock, journal = ManualClock(), ClosingJournal()
    executor = Crowd(clock, ["a", "a"], out_of_memory(0))
    scheduler = asha(max_resource=3, max_trials=2)
    heard = Heard()

    class GiveUp(Heard):
        def on_job(self, view, job, slot):
            if job.alone and slot not in executor.retired and len(executor.retired) < 1:
                executor.retire(slot)

    outcome = Search(scheduler, executor, journal, clock, None, [heard, GiveUp()]).run()
    assert outcome.reason == "complete"
    assert len(executor.retired) == 1
    assert outcome.failures == 0
    (back,) = [event for event in heard.events if isinstance(event, Lost) and event.kind == "not-begun"]
    assert back.trial == 0
    assert {job.trial for job in executor.ran_alone} == {0}


def test_a_job_given_back_with_the_last_report_of_the_others_is_not_forgotten():
    """Slot 0 of a, where trial 0 waits to be alone, is given up as the other job of a ends; b is idle."""

    class Together(Crowd):
        def submit(self, job, slot):
            super().submit(job, slot)
            self._occupied[slot].due = {0: 0.5, 1: 3.0, 2: 0.25}.get(job.trial, 0.25) + self._clock.now()

        def wait(self, timeout):
            events = super().wait(timeout)
            if any(getattr(event, "trial", None) == 1 for event in events) and not self.retired:
                waiting = [record for record in journal.records if record.get("alone")]
                if waiting:
                    slot = waiting[-1]["slot"]
                    self.retired.add(slot)
                    events.append(Retired(slot, "no worker can be started"))
            return events

    clock, journal = ManualClock(), ClosingJournal()
    executor = Together(clock, AAB, out_of_memory(0))
    scheduler = asha(max_resource=1, max_trials=3)
    outcome = Search(scheduler, executor, journal, clock).run()
    assert executor.retired == {0}
    assert outcome.reason == "complete"
    assert [trial.status for trial in scheduler.trials] == [Status.DONE] * 3


def test_ctrl_c_while_a_job_waits_to_be_alone_gives_it_back():
    stop = StopSignal()

    class Ask(Heard):
        def on_job(self, view, job, slot):
            if job.alone:
                stop.requested = True

    clock, journal = ManualClock(), ClosingJournal()
    executor = Crowd(clock, ["a", "a", "a"], out_of_memory(1), stop_seconds=2.0)
    scheduler = asha(max_trials=30, min_resource=9, max_resource=9)
    outcome = Search(scheduler, executor, journal, clock, None, [Ask()], stop=stop).run()
    assert outcome.reason == "interrupted"
    assert executor.stops == 1
    assert executor.ran_alone == []
    assert {record["kind"] for record in journal.records if record["type"] == "lost"} == {"stopped"}
    assert not any(trial.status == Status.RUNNING for trial in scheduler.trials)
    again = scheduler.ask()
    while again is not None and again.trial != 1:
        again = scheduler.ask()
    assert again.alone


def test_the_budget_ends_while_a_job_waits_to_be_alone():
    clock, journal = ManualClock(), ClosingJournal()

    class Never(Crowd):
        def submit(self, job, slot):
            super().submit(job, slot)
            self._occupied[slot].due = 0.5 if job.trial == 0 else 1e9

    executor = Never(clock, ["a", "a"], out_of_memory(0))
    scheduler = asha()
    outcome = Search(scheduler, executor, journal, clock, Budget(seconds=5.0)).run()
    assert outcome.reason == "budget"
    assert executor.ran_alone == []
    assert {(r["trial"], r["kind"]) for r in journal.records if r["type"] == "lost"} == {
        (0, "stopped"),
        (1, "stopped"),
    }


def test_a_job_that_waits_does_not_begin_its_time():
    class Slow(Crowd):
        def submit(self, job, slot):
            super().submit(job, slot)
            if job.trial == 1 and not job.alone:
                self._occupied[slot].due = self._clock.now() + 9.0

    clock = ManualClock()
    executor = Slow(clock, ["a", "a"], out_of_memory(0))
    heard = Heard()
    outcome = Search(
        asha(), executor, ClosingJournal(), clock, None, [heard], limits=Limits(10.0, 10.0)
    ).run()
    assert (outcome.reason, outcome.failures) == ("complete", 0)
    assert not any(isinstance(event, Lost) for event in heard.events)
    assert sum(isinstance(event, Failed) for event in heard.events) == 1


# -- slots that are given up -----------------------------------------------------------------------


def test_a_slot_that_is_given_up_gets_no_jobs_and_the_others_see_it_through():
    outcome, _, records, _ = search(
        ["a", "b", "c"], scheduler=asha(max_trials=40), script=[(2.0, lambda e: e.retire(1))]
    )
    assert (outcome.reason, outcome.trials, outcome.failures) == ("complete", 40, 0)
    (given_up,) = [n for n, record in enumerate(records) if record["type"] == "retired"]
    assert records[given_up]["slot"] == 1
    assert not any(record.get("slot") == 1 for record in records[given_up + 1 :])


def test_a_given_up_slot_is_seen():
    seen = []

    class Watch(Heard):
        def on_tick(self, view):
            seen.append([slot.retired for slot in view.slots])

    search(["a", "b"], script=[(2.0, lambda e: e.retire(0))], observers=[Watch()])
    assert seen[0] == [False, False]
    assert seen[-1] == [True, False]


# -- nobody to ask ---------------------------------------------------------------------------------


def test_a_search_is_not_complete_while_all_its_workers_start_again():
    """No slot is free and nothing runs: the scheduler may have jobs that nobody asked for."""

    class Away(Crowd):
        def wait(self, timeout):
            events = super().wait(timeout)
            if self._clock.now() > 2.0 and not any(self._occupied) and not self.stops:
                self.stops = 1
                self.away = {0, 1}
                self.at(self._clock.now() + 20.0, self.away.clear)
            return events

    clock = ManualClock()
    executor = Away(clock, ["a", "b"])
    outcome = Search(asha(max_trials=40), executor, ClosingJournal(), clock).run()
    assert (outcome.reason, outcome.trials) == ("complete", 40)


def test_a_silent_search_says_that_it_is_alive():
    class Slow(Crowd):
        def submit(self, job, slot):
            super().submit(job, slot)
            self._occupied[slot].due = self._clock.now() + 100.0

    clock, journal = ManualClock(), ClosingJournal()
    Search(asha(max_resource=1, max_trials=1), Slow(clock, ["a"]), journal, clock).run()
    alive = [record["t"] for record in journal.records if record["type"] == "alive"]
    assert len(alive) == 3
    times = [record["t"] for record in journal.records]
    assert max(b - a for a, b in pairwise(times)) < 31.0

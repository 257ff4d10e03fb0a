"""How long a trial may train and be silent: counted from a ready worker, over jobs and sessions."""

from __future__ import annotations

import pytest

from asha_core.messages import Failed, Job, Lost, Refined, Report
from asha_core.runtime.executor import WorkerReady
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import SlotView
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalWriter, NullJournal, read_journal
from asha_core.runtime.trial_timeouts import Limits, TrialTimeouts
from asha_core.schedulers.state import Status
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, asha, train, value_of


def job(trial=0, start=0, until=3, attempt=0):
    return Job(trial, SPACE.from_unit([0.5] * 3), start, until, attempt, 1)


class Bench:
    """Time limits of two slots, at a time that passes when it is told to."""

    def __init__(self, trial=None, progress=None):
        self.timeouts = TrialTimeouts(Limits(trial, progress))
        self.slots = [SlotView(slot, "cpu") for slot in (0, 1)]
        self.now = 0.0

    def begin(self, slot, which):
        self.slots[slot].job = which
        self.timeouts.on_start(slot, which, self.now)

    def report(self, slot, seconds, resource=1, trial=0):
        self.timeouts.on_event(slot, Report(trial, 0, resource, 0.5, seconds), self.now)

    def end(self, slot):
        self.slots[slot].job = None
        self.timeouts.on_end(slot)

    def overdue(self):
        return self.timeouts.overdue(self.slots, self.now)

    def first_overdue(self, step=0.5, most=100.0):
        """When somebody is overdue first; None if nobody ever is."""
        while self.now < most:
            if self.overdue():
                return self.now
            self.now += step
        return None


# -- by itself -------------------------------------------------------------------------------------


def test_without_limits_nobody_is_ever_late():
    bench = Bench()
    bench.begin(0, job())
    assert bench.first_overdue() is None


def test_a_trial_that_trains_beyond_its_time_is_failed_and_told_why():
    bench = Bench(trial=10.0)
    bench.begin(0, job(attempt=2))
    assert bench.first_overdue() == 10.0
    ((slot, event),) = bench.overdue()
    assert slot == 0
    assert (type(event), event.trial, event.attempt, event.kind) == (Failed, 0, 2, "timeout")
    assert event.error == "it trained for 10s, and trial-timeout is 10s"


def test_a_silent_worker_hangs_and_each_unit_is_a_sign_of_life():
    bench = Bench(progress=10.0)
    bench.begin(0, job(until=9))
    for resource in (1, 2, 3):
        bench.now += 9.5
        assert not bench.overdue()
        bench.report(0, 9.5, resource)
    assert bench.first_overdue() == 28.5 + 10.0
    ((_, event),) = bench.overdue()
    assert (type(event), event.kind) == (Lost, "hung")
    assert event.counts
    assert event.reason == "no unit was reported for 10s, and no-progress-timeout is 10s"


def test_a_warm_start_is_a_sign_of_life_and_time_of_the_trial():
    for limits, expected in (({"progress": 5.0}, 4.0 + 5.0), ({"trial": 5.0}, 5.0)):
        bench = Bench(**limits)
        bench.begin(0, job())
        bench.now = 4.0
        bench.timeouts.on_event(0, Refined(0, SPACE.from_unit([0.1] * 3), 4.0), bench.now)
        assert bench.first_overdue() == expected


def test_a_trials_time_is_that_of_all_its_jobs_and_not_what_lies_between():
    bench = Bench(trial=10.0)
    bench.begin(0, job(until=1))
    bench.now = 4.0
    bench.report(0, 4.0)
    bench.end(0)
    bench.now = 50.0
    assert not bench.overdue()
    bench.begin(1, job(start=1))  # in another slot
    assert bench.first_overdue() == 56.0


def test_other_trials_time_is_their_own():
    bench = Bench(trial=10.0)
    bench.begin(0, job(trial=0))
    bench.now = 6.0
    bench.report(0, 6.0)
    bench.end(0)
    bench.begin(0, job(trial=1))
    assert bench.first_overdue() == 16.0


def test_what_was_reported_late_or_in_an_earlier_session_counts():
    bench = Bench(trial=10.0)
    for resource in (1, 2):
        bench.report(None, 3.0, resource)
    bench.begin(0, job(start=2))
    assert bench.first_overdue() == 4.0


def test_a_job_whose_worker_is_ready_only_later_begins_then():
    bench = Bench(trial=10.0, progress=10.0)
    bench.slots[0].job = job()
    bench.now = 40.0
    assert not bench.overdue()  # handed out, its worker starts
    bench.begin(0, job())
    assert bench.first_overdue() == 50.0


def test_a_trial_beyond_its_time_is_failed_though_it_is_silent_too():
    bench = Bench(trial=10.0, progress=10.0)
    bench.begin(0, job())
    bench.now = 11.0
    assert [type(event) for _, event in bench.overdue()] == [Failed]


def test_all_that_are_late_are_named_and_those_that_end_are_forgotten():
    bench = Bench(trial=10.0)
    bench.begin(0, job(0))
    bench.begin(1, job(1))
    bench.now = 11.0
    assert [(slot, event.trial) for slot, event in bench.overdue()] == [(0, 0), (1, 1)]
    bench.end(0)
    assert [slot for slot, _ in bench.overdue()] == [1]
    bench.timeouts.on_end(1)  # it is being ended; its event is still to come
    assert not bench.overdue()


# -- in a search -----------------------------------------------------------------------------------


class Sleepy(FakeExecutor):
    """Its workers take time to start, also again after one was killed; some jobs hang."""

    def __init__(self, clock, slots=2, *, start=0.0, hangs=lambda job: False, work=train):
        super().__init__(clock, slots, work)
        self.killed, self._hangs, self._start = [], hangs, start
        self._ready_at = dict.fromkeys(range(slots), start)
        self._now = []

    def submit(self, job, slot):
        super().submit(job, slot)
        self._delay(slot)

    def _delay(self, slot):
        occupant = self._occupied[slot]
        if slot in self._ready_at:
            occupant.due = max(occupant.due, self._ready_at[slot] + 0.5)
        if self._hangs(occupant.job):
            occupant.due = 1e9

    def _schedule(self, slot):
        super()._schedule(slot)
        if self._occupied[slot] is not None and self._hangs(self._occupied[slot].job):
            self._occupied[slot].due = 1e9

    def wait(self, timeout):
        events = super().wait(timeout)
        for slot, at in list(self._ready_at.items()):
            if at <= self._clock.now():
                del self._ready_at[slot]
                events.append(WorkerReady(slot, 1, self.devices[slot], self._start))
        return events

    def kill(self, slot, event):
        self.killed.append((self._clock.now(), slot, event))
        super().kill(slot, event)
        self._ready_at[slot] = self._clock.now() + self._start


def search(limits, scheduler=None, journal=None, earlier=None, clock=None, **options):
    clock = clock or ManualClock()
    scheduler = scheduler or asha(max_trials=6)
    executor = Sleepy(clock, **options)
    outcome = Search(
        scheduler, executor, journal or NullJournal(), clock, limits=limits, earlier=earlier
    ).run()
    return outcome, executor, scheduler


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_hung_job_goes_again_so_often_and_then_its_trial_failed_and_the_search_completes(retries):
    scheduler = asha(max_trials=6, max_retries=retries)
    outcome, executor, _ = search(Limits(None, 20.0), scheduler, hangs=lambda job: job.trial == 2)
    assert (outcome.reason, outcome.trials, outcome.failures) == ("complete", 6, 1)
    assert [job.attempt for job in executor.submitted if job.trial == 2] == list(range(retries + 1))
    assert len(executor.killed) == retries + 1
    assert all(event.kind == "hung" for _, _, event in executor.killed)
    assert all(other.status != Status.FAILED for other in scheduler.trials if other.id != 2)


def test_a_trial_over_its_time_failed_at_once_and_never_goes_again():
    outcome, executor, scheduler = search(
        Limits(20.0, None), hangs=lambda job: (job.trial == 2 and job.start == 1) or job.trial == 3
    )
    assert outcome.reason == "complete"
    assert [event.kind for _, _, event in executor.killed] == ["timeout"] * len(executor.killed)
    assert sum(job.trial == 3 for job in executor.submitted) == 1
    assert scheduler.trials[3].status == Status.FAILED
    assert outcome.failures == len(executor.killed)


def test_with_both_limits_the_nearer_one_decides():
    for limits, kind in ((Limits(10.0, 20.0), "timeout"), (Limits(20.0, 10.0), "hung")):
        _, executor, _ = search(limits, hangs=lambda job: job.trial == 0)
        assert executor.killed[0][2].kind == kind


def test_a_trial_that_hangs_again_and_again_runs_out_of_retries_before_its_time():
    """What an attempt that hung had trained was not reported, and is not counted."""
    outcome, executor, _ = search(Limits(25.0, 10.0), hangs=lambda job: job.trial == 0)
    assert [event.kind for _, _, event in executor.killed] == ["hung"] * 3
    assert outcome.failures == 1


def test_a_slow_trial_is_ended_in_whichever_job_its_time_is_over():
    def slow(job, resource):
        return [Report(job.trial, job.attempt, resource, value_of(job, resource), 6.0)]

    scheduler = asha(max_trials=3, max_resource=3)
    outcome, executor, _ = search(Limits(5.9, None), scheduler, slots=1, work=slow)
    # each reported 6 s for its first unit, in less of virtual time; who goes on is beyond its time at once
    (late,) = executor.killed
    assert (late[2].kind, outcome.failures, outcome.reason) == ("timeout", 1, "complete")


def test_a_slow_start_is_no_fault_of_the_first_trials():
    for limits in (Limits(None, 10.0), Limits(10.0, None)):
        outcome, executor, _ = search(limits, start=60.0)
        assert executor.killed == []
        assert (outcome.reason, outcome.failures) == ("complete", 0)


@pytest.mark.parametrize("limits", [Limits(None, 10.0), Limits(10.0, None)], ids=["hung", "timeout"])
def test_a_slow_start_after_a_kill_is_no_fault_of_the_next_trial(limits):
    def hangs(job):
        return job.trial == 0 and job.attempt == 0

    outcome, executor, _ = search(limits, asha(max_trials=60), start=60.0, hangs=hangs)
    assert [event.trial for _, _, event in executor.killed] == [0]
    assert outcome.failures == (1 if limits.trial else 0)


def test_a_trials_time_goes_on_over_sessions(tmp_path):
    path = tmp_path / "journal.jsonl"

    def slow(job, resource):
        return [Report(job.trial, job.attempt, resource, value_of(job, resource), 4.0)]

    settings = {"min_resource": 9, "max_resource": 9, "max_trials": 1}
    search(None, asha(**settings), JournalWriter(path, sync=False), slots=1, work=slow)
    contents = read_journal(path)
    reports = [n for n, record in enumerate(contents.records) if record["type"] == "report"]
    for units in (1, 4, 7):
        scheduler, clock = asha(**settings), ManualClock()
        earlier = replay(path, contents.records[: reports[units - 1] + 1], scheduler)
        clock.time = earlier.t
        _, executor, _ = search(Limits(20.0, None), scheduler, None, earlier, clock, slots=1, hangs=bool)
        ((at, _, event),) = executor.killed
        assert event.kind == "timeout"
        assert at == pytest.approx(earlier.t + max(20.0 - 4.0 * units, 0.0), abs=0.6)

"""The engine's loop, driven in virtual time by an executor that keeps the executor's contract."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import TaskError
from asha_core.messages import Failed, Lost, Refined, Rejected, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import Notice, WorkerReady
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, SearchView, SlotView, describe_outcome
from asha_core.runtime.pace import Pace
from asha_core.runtime.storage.journal import JournalWriter, NullJournal, read_journal
from asha_core.runtime.storage.records import event_record, job_record, to_json
from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.forecast import Forecast
from asha_core.schedulers.state import Status
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, asha, eventful, train


class ClosingJournal(NullJournal):
    """A journal in memory that says whether it was closed."""

    def __init__(self):
        self.records, self.closed = [], 0

    def append(self, t, records):
        assert not self.closed
        self.records.extend({"t": t, **record} for record in records)

    def close(self):
        self.closed += 1


class Recorder(Observer):
    """Writes down what it was called with."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log

    def on_start(self, view):
        self.log.append((self.name, "start", None))

    def on_job(self, view, job, slot):
        assert view.slots[slot].job is job
        self.log.append((self.name, "job", job))

    def on_event(self, view, event):
        self.log.append((self.name, "event", event))

    def on_tick(self, view):
        self.log.append((self.name, "tick", view.now))

    def on_end(self, view, outcome):
        self.log.append((self.name, "end", outcome))


def run(scheduler, *, slots=2, work=train, before=lambda job: (), budget=None, observers=(), journal=None):
    clock = ManualClock()
    executor = FakeExecutor(clock, slots, work, before=before)
    journal = journal or ClosingJournal()
    outcome = Search(scheduler, executor, journal, clock, budget, observers).run()
    return outcome, executor, journal, clock


# -- to the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 5, 30])
@pytest.mark.parametrize("work", [train, eventful])
def test_a_search_completes(slots, work):
    scheduler = asha(max_trials=27)
    outcome, executor, journal, clock = run(scheduler, slots=slots, work=work)
    assert outcome.reason == "complete"
    assert (executor.closed, journal.closed) == (1, 1)
    assert outcome.trials == 27
    assert (outcome.units, outcome.failures, outcome.best) == (
        scheduler.units,
        scheduler.failures,
        scheduler.best,
    )
    assert outcome.seconds == clock.now()
    kinds = Counter(record["type"] for record in journal.records)
    assert kinds["job"] == len(executor.submitted)
    assert kinds["worker"] == slots
    assert journal.records[-1]["type"] == "end"
    assert journal.records[-1]["reason"] == "complete"
    assert outcome.training_seconds == pytest.approx(0.5 * kinds["report"])
    assert not any(row.running for row in scheduler.counts())
    assert scheduler.counts()[0].promoted >= 1
    if work is train:
        assert outcome.units == sum(job.until - job.start for job in executor.submitted)


def test_no_slot_is_free_when_the_loop_begins_to_wait():
    idle = []

    class Watched(FakeExecutor):
        def wait(self, timeout):
            idle.append(len(self.free()))
            return super().wait(timeout)

    clock = ManualClock()
    scheduler = asha(max_trials=None)
    Search(scheduler, Watched(clock, 4), ClosingJournal(), clock, Budget(seconds=30)).run()
    assert set(idle) == {0}
    assert scheduler.units > 50


def test_a_trial_that_is_lost_again_and_again_fails_and_the_search_goes_on():
    def work(job, resource):
        return [Lost(job.trial, job.attempt, "killed")] if job.trial == 3 else train(job, resource)

    scheduler = asha(max_retries=2)
    outcome, executor, _, _ = run(scheduler, work=work)
    assert outcome.reason == "complete"
    assert outcome.failures == 1
    assert [job.attempt for job in executor.submitted if job.trial == 3] == [0, 1, 2]
    assert outcome.trials == 12


def test_a_lost_job_that_succeeds_on_its_second_attempt_is_no_failure():
    def work(job, resource):
        return [Lost(job.trial, job.attempt, "killed")] if job.attempt == 0 else train(job, resource)

    scheduler = asha()
    outcome, executor, _, _ = run(scheduler, work=work)
    assert outcome.reason == "complete"
    assert outcome.failures == 0
    attempts = {job.attempt for job in executor.submitted}
    assert attempts == {0, 1}
    assert all(row.failed == 0 for row in scheduler.counts())


def test_warm_start_time_is_counted_and_the_refined_configuration_kept():
    refined = SPACE.from_unit([0.5, 0.5, 0.5])
    scheduler = asha()
    outcome, _, _, _ = run(
        scheduler, before=lambda job: [Refined(job.trial, refined, 0.25)] if job.refine else []
    )
    assert outcome.warm_start_seconds == 12 * 0.25
    assert all(trial.configuration == refined for trial in scheduler.trials)
    assert outcome.best.configuration == refined


def test_rejected_trials_are_replaced():
    def before(job):
        return [Rejected(job.trial, "diverges")] if job.trial % 2 else []

    scheduler = asha()
    outcome, _, _, _ = run(scheduler, before=before)
    assert (outcome.reason, outcome.trials) == ("complete", 12)
    assert scheduler.rejected == 12 - 1  # trials 0, 2, ..., 22 are kept


# -- the journal goes first ------------------------------------------------------------------------


def test_a_record_is_in_the_journal_before_it_has_an_effect(tmp_path):
    path = tmp_path / "journal.jsonl"
    checked = Counter()

    def last_records(count):
        return [
            to_json({key: value for key, value in record.items() if key != "t"})
            for record in read_journal(path).records[-count:]
        ]

    class CheckingExecutor(FakeExecutor):
        def submit(self, job, slot):
            assert last_records(1) == [to_json(job_record(job, slot))]
            checked["job"] += 1
            super().submit(job, slot)

    class CheckingASHA(ASHA):
        def tell(self, event):
            assert to_json(event_record(event)) in last_records(10)
            checked[type(event).__name__] += 1
            return super().tell(event)

    clock = ManualClock()
    scheduler = CheckingASHA(SPACE, max_resource=9, max_trials=40)
    executor = CheckingExecutor(clock, 3, eventful)
    assert Search(scheduler, executor, JournalWriter(path), clock).run().reason == "complete"
    journalled = Counter(record["type"] for record in read_journal(path).records)
    assert (journalled["job"], journalled["report"]) == (checked["job"], checked["Report"])
    assert journalled["lost"] == checked["Lost"] > 0
    assert journalled["failed"] == checked["Failed"] > 0


# -- budgets ---------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 40.0), st.integers(1, 5), st.booleans())
def test_a_budget_ends_the_search_at_its_deadline(seconds, devices, by_gpu):
    budget = (
        Budget(gpu_seconds=seconds * devices, devices=devices) if by_gpu else Budget(seconds, None, devices)
    )
    scheduler = asha(max_trials=None)
    outcome, executor, journal, _ = run(scheduler, slots=devices, budget=budget)
    assert outcome.reason == journal.records[-1]["reason"] == "budget"
    assert outcome.seconds == pytest.approx(seconds)
    assert outcome.gpu_seconds == pytest.approx(seconds * devices)
    assert (executor.closed, journal.closed) == (1, 1)
    # what ran at the end goes back, so that a later session finds nothing running
    stopped = sum(record.get("kind") == "stopped" for record in journal.records)
    before, ended = journal.records[: -1 - stopped], journal.records[-1 - stopped : -1]
    assert all(record["t"] < budget.deadline for record in before)
    waiting = [trial.id for trial in scheduler.trials if trial.status == Status.WAITING]
    assert sorted(record["trial"] for record in ended) == waiting
    assert not any(trial.status == Status.RUNNING for trial in scheduler.trials)
    assert {record["kind"] for record in ended} <= {"stopped"}
    # what was journalled was told: nothing in the one that is not in the other
    assert outcome.units == sum(record["type"] == "report" for record in journal.records)


def test_the_loop_asks_for_no_more_time_than_the_budget_has():
    asked = []

    class Watched(FakeExecutor):
        def wait(self, timeout):
            asked.append((self._clock.now(), timeout))
            return super().wait(timeout)

    clock = ManualClock()
    Search(asha(max_trials=None), Watched(clock), ClosingJournal(), clock, Budget(seconds=7.1)).run()
    assert all(now + timeout <= 7.1 + 1e-9 for now, timeout in asked)
    assert max(timeout for _, timeout in asked) <= 0.25  # four ticks a second


def test_a_search_that_is_done_before_its_deadline_is_complete():
    outcome, _, _, _ = run(asha(), budget=Budget(seconds=1e6))
    assert outcome.reason == "complete"
    assert outcome.seconds < 1e6


# -- every way out ---------------------------------------------------------------------------------


class Interrupted(FakeExecutor):
    """Whose wait, the n-th time, is interrupted."""

    def __init__(self, clock, after, error):
        super().__init__(clock)
        self.left, self.error = after, error

    def wait(self, timeout):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().wait(timeout)


@pytest.mark.parametrize("after", [0, 1, 5, 17])
def test_ctrl_c_ends_the_search_in_order(after):
    clock, journal, recorder = ManualClock(), ClosingJournal(), Recorder()
    executor = Interrupted(clock, after, KeyboardInterrupt())
    scheduler = asha()
    outcome = Search(scheduler, executor, journal, clock, None, [recorder]).run()
    assert outcome.reason == "interrupted"
    assert outcome.units == scheduler.units
    assert journal.records[-1]["type"] == "end"
    assert journal.records[-1]["reason"] == "interrupted"
    assert (executor.closed, journal.closed) == (1, 1)
    assert recorder.log[-1] == ("", "end", outcome)
    assert describe_outcome(outcome).startswith("search interrupted")


@pytest.mark.parametrize("after", [0, 3])
def test_an_error_of_the_executor_goes_on_and_all_is_closed(after):
    clock, journal = ManualClock(), ClosingJournal()
    executor = Interrupted(clock, after, OSError("pipe"))
    with pytest.raises(OSError, match="pipe"):
        Search(asha(), executor, journal, clock).run()
    assert (executor.closed, journal.closed) == (1, 1)


@pytest.mark.parametrize("where", ["ask", "tell"])
def test_an_error_of_the_scheduler_goes_on_and_all_is_closed(where):
    class Broken(ASHA):
        def ask(self):
            if where == "ask" and len(self.trials) > 3:
                raise RuntimeError("broken ask")
            return super().ask()

        def tell(self, event):
            if where == "tell" and self.units > 3:
                raise RuntimeError("broken tell")
            return super().tell(event)

    clock, journal = ManualClock(), ClosingJournal()
    executor = FakeExecutor(clock)
    with pytest.raises(RuntimeError, match=f"broken {where}"):
        Search(Broken(SPACE, max_trials=20), executor, journal, clock).run()
    assert (executor.closed, journal.closed) == (1, 1)


def test_the_journal_is_closed_though_the_executor_cannot_be():
    class Stuck(FakeExecutor):
        def close(self):
            raise OSError("stuck")

    clock, journal = ManualClock(), ClosingJournal()
    with pytest.raises(OSError, match="stuck"):
        Search(asha(), Stuck(clock), journal, clock).run()
    assert journal.closed == 1


def test_a_mistake_that_every_trial_would_meet_ends_the_search_soon():
    clock, journal = ManualClock(), ClosingJournal()
    executor = FakeExecutor(
        clock, 2, lambda job, _: [Failed(job.trial, job.attempt, "no such optimiser", "setup")]
    )
    with pytest.raises(TaskError, match="no such optimiser"):
        Search(asha(), executor, journal, clock).run()
    assert (executor.closed, journal.closed) == (1, 1)
    assert sum(record["type"] == "failed" for record in journal.records) >= 3


def test_one_such_mistake_is_the_trials_own():
    def work(job, resource):
        if job.trial == 0:
            return [Failed(job.trial, job.attempt, "no such optimiser", "setup")]
        return train(job, resource)

    outcome, _, _, _ = run(asha(), work=work, slots=1)
    assert (outcome.reason, outcome.failures) == ("complete", 1)


def test_a_space_without_a_valid_configuration_does_not_search_for_ever():
    clock = ManualClock()
    executor = FakeExecutor(clock, 2, lambda job, _: [Failed(job.trial, job.attempt, "odd width", "invalid")])
    with pytest.raises(TaskError, match=r"100 configurations in a row were refused.*odd width"):
        Search(asha(max_trials=5), executor, ClosingJournal(), clock).run()


def test_what_is_refused_after_a_report_failed_and_the_search_ends():
    def work(job, resource):
        report = Report(job.trial, job.attempt, resource, 0.5, 0.1)
        return [report] if resource == 1 else [Failed(job.trial, job.attempt, "odd width", "invalid")]

    scheduler = asha(max_trials=5, min_resource=3)
    outcome, _, _, _ = run(scheduler, work=work)
    assert (outcome.reason, outcome.failures, scheduler.rejected) == ("complete", 5, 0)


def test_refused_configurations_end_a_search_however_many_reports_came_before():
    def work(job, resource):
        if job.trial:
            return [Failed(job.trial, job.attempt, "odd width", "invalid")]
        return train(job, resource)

    with pytest.raises(TaskError, match="100 configurations in a row were refused"):
        run(asha(max_trials=5), work=work, slots=1)


def test_after_a_report_the_same_failure_is_the_trials_own():
    def work(job, resource):
        if job.trial == 5:
            return [Failed(job.trial, job.attempt, "no such optimiser", "setup")]
        return train(job, resource)

    outcome, _, _, _ = run(asha(), work=work, slots=1)
    assert (outcome.reason, outcome.failures) == ("complete", 1)


# -- observers -------------------------------------------------------------------------------------


def test_observers_are_called_in_order_after_the_effect():
    log = []
    first, second = Recorder("first", log), Recorder("second", log)
    scheduler = asha()
    _, executor, journal, _ = run(scheduler, work=eventful, observers=[first, second])
    # each call reaches the first and then the second
    assert [name for name, _, _ in log] == ["first", "second"] * (len(log) // 2)
    assert all(
        one[1:] == other[1:] or one[1] == "event" for one, other in zip(log[::2], log[1::2], strict=True)
    )
    calls = [(kind, subject) for name, kind, subject in log if name == "first"]
    kinds = [kind for kind, _ in calls]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("start") == kinds.count("end") == 1
    assert [subject for kind, subject in calls if kind == "job"] == executor.submitted
    # jobs and events reach observers exactly as they stand in the journal
    seen = [
        to_json(event_record(subject)) if kind == "event" else subject.trial
        for kind, subject in calls
        if kind in ("job", "event")
    ]
    written = [
        record["trial"] if record["type"] == "job" else to_json({k: v for k, v in record.items() if k != "t"})
        for record in journal.records
        if record["type"] != "end"
    ]
    assert seen == written


def test_an_event_was_told_before_observers_hear_of_it():
    class Watch(Observer):
        heard = 0

        def on_event(self, view, event):
            if isinstance(event, Report):
                Watch.heard += 1
                assert view.scheduler.units == Watch.heard
                assert view.scheduler.trials[event.trial].resource == event.resource
            if isinstance(event, WorkerReady):
                assert view.slots[event.slot].ready

    outcome, _, _, _ = run(asha(), observers=[Watch()])
    assert Watch.heard == outcome.units > 12


def test_slots_show_what_runs_in_them():
    class Watch(Observer):
        def on_event(self, view, event):
            if not isinstance(event, Report):
                return
            slots = [slot for slot in view.slots if slot.job is not None and slot.job.trial == event.trial]
            ended = event.resource in view.scheduler.levels
            assert len(slots) == (0 if ended else 1)
            for slot in slots:
                assert (slot.resource, slot.value, slot.unit_seconds) == (event.resource, event.value, 0.5)

        def on_tick(self, view):
            for slot in view.slots:
                assert slot.device == f"fake:{slot.index}"
            trials = [slot.job.trial for slot in view.slots if slot.job is not None]
            assert len(trials) == len(set(trials))
            running = sum(row.running for row in view.scheduler.counts())
            assert running == len(trials)

    run(asha(max_trials=30), slots=4, observers=[Watch()])


@pytest.mark.parametrize(
    "budget", [None, Budget(seconds=8.0), Budget(seconds=60.0), Budget(gpu_seconds=1e5, devices=2)]
)
@pytest.mark.parametrize("max_trials", [None, 20])
@pytest.mark.parametrize("work", [train, eventful])
def test_progress_lies_between_0_and_1_and_never_falls(budget, max_trials, work):
    if budget is None and max_trials is None:
        assert SearchView(asha(max_trials=None), Budget(), []).progress() is None
        return
    if max_trials is None and budget.deadline > 100:
        budget = Budget(gpu_seconds=50, devices=2)
    seen = []

    class Watch(Observer):
        def on_start(self, view):
            seen.append(view.progress())

        def on_event(self, view, event):
            seen.append(view.progress())

        def on_tick(self, view):
            seen.append(view.progress())

        def on_end(self, view, outcome):
            seen.append(view.progress())

    outcome, _, _, _ = run(asha(max_trials=max_trials), work=work, budget=budget, observers=[Watch()])
    fractions = [fraction for fraction, _ in seen]
    assert fractions[0] == 0.0
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)
    assert all(a <= b + 1e-12 for a, b in pairwise(fractions))
    assert all(left >= 0.0 for _, left in seen)
    if outcome.reason == "budget":
        assert seen[-1] == (1.0, 0.0)


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("start", [0.0, 30.0, 300.0])
def test_the_start_of_the_workers_is_no_pace_of_the_search(slots, start):
    seen = []

    class Watch(Observer):
        def on_event(self, view, event):
            if view.scheduler.units:
                seen.append((view.now, view.progress()[1]))

    clock = ManualClock()
    clock.advance_to(start)  # which workers took to start
    executor = FakeExecutor(clock, slots, lambda job, n: train(job, n, 1.0), unit_seconds=1.0)
    Search(asha(max_trials=200, max_resource=27), executor, NullJournal(), clock, observers=[Watch()]).run()
    end = seen[-1][0]
    assert math.isinf(seen[0][1])  # nothing can be said of it yet
    told = [(now, left) for now, left in seen if math.isfinite(left)]
    assert len(told) >= len(seen) - slots
    for now, left in told:
        assert (end - now) - (end - start) / 3 <= left <= 2 * (end - now) + 5


@pytest.mark.long
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.floats(1.0, 1e4), st.floats(0, 1e4), st.integers(0, 60))
def test_progress_is_by_the_limit_that_is_nearest_to_its_end(max_trials, deadline, now, reported):
    scheduler = asha(max_trials=max_trials)
    for _ in range(reported):
        job = scheduler.ask()
        if job is None:
            break
        scheduler.tell(Report(job.trial, job.attempt, job.until, 1.0, 1.0))
    slots = [SlotView(0, "cpu", pace=Pace(1, 0.0, 1.0))] if reported else []
    view = SearchView(scheduler, Budget(seconds=deadline), slots, now=now)
    fraction, left = view.progress()
    total = Forecast(scheduler, max_trials, 1).units
    by_trials = min(scheduler.units / total, 1.0)
    by_time = min(now / deadline, 1.0)
    if now > 0:
        assert fraction == pytest.approx(max(by_trials, by_time))
    assert left <= max(deadline - now, 0.0) or (not slots and math.isinf(left))


class Drawn(ASHA):
    """Of a user's own kind, with an argument that can be used once."""

    def __init__(self, levels, **others):
        super().__init__(SPACE, max_resource=max(levels), **others)


def test_the_time_left_of_a_scheduler_that_cannot_be_rehearsed_is_by_what_its_rungs_take():
    scheduler = Drawn(iter([1, 3, 9]), max_trials=27)
    job = scheduler.ask()
    scheduler.tell(Report(job.trial, job.attempt, job.until, 1.0, 1.0))
    view = SearchView(scheduler, Budget(), [SlotView(0, "cpu", pace=Pace(1, 0.0, 10.0))], now=10.0)
    assert view.progress() == (1 / 63, 620.0)


def test_the_leaderboard_ranks_each_trial_by_its_best():
    scheduler, board = asha(max_trials=30), Leaderboard("max")
    _, _, journal, _ = run(scheduler, work=eventful, observers=[board])
    values = {}
    for record in journal.records:
        if (
            record["type"] == "report"
            and isinstance(record["value"], float)
            and math.isfinite(record["value"])
        ):
            values.setdefault(record["trial"], []).append((record["value"], record["resource"]))
    top = board.top(1000)
    assert {standing.trial for standing in top} == set(values)
    for standing in top:
        assert standing.value == max(value for value, _ in values[standing.trial])
        assert (standing.value, standing.resource) in values[standing.trial]
        assert standing.reached == scheduler.trials[standing.trial].resource
    assert [s.value for s in top] == sorted((s.value for s in top), reverse=True)
    assert (top[0].trial, top[0].value) == (scheduler.best.trial, scheduler.best.value)
    assert board.top(3) == top[:3]


def test_an_outcome_in_one_line():
    outcome, _, _, _ = run(asha(), work=eventful)
    line = describe_outcome(outcome)
    assert "\n" not in line
    for part in ("search complete", "12 trials", f"{outcome.failures} failed", f"{outcome.units} units"):
        assert part in line


def test_a_view_starts_empty():
    clock = ManualClock()
    search = Search(asha(), FakeExecutor(clock, 3), ClosingJournal(), clock)
    assert [(slot.index, slot.device, slot.job, slot.resource, slot.ready) for slot in search.view.slots] == [
        (slot, f"fake:{slot}", None, 0, False) for slot in range(3)
    ]


def test_a_notice_that_is_told_once_is_told_once_and_others_each_time():
    once, again = Notice("each worker says it", once=True), Notice("it happened again")
    heard = Recorder()
    work = lambda job, resource: [once, again, *train(job, resource)]  # noqa: E731
    _, _, journal, _ = run(asha(max_trials=4), work=work, observers=[heard])
    texts = [record["text"] for record in journal.records if record["type"] == "notice"]
    assert texts.count(once.text) == 1
    assert texts.count(again.text) >= 4
    assert [what for _, _, what in heard.log].count(once) == 1

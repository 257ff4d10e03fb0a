"""A search that is killed after any record goes on as if it had not been, in virtual time."""

from __future__ import annotations

import json

import pytest

from asha_core import ASHA
from asha_core.errors import JournalError
from asha_core.messages import Lost, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalWriter, read_journal
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.searchers.random_search import RandomSearch
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, asha, eventful, train


class Killed(BaseException):
    """What a SIGKILL is to the engine: nothing after it happens."""


class Fragile:
    """A journal whose engine is killed after so many records, before or after they are written."""

    def __init__(self, writer, left, torn):
        self.writer, self.left, self.torn = writer, left, torn

    def append(self, t, records):
        for record in records:
            if self.left == 0:
                raise Killed
            self.left -= 1
            self.writer.append(t, [record])

    def close(self):
        self.writer.close()


def session(path, scheduler, *, slots=2, work=train, kill_after=None, budget=None, observers=()):
    """Search on from what the journal holds, until the end or until it is killed."""
    clock, earlier = ManualClock(), None
    if path.exists():
        contents = read_journal(path)
        earlier = replay(path, contents.records, scheduler, held=slots)
        clock.time = earlier.t
        writer = JournalWriter(path, contents, sync=False)
        limit = budget or Budget()
        budget = Budget(limit.seconds, limit.gpu_seconds, slots, earlier.t, earlier.device_seconds)
        earlier.record = {"devices": ["fake"] * slots}
    else:
        writer = JournalWriter(path, sync=False)
        budget = budget or Budget(devices=slots)
    journal = writer if kill_after is None else Fragile(writer, kill_after, None)
    executor = FakeExecutor(clock, slots, work)
    search = Search(scheduler, executor, journal, clock, budget, observers, earlier=earlier)
    try:
        return search.run()
    except Killed:
        return None


def reports(path):
    return [
        (record["trial"], record["resource"], record["value"])
        for record in read_journal(path).records
        if record["type"] == "report"
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", list(MODEL_FREE))
def test_killed_after_every_record_in_turn_nothing_is_lost_or_reported_twice(name, tmp_path):
    def fresh():
        return scheduler_class(name)(SPACE, max_resource=9, max_trials=9, seed=3)

    whole = session(tmp_path / "whole", fresh(), slots=1)
    count = len(read_journal(tmp_path / "whole").records)
    expected = reports(tmp_path / "whole")
    for after in range(count):
        path = tmp_path / f"killed-{after}"
        assert session(path, fresh(), slots=1, kill_after=after) is None
        outcome = session(path, fresh(), slots=1)
        # one worker: the same units in the same order, whenever the engine was killed
        assert reports(path) == expected
        assert (outcome.best, outcome.units, outcome.reason) == (whole.best, whole.units, "complete")


@pytest.mark.long
def test_killed_again_and_again_at_any_record_with_failures_and_many_slots(tmp_path):
    for seed in range(8):
        path = tmp_path / str(seed)
        step = 3 + seed
        for _ in range(200):
            scheduler = asha(seed=seed, max_trials=20)
            outcome = session(path, scheduler, slots=3, work=eventful, kill_after=step)
            step += 1
            if outcome is not None:
                break
        else:
            raise AssertionError("it never came to its end")
        seen = [(trial, resource) for trial, resource, _ in reports(path)]
        assert len(seen) == len(set(seen))
        assert outcome.units == len(seen)
        assert len(scheduler.trials) - scheduler.rejected == 20


def test_an_engine_that_is_killed_uses_up_no_retry_of_a_trial(tmp_path):
    path = tmp_path / "journal"
    for _ in range(6):
        session(path, asha(max_trials=1, max_retries=0), slots=1, kill_after=2)
    outcome = session(path, asha(max_trials=1, max_retries=0), slots=1)
    assert (outcome.failures, outcome.units) == (0, 1)


def test_time_spent_and_the_leaderboard_come_back(tmp_path):
    path = tmp_path / "journal"
    session(path, asha(), kill_after=30)
    before = read_journal(path).records[-1]["t"]
    board = Leaderboard("max")
    outcome = session(path, asha(), observers=[board])
    assert board.reports == outcome.units
    assert outcome.seconds > before
    assert outcome.gpu_seconds == pytest.approx(2 * outcome.seconds)
    assert outcome.training_seconds == pytest.approx(0.5 * outcome.units)


def test_a_budget_that_is_spent_starts_nothing(tmp_path):
    path = tmp_path / "journal"
    assert session(path, asha(), budget=Budget(3.0, None, 2)).reason == "budget"
    before = reports(path)
    assert session(path, asha(), budget=Budget(3.0, None, 2)).reason == "budget"
    assert reports(path) == before
    assert session(path, asha(), budget=Budget(100.0, None, 2)).reason == "complete"


def test_more_trials_may_be_asked_for(tmp_path):
    path = tmp_path / "journal"
    session(path, asha(max_trials=6))
    scheduler = asha(max_trials=12)
    assert session(path, scheduler).trials == 12
    assert replay(path, read_journal(path).records, asha(max_trials=12)).reason == "complete"


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"seed": 1}, "line 2: .*configuration"), ({"max_trials": 3}, "has none to give|would give")],
)
def test_another_search_is_refused_with_the_line_that_differs(tmp_path, settings, message):
    path = tmp_path / "journal"
    session(path, asha(), kill_after=20)
    with pytest.raises(JournalError, match=message):
        replay(path, read_journal(path).records, asha(**settings))


def test_a_changed_decision_is_refused_with_its_line(tmp_path):
    path = tmp_path / "journal"
    session(path, asha())
    records = read_journal(path).records
    number = next(n for n, r in enumerate(records) if r["type"] == "job" and r["start"] == 1)
    changed = json.loads(json.dumps(records))
    changed[number]["trial"] += 1
    with pytest.raises(JournalError, match=f"line {number + 2}: the journal has the job"):
        replay(path, changed, asha())


def test_the_last_session_finds_nothing_running_after_an_orderly_end(tmp_path):
    path = tmp_path / "journal"
    session(path, asha(), budget=Budget(3.0, None, 2))
    records = read_journal(path).records
    assert replay(path, records, asha()).running == {}
    assert [r["kind"] for r in records if r["type"] == "lost"] == ["stopped"] * 2


def test_losses_that_are_nobodys_fault_never_fail_a_trial():
    scheduler = asha(max_retries=1)
    for kind in ("stopped", "engine", "disk", "not-begun") * 3:
        job = scheduler.ask()
        assert job.trial == 0
        scheduler.tell(Lost(0, job.attempt, "gone", kind))
    assert scheduler.ask().attempt == 12
    scheduler.tell(Lost(0, 12, "gone", "hung"))
    assert scheduler.failures == 0
    scheduler.ask()
    scheduler.tell(Lost(0, 13, "gone", "died"))
    assert scheduler.failures == 1


def test_the_attempt_that_was_given_up_is_not_heard():
    scheduler = asha()
    scheduler.ask()
    scheduler.tell(Lost(0, 0, "gone", "engine"))
    scheduler.tell(Report(0, 0, 1, 0.5, 1.0))
    assert scheduler.units == 0


class Learner(RandomSearch):
    """What it learns in this process is not what it learnt before, or it cannot take it at all."""

    name = "learner"
    offset = 0.0
    breaks = False

    def observe(self, trial, resource, loss):
        if self.breaks:
            raise KeyError("lr")
        self.seed = int(1000 * (abs(loss) + self.offset))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"offset": 1.0}, r"line \d+: .*or the searcher 'learner', which learns, does not propose the same"),
        (
            {"breaks": True},
            r"line \d+: the scheduler or its searcher \(ASHA or Learner\) raised KeyError: 'lr' ",
        ),
    ],
)
def test_what_a_searcher_does_otherwise_when_it_is_replayed_is_told_as_its_own(settings, said, tmp_path):
    path = tmp_path / "journal"
    session(path, asha(searcher=Learner(SPACE, 0)))
    replay(path, read_journal(path).records, asha(searcher=Learner(SPACE, 0)))
    other = Learner(SPACE, 0)
    vars(other).update(settings)
    with pytest.raises(JournalError, match=said):
        replay(path, read_journal(path).records, asha(searcher=other))


class Moody(ASHA):
    """Which does otherwise the second time."""

    name = "moody"
    times = 0

    def first_rung(self, number):
        Moody.times += 1
        return Moody.times > 5


class Shaky(RandomSearch):
    """Likewise; it learns nothing."""

    name = "shaky"
    times = 0

    def propose(self, index):
        Shaky.times += 1
        return super().propose(Shaky.times)


@pytest.mark.parametrize(
    ("kind", "searcher", "said"),
    [
        (
            Moody,
            RandomSearch,
            r"otherwise, or the scheduler 'moody' is not deterministic: it has to draw from its seed alone$",
        ),
        (
            ASHA,
            Shaky,
            r"otherwise, or the searcher 'shaky' is not deterministic: it has to draw from its seed alone$",
        ),
    ],
)
def test_a_rule_of_somebody_elses_that_is_not_deterministic_is_named(kind, searcher, said, tmp_path):
    path = tmp_path / "journal"
    Moody.times = Shaky.times = 0

    def made():
        return kind(SPACE, max_resource=9, max_trials=5, searcher=searcher(SPACE, 0))

    session(path, made())
    with pytest.raises(JournalError, match=said):
        replay(path, read_journal(path).records, made())

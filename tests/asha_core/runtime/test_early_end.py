"""A search ends when its best is good enough, or has not improved for long, and when resumed it knows."""

from __future__ import annotations

import pytest

from asha_core.errors import SettingError
from asha_core.messages import Finished, Job, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.early_end import EarlyEnd, Patience
from asha_core.runtime.executor import Executor, ExecutorEvent
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import EARLY, FINISHED, Leaderboard, describe_outcome
from asha_core.runtime.replay import replay
from asha_core.runtime.storage.journal import JournalWriter, NullJournal, read_journal
from asha_core.schedulers.asha import ASHA
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock, asha


def rising(job: Job, resource: int) -> list[ExecutorEvent]:
    """Better until trial 10, and never again."""
    return [Report(job.trial, job.attempt, resource, min(job.trial, 10) + resource / 100, 1.0)]


def search(
    scheduler: ASHA, journal: JournalWriter | NullJournal, *, slots: int = 1, earlier=None, **rules
) -> tuple[str, EarlyEnd, Executor]:
    clock = ManualClock()
    clock.advance_to(0.0 if earlier is None else earlier.t)
    executor = FakeExecutor(clock, slots, rising, unit_seconds=1.0)
    board = Leaderboard(scheduler.mode)
    early = EarlyEnd(board, **rules)
    outcome = Search(
        scheduler,
        executor,
        journal,
        clock,
        Budget(),
        [board, early],
        earlier=earlier,
        may_end=early.reason,
    ).run()
    return outcome.reason, early, executor


@pytest.mark.parametrize(("mode", "stop_at"), [("max", 5.01), ("max", -1.0), ("min", 0.01), ("min", 3.0)])
def test_it_ends_with_the_first_report_that_is_good_enough(mode: str, stop_at: float) -> None:
    scheduler = asha(mode=mode, max_trials=40)
    reason, _, _ = search(scheduler, NullJournal(), stop_at=stop_at)
    assert reason == "stop_at"
    assert scheduler.best is not None
    good = [
        t
        for t in scheduler.trials
        if t.resource and (t.loss <= stop_at if mode == "min" else -t.loss >= stop_at)
    ]
    assert [trial.id for trial in good] == [scheduler.best.trial]


def test_what_is_never_reached_ends_nothing() -> None:
    assert search(asha(max_trials=12), NullJournal(), stop_at=99.0)[0] == "complete"
    assert search(asha(max_trials=12), NullJournal(), patience=Patience(results=500))[0] == "complete"
    assert search(asha(max_trials=12), NullJournal(), patience=Patience(seconds=500.0))[0] == "complete"


@pytest.mark.parametrize("results", [1, 4, 25])
def test_patience_counts_completed_rungs_since_the_best(results: int) -> None:
    scheduler = asha(max_trials=400)
    reason, _, _ = search(scheduler, NullJournal(), patience=Patience(results=results))
    assert reason == "patience"
    assert scheduler.best is not None
    # every job up to there is in the rungs' counts; those after the best are as many as patience allows
    twin = asha(max_trials=400)
    best, since = float("-inf"), 0
    while since < results:
        job = twin.ask()
        assert job is not None
        for unit in range(job.start + 1, job.until + 1):
            (report,) = rising(job, unit)
            twin.tell(report)
            assert isinstance(report, Report)
            better = report.value > best
            best, since = max(best, report.value), 0 if better else since + (unit == job.until)
    assert [row.reached for row in scheduler.counts()] == [row.reached for row in twin.counts()]
    assert scheduler.best == twin.best


def test_patience_in_time_is_of_the_searchs_clock() -> None:
    scheduler = asha(max_trials=400)
    found: list[float] = []
    clock = ManualClock()
    executor = FakeExecutor(clock, 1, rising, unit_seconds=1.0)
    board = Leaderboard("max")
    early = EarlyEnd(board, patience=Patience(seconds=20.0))

    class Watch(EarlyEnd):
        def on_event(self, view, event):
            if scheduler.best is not None and (not found or found[-1] != scheduler.best.value):
                found.append(scheduler.best.value)
                self.at = view.now

    watch = Watch(board)
    outcome = Search(
        scheduler, executor, NullJournal(), clock, None, [board, early, watch], may_end=early.reason
    ).run()
    assert outcome.reason == "patience"
    assert 20.0 <= outcome.seconds - watch.at <= 21.0


@pytest.mark.parametrize(
    ("rules", "laxer"),
    [
        ({"stop_at": 5.01}, {"stop_at": 10.03}),
        ({"patience": Patience(results=4)}, {"patience": Patience(results=9)}),
        ({"patience": Patience(seconds=20.0)}, {"patience": Patience(seconds=40.0)}),
    ],
)
@pytest.mark.parametrize("slots", [1, 3])
def test_taken_up_with_the_same_it_ends_at_once_and_with_another_it_is_as_if_it_had_never_ended(
    tmp_path, rules, laxer, slots
) -> None:
    path = tmp_path / "journal.jsonl"
    assert search(asha(max_trials=400), JournalWriter(path), slots=slots, **rules)[0] in EARLY
    contents = read_journal(path)

    again = asha(max_trials=400)
    earlier = replay(path, contents.records, again)
    units = again.units
    reason, _, _ = search(again, NullJournal(), slots=slots, earlier=earlier, **rules)
    assert (reason, again.units) == (next(iter(rules)), units)

    on = asha(max_trials=400)
    earlier = replay(path, contents.records, on)
    assert search(on, NullJournal(), slots=slots, earlier=earlier, **laxer)[0] == next(iter(laxer))
    assert on.units > units
    if slots == 1 and "stop_at" in rules:
        whole = asha(max_trials=400)
        search(whole, NullJournal(), **laxer)
        assert (on.best, on.units) == (whole.best, whole.units)


def test_a_trial_that_finishes_early_is_a_result_and_one_that_is_told_twice_is_one() -> None:
    board = Leaderboard("max")
    early, view = EarlyEnd(board, patience=Patience(results=2)), _View()
    for trial in range(3):
        early.on_job(view, Job(trial, None, 0, 3, 0, 0), 0)
    for event in (
        Report(0, 0, 1, 9.0, 1.0),
        Report(1, 0, 3, 1.0, 1.0),
        Report(1, 1, 3, 1.0, 1.0),
        Finished(0, 0, 1),
        Finished(0, 0, 1),
    ):
        assert early.reason(0.0) is None
        board.on_event(view, event)
        early.on_event(view, event)
        if isinstance(event, Finished):
            break
    assert early.reason(0.0) == "patience"


class _View:
    now = 0.0


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (50, Patience(50)),
        ("50", Patience(50)),
        ("30m", Patience(None, 1800.0)),
        ("1h30m", Patience(None, 5400.0)),
    ],
)
def test_patience_is_results_or_a_time(given, meant) -> None:
    assert Patience.read(given) == meant
    assert Patience.read(meant) is meant


@pytest.mark.parametrize("given", [0, -1, 2.5, "2.5", "soon", "", True, None, "0m"])
def test_what_is_neither_is_refused_with_both(given) -> None:
    with pytest.raises(SettingError, match=r"patience is"):
        Patience.read(given)


def test_it_counts_as_finished_and_is_told_in_words() -> None:
    assert set(EARLY) <= set(FINISHED)
    for rules, said in (({"stop_at": 0.0}, "good enough"), ({"patience": Patience(1)}, "nothing better")):
        scheduler = asha(max_trials=40)
        clock, board = ManualClock(), Leaderboard("max")
        early = EarlyEnd(board, **rules)
        executor = FakeExecutor(clock, 1, rising, unit_seconds=1.0)
        outcome = Search(
            scheduler, executor, NullJournal(), clock, None, [board, early], may_end=early.reason
        ).run()
        assert said in describe_outcome(outcome)

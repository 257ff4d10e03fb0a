"""What the engine shows and keeps of a search, whatever its scheduler."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest
from rich.console import Console

from asha_core.messages import Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.loop import Search
from asha_core.runtime.observers import Leaderboard, Observer, SearchView, SlotView
from asha_core.runtime.pace import Pace
from asha_core.runtime.small_budget import SmallBudget
from asha_core.runtime.storage.journal import JournalWriter, NullJournal, read_journal
from asha_core.runtime.storage.records import read_event
from asha_core.runtime.storage.results import summarise
from asha_core.runtime.terminal.console import PlainLines
from asha_core.runtime.terminal.live import LiveView
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.forecast import Forecast
from tests.asha_core.runtime.engine_doubles import SPACE, FakeExecutor, ManualClock, eventful, train, value_of

every_scheduler = pytest.mark.parametrize("name", MODEL_FREE)
STOPPING = {"asha-stopping", "sh", "sync-hyperband"}


def make(name, **settings):
    return scheduler_class(name)(SPACE, **{"max_resource": 9, "max_trials": 40, **settings})


def run(scheduler, *observers, work=train, journal=None, budget=None, slots=3):
    clock = ManualClock()
    executor = FakeExecutor(clock, slots, work)
    return Search(scheduler, executor, journal or NullJournal(), clock, budget, observers).run()


@every_scheduler
@pytest.mark.parametrize("work", [train, eventful])
def test_a_search_is_seen_through_and_its_journal_rebuilds_the_scheduler(name, work, tmp_path):
    scheduler = make(name)
    outcome = run(scheduler, work=work, journal=JournalWriter(tmp_path / "journal.jsonl"))
    assert outcome.reason == "complete"
    assert outcome.trials == 40
    again = make(name)
    for record in read_journal(tmp_path / "journal.jsonl").records:
        if record["type"] == "job":
            job = again.ask()
            assert [job.trial, job.start, job.until, job.attempt] == [
                record[key] for key in ("trial", "start", "until", "attempt")
            ]
        elif (event := read_event(record)) is not None:
            again.tell(event)
    assert again.ask() is None
    assert again.counts() == scheduler.counts()
    assert (again.best, again.units) == (scheduler.best, scheduler.units)


# -- the live view ---------------------------------------------------------------------------------


def frame(scheduler, **settings):
    console = Console(file=io.StringIO(), width=110, height=50, force_terminal=True, color_system=None)
    live = LiveView("digits: a search", "accuracy", "epoch", console)
    console.print(live.render(SearchView(scheduler, Budget(), [SlotView(0, "cpu")], **settings)))
    return console.file.getvalue()


@every_scheduler
def test_a_frame_has_a_column_for_stopped_trials_where_there_can_be_some(name):
    scheduler = make(name)
    run(scheduler, work=eventful)
    text = frame(scheduler, now=5.0)
    assert scheduler.stops == (name in STOPPING)
    assert ("stopped" in text) == scheduler.stops
    columns = ["running", "paused", "promoted", *["stopped"] * scheduler.stops, "done", "failed"]
    (heading,) = [line.split() for line in text.splitlines() if "promoted" in line]
    assert heading[-len(columns) :] == columns
    for counts in scheduler.counts():
        numbers = [getattr(counts, column) for column in columns]
        cells = [str(counts.level), *(str(number) if number else "·" for number in numbers)]
        assert cells in [line.split() for line in text.splitlines()]


def test_some_are_stopped_and_shown():
    scheduler = make("sh")
    run(scheduler)
    assert [counts.stopped for counts in scheduler.counts()] == [27, 9, 0]
    assert ["1", "·", "·", "13", "27", "·", "·"] in [line.split() for line in frame(scheduler).splitlines()]


def test_what_pasha_has_unlocked_is_in_the_frame_and_nothing_is_added_elsewhere():
    assert "unlocked=3" in frame(make("pasha"))
    assert frame(make("asha")).splitlines()[0].strip() == "digits: a search"


# -- plain lines and results -----------------------------------------------------------------------


@every_scheduler
def test_the_status_line_counts_all_that_reached_a_rung_stopped_ones_too(name):
    stream = io.StringIO()
    scheduler = make(name, max_trials=None)
    seen = []

    class Watch(Observer):
        def on_event(self, view, event):
            seen.append({f"{row.level} by {row.reached}" for row in view.scheduler.counts() if row.reached})

    console = PlainLines("digits", "accuracy", "epoch", stream)
    run(scheduler, console, Watch(), budget=Budget(seconds=45))
    told = [
        set(re.findall(r"\bepoch (\d+ by \d+)", line))
        for line in stream.getvalue().splitlines()
        if "reached" in line
    ]
    assert len(told) == 4
    assert all(rungs in seen for rungs in told)


@every_scheduler
@pytest.mark.parametrize("work", [train, eventful])
def test_results_count_all_that_reached_a_rung(name, work):
    scheduler, board = make(name), Leaderboard("max")
    outcome = run(scheduler, board, work=work)
    rungs = summarise(outcome, scheduler, board, "accuracy", None)["rungs"]
    assert [rung["level"] for rung in rungs] == list(scheduler.levels)
    for index, rung in enumerate(rungs):
        there = [t for t in scheduler.trials if t.first <= index and t.resource >= rung["level"]]
        assert rung["reached"] == len(there)
        assert rung["promoted"] == sum(
            trial.rung > index for trial in scheduler.trials if trial.first <= index
        )


# -- progress --------------------------------------------------------------------------------------


class Progress(Observer):
    """(fraction, units told and running, units expected) after each event."""

    def __init__(self):
        self.seen = []

    def on_event(self, view, event):
        scheduler = view.scheduler
        running = sum(slot.job.until - slot.resource for slot in view.slots if slot.job is not None)
        expected = view._expected_units(scheduler.trial_limit)
        self.seen.append((view.progress()[0], scheduler.units + running, expected))
        assert view.progress()[0] == pytest.approx(scheduler.units / max(expected, scheduler.units + running))


@every_scheduler
def test_progress_never_falls_while_the_plan_holds(name):
    progress = Progress()
    run(make(name), progress)
    fractions = [fraction for fraction, _, _ in progress.seen]
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)
    for (one, _, _), (other, units, expected) in pairwise(progress.seen):
        if units <= expected:  # an asynchronous rule can promote more than was planned
            assert one <= other + 1e-12
    if name in ("sh", "sync-hyperband", "random"):  # what happens is what was planned
        assert all(units <= expected for _, units, expected in progress.seen)
        assert fractions[-1] == 1.0


def upside_down(job, resource):
    """The best after one unit are the worst after more: no ranking is stable."""
    luck = value_of(job, 0)
    return [Report(job.trial, job.attempt, resource, luck if resource % 2 else 1 - luck, 0.5)]


def test_the_progress_of_pasha_is_by_what_is_unlocked():
    seen = {}

    class Watch(Observer):
        def on_event(self, view, event):
            seen[view.scheduler.unlocked] = view._expected_units(30)

    scheduler = make("pasha", max_resource=128, max_trials=30, reduction_factor=2)
    run(scheduler, Progress(), Watch(), work=upside_down)
    assert len(seen) >= 2
    for level, expected in seen.items():
        ladder = make("asha", max_resource=level, max_trials=30, reduction_factor=2)
        assert expected == Forecast(ladder, 30, 3).units


# -- a budget that is too small --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("asha", {}, "the first rung needs 6: nothing will be promoted"),
        ("pasha", {}, "the first rung needs 6: nothing will be promoted"),
        ("hyperband", {}, "the first rung needs 33: nothing will be promoted"),
        ("asha-stopping", {}, "the first rung needs 2: nothing will be promoted"),
        ("sh", {"max_trials": 40}, "the first rung needs 80: nothing will be promoted"),
        ("sh", {"max_trials": None}, "the first rung needs 18: nothing will be promoted"),
        ("sync-hyperband", {}, "the first rung needs 18: nothing will be promoted"),
        ("random", {}, "a complete trial takes 18: give more time, or lower max-resource"),
        ("asha", {"min_resource": 18}, "a complete trial takes 18: give more time"),
        ("sh", {"min_resource": 18}, "a complete trial takes 18: give more time"),
    ],
)
def test_a_budget_that_is_too_small_is_told_once_and_what_would_do(name, settings, said, capsys):
    scheduler = make(name, **{"min_resource": 2, "max_resource": 18, **settings})
    job = scheduler.ask()
    slots = [SlotView(0, "cpu", pace=Pace(1, 0.0, 1.0))]
    warning, view = SmallBudget(), SearchView(scheduler, Budget(seconds=1.5), slots, now=0.5)
    for resource in (1, 2):
        report = Report(job.trial, 0, resource, value_of(job, resource), 1.0)
        scheduler.tell(report)
        warning.on_event(view, report)
    told = capsys.readouterr().err
    assert told.count("warning: a unit takes 1.0s, so the budget of 1.5s buys about 2 units, and ") == (
        0 if name == "asha-stopping" else 1
    )
    assert (said in told) == (name != "asha-stopping")  # two units are enough for it


@every_scheduler
@pytest.mark.parametrize(("deadline", "told"), [(8.0, True), (9.0, False)])
def test_many_workers_make_no_trial_shorter(name, deadline, told, capsys):
    scheduler = make(name, min_resource=9, max_resource=9 if name == "random" else 27, max_trials=None)
    slots = [SlotView(slot, "cpu", pace=Pace(1, 0.0, 1.0)) for slot in range(60)]
    job = scheduler.ask()
    report = Report(job.trial, 0, 1, 0.5, 1.0)
    scheduler.tell(report)
    SmallBudget().on_event(SearchView(scheduler, Budget(seconds=deadline), slots, now=1.0), report)
    said = capsys.readouterr().err
    if job.until == 9:  # Hyperband draws another bracket
        assert ("buys about 8 units a worker, and" in said) == told
        assert bool(said) == told


def test_what_a_workers_first_unit_pays_for_makes_no_budget_too_small(capsys):
    scheduler = make("asha")
    slot = SlotView(0, "cpu")
    warning, view = SmallBudget(), SearchView(scheduler, Budget(seconds=100.0), [slot])
    for view.now, seconds in ((30.0, 30.0), (30.1, 0.1), (30.2, 0.1)):
        job = scheduler.ask()
        report = Report(job.trial, 0, job.start + 1, 0.5, seconds)
        slot.pace.on_unit(view.now, seconds)
        scheduler.tell(report)
        warning.on_event(view, report)
    assert capsys.readouterr().err == ""


@every_scheduler
def test_a_budget_that_is_large_enough_is_not_spoken_of(name, capsys):
    run(make(name), SmallBudget(), budget=Budget(seconds=1e4))
    assert capsys.readouterr().err == ""
